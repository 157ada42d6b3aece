"""A table of any number of rows, of which those that are seen are written, and painted once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from curricle.top.lines import repaint
from curricle.top.text import fit

_GAP = 1
_WIDEST_FIRST = 44
_TITLES = Style(bold=True, underline=True)
_CURSOR = Style(reverse=True)
_DRAWN = Style(color="cyan")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: what stands above it.
        width: least width, in columns of the terminal.
        write: the texts of rows in a width.
        values: what rows are sorted by; a column without is not sorted by.
        most: greatest width; what the first column does not need is shared out.
        table_width: width of the table from which the column is shown.
    """

    title: str
    width: int
    write: Callable[[NDArray[np.intp], int], list[str]]
    values: Sequence[str] | NDArray[Any] | None = None
    most: int = 0
    table_width: int = 0


@dataclass(frozen=True)
class _Line:
    """A line as it is seen: texts, every other one of them drawn, from the first that is not."""

    texts: tuple[str, ...]
    under_cursor: bool = False


class Table(ScrollView, can_focus=True):
    """Rows under a line of titles, sorted by a column, one of them under the cursor.

    The first column is text, takes what width is left, and is what a filter looks at. The cursor
    stays with its row as the order changes, once it was moved.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "top", show=False),
        Binding("end", "bottom", show=False),
        Binding("enter", "open", "open", key_display="enter"),
        Binding("less_than_sign,left", "sort(-1)", "sort", key_display="< >"),
        Binding("greater_than_sign,right", "sort(1)", show=False),
        Binding("r", "reverse", show=False),
    ]

    class Opened(Message):
        """The row under the cursor was chosen."""

        def __init__(self, key: Hashable) -> None:
            super().__init__()
            self.key = key

    class Arranged(Message):
        """Order or filter changed."""

    def __init__(self, sorted_by: str, *, id: str) -> None:
        super().__init__(id=id)
        self.sorted_by = sorted_by
        self.descending = True
        self.filter = ""
        self._columns: Sequence[Column] = ()
        self._keys: Sequence[Hashable] | NDArray[np.int64] = ()
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._cursor = 0
        self._chosen: Hashable = None
        self._moved = False
        self._lines: list[_Line] = []
        self._base = Style()

    @property
    def _room(self) -> int:
        """Columns beside the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def seen(self) -> int:
        """Number of rows that the filter lets through."""
        return len(self._order)

    def show(self, columns: Sequence[Column], keys: Sequence[Hashable] | NDArray[np.int64]) -> None:
        """Shows other rows, each known by its key; order, filter and cursor stay."""
        self._columns, self._keys = columns, keys
        self._arrange()

    def set_filter(self, text: str) -> None:
        """Shows the rows whose first column has the text in it, in whatever case, or all."""
        self.filter = text
        self._arrange()
        self.post_message(self.Arranged())

    def _arrange(self) -> None:
        column = next((c for c in self._columns if c.title == self.sorted_by), None)
        rows = self._matching()
        if column is not None and column.values is not None:
            values = np.asarray(column.values)[rows]
            order = np.argsort(values, kind="stable")
            if self.descending:
                # Equal ones, and those without a value, stay where they are: at the end.
                order = len(order) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
                if values.dtype.kind == "f":
                    order = order[np.argsort(np.isnan(values[order]), kind="stable")]
            rows = rows[order]
        self._order = rows
        self._cursor = self._place() if self._moved else 0
        self.virtual_size = Size(0, len(rows) + 1)
        if self._moved:
            self._keep_cursor_in_sight()
        self._write()

    def _matching(self) -> NDArray[np.intp]:
        if not self.filter or not self._columns:
            return np.arange(len(self._keys))
        texts = self._columns[0].values
        if isinstance(texts, np.ndarray):
            # Numbers are looked for whole: there may be a million of them.
            number = int(self.filter) if self.filter.lstrip("-").isdecimal() else None
            return np.flatnonzero(texts == number) if number is not None else np.zeros(0, np.intp)
        wanted = self.filter.casefold()
        found = [row for row, text in enumerate(texts or ()) if wanted in text.casefold()]
        return np.array(found, np.intp)

    def _place(self) -> int:
        """Where the chosen row is now, or else the nearest there is to where it was."""
        if isinstance(self._keys, np.ndarray):
            hits = np.flatnonzero(self._keys[self._order] == self._chosen)
        else:
            row = next((row for row, key in enumerate(self._keys) if key == self._chosen), -1)
            hits = np.flatnonzero(self._order == row)
        return int(hits[0]) if len(hits) else max(0, min(self._cursor, self.seen - 1))

    def _widths(self) -> list[tuple[Column, int]]:
        room = self._room
        shown = [column for column in self._columns if column.table_width <= room]
        if not shown:
            return []
        left = room - sum(column.width + _GAP for column in shown[1:])
        growing = [column for column in shown[1:] if column.most > column.width]
        more = max(0, left - _WIDEST_FIRST) // len(growing) if growing else 0
        widths = [
            min(column.most, column.width + more) if column.most > column.width else column.width
            for column in shown[1:]
        ]
        first = room - sum(widths) - _GAP * len(widths)
        return list(zip(shown, [max(1, first), *widths], strict=True))

    def _write(self) -> None:
        """Writes the lines that are seen; has those painted that changed."""
        if not self._room:
            # It is not shown yet.
            return
        begin = self.scroll_offset.y
        rows = self._order[begin : begin + max(0, self.size.height - 1)]
        gap = " " * _GAP
        titles: list[str] = []
        # For each row, its texts so far: what is not drawn goes on in one.
        written: list[list[str]] = [[""] for _ in rows]
        for number, (column, width) in enumerate(self._widths()):
            titles.append(self._title(column, width))
            for texts, text in zip(written, column.write(rows, width), strict=True):
                fitted = fit(text, width, right=number > 0)
                texts[-1] += gap if number else ""
                if column.values is None:
                    texts += [fitted, ""]
                else:
                    texts[-1] += fitted
        before = self._lines
        self._lines = [_Line((gap.join(titles),))]
        self._lines += [
            _Line(tuple(texts), begin + at == self._cursor) for at, texts in enumerate(written)
        ]
        repaint(self, before, self._lines)

    def render_lines(self, crop: Region) -> list[Strip]:
        """All lines in the style of this moment."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The titles, or a row."""
        width = self._room
        if y >= len(self._lines):
            return Strip.blank(width, self._base)
        line = self._lines[y]
        style = self._base
        if y == 0:
            style += _TITLES
        elif line.under_cursor and self.has_focus:
            style += _CURSOR
        # What is drawn would be another picture in reverse.
        styles = (style, self._base + _DRAWN)
        parts = [Segment(text, styles[at % 2]) for at, text in enumerate(line.texts) if text]
        return Strip(parts).adjust_cell_length(width, style)

    def _title(self, column: Column, width: int) -> str:
        right = column is not self._columns[0]
        if column.title != self.sorted_by:
            return fit(column.title, width, right=right)
        return fit(column.title + ("▼" if self.descending else "▲"), width, right=right)

    def _move_to(self, place: int) -> None:
        if not self.seen:
            return
        self._cursor = max(0, min(place, self.seen - 1))
        self._chosen = self._keys[self._order[self._cursor]]
        self._moved = True
        self._keep_cursor_in_sight()
        self._write()

    def _keep_cursor_in_sight(self) -> None:
        seen_rows = max(1, self.size.height - 1)
        first = self.scroll_offset.y
        if self._cursor < first:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= first + seen_rows:
            self.scroll_to(y=self._cursor - seen_rows + 1, animate=False, force=True)

    def _sort_by(self, title: str) -> None:
        if title == self.sorted_by:
            self.descending = not self.descending
        else:
            self.sorted_by = title
            self.descending = title != self._columns[0].title
        self._arrange()
        self.post_message(self.Arranged())

    def action_move(self, rows: int) -> None:
        """Moves the cursor."""
        self._move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Moves the cursor by what is seen at once."""
        self._move_to(self._cursor + pages * max(1, self.size.height - 2))

    def action_top(self) -> None:
        """Back to the first row, whichever that will be."""
        self._cursor, self._moved = 0, False
        self.scroll_to(y=0, animate=False, force=True)
        self._write()

    def action_bottom(self) -> None:
        """To the last row."""
        self._move_to(self.seen - 1)

    def action_open(self) -> None:
        """Chooses the row under the cursor."""
        if self.seen:
            self.post_message(self.Opened(self._keys[self._order[self._cursor]]))

    def action_sort(self, step: int) -> None:
        """Sorts by the next column to the left or the right."""
        titles = [column.title for column, _ in self._widths() if column.values is not None]
        if titles:
            at = titles.index(self.sorted_by) if self.sorted_by in titles else 0
            self._sort_by(titles[(at + step) % len(titles)])

    def action_reverse(self) -> None:
        """Sorts the other way round."""
        self._sort_by(self.sorted_by)

    def on_click(self, event: events.Click) -> None:
        """Sorts by a title, chooses a row; a second click opens it."""
        if event.y > 0:
            place = self.scroll_offset.y + event.y - 1
            if place < self.seen:
                self._move_to(place)
                if event.chain == 2:
                    self.action_open()
            return
        begin = 0
        for column, width in self._widths():
            if begin <= event.x < begin + width + _GAP and column.values is not None:
                self._sort_by(column.title)
                return
            begin += width + _GAP

    def on_resize(self) -> None:
        """Writes the rows for the new width."""
        self._arrange()

    def on_show(self) -> None:
        """Writes the rows that were not, while it was hidden."""
        self._write()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Writes the rows that are seen now."""
        super().watch_scroll_y(old_value, new_value)
        self._write()

    def watch_show_vertical_scrollbar(self) -> None:
        """Writes the rows for the width beside the scroll bar, which is known after the layout."""
        self.call_after_refresh(self._write)
