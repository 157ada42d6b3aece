"""Lines of a widget, of which only those that changed are painted anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


def repaint(widget: Widget, before: Sequence[object], now: Sequence[object]) -> None:
    """Has those lines of a widget painted that are not what they were, if there are any."""
    width = widget.size.width
    pairs = enumerate(zip_longest(before, now))
    changed = [Region(0, y, width, 1) for y, (old, new) in pairs if old != new]
    if changed:
        widget.refresh(*changed)


class Lines(Widget):
    """Lines of plain text, cut off at the edge; how many there are changes no layout."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Sequence[str] = ()
        self._base = Style()

    def say(self, lines: Sequence[str]) -> None:
        """Shows other lines."""
        before, self._lines = self._lines, lines
        repaint(self, before, lines)

    def render_lines(self, crop: Region) -> list[Strip]:
        """All lines in the style of this moment."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """A line, blank below the last one."""
        text, width = self._lines[y] if y < len(self._lines) else "", self.size.width
        if cell_len(text) > width > 0:
            text = set_cell_size(text, width - 1) + "\N{HORIZONTAL ELLIPSIS}"
        return Strip([Segment(set_cell_size(text, width), self._base)], width)
