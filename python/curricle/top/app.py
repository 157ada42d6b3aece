"""The live view itself."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import ContentSwitcher, Footer, Input, Static

from curricle._core import Session
from curricle.errors import SessionError
from curricle.looking import look_into
from curricle.top.budget import MOST_WORK, Budget
from curricle.top.detail import Task, Tasks, read_task, read_tasks
from curricle.top.heading import LINES, heading
from curricle.top.histogram import both
from curricle.top.history import History
from curricle.top.lines import Lines
from curricle.top.look import Look, look_at
from curricle.top.table import Table
from curricle.top.text import clock, label_name
from curricle.top.views import HELP, acts_text, label_columns, task_columns, task_text

_INTERVALS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Seconds between two readings of all tasks, at least.
_DETAIL_SECONDS = 3.0
_WIDE = 120


class Top(App[None]):
    """Shows a session until it is told to quit; it only reads.

    Args:
        session: an open handle of the session, which is closed at the end.
        name: what the session is called, and found again by when it has been replaced.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = f"""
    #heading {{ height: {LINES}; }}
    #title {{ height: 1; text-style: bold; background: $panel; }}
    #body {{ height: 1fr; }}
    #views {{ width: 1fr; }}
    #histograms {{ display: none; width: 1fr; height: 1fr; }}
    .histograms #histograms {{ display: block; }}
    .histograms.narrow #views {{ display: none; }}
    .histograms.wide #histograms {{ width: 46; border-left: solid $panel; padding-left: 1; }}
    #filter {{ display: none; height: 1; border: none; padding: 0; }}
    #filter.open {{ display: block; }}
    Table {{ height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "back", key_display="esc"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("h", "histograms", "histograms"),
        Binding("a", "view('acts')", "acts"),
        Binding("p", "pause", "pause"),
        Binding("question_mark", "view('help')", "help", key_display="?"),
        Binding("q,ctrl+c", "quit", "quit", key_display="q"),
        Binding("plus,equals_sign", "faster(1)", show=False),
        Binding("minus", "faster(-1)", show=False),
        Binding("n", "follow", show=False),
    ]

    def __init__(self, session: Session, name: str) -> None:
        super().__init__()
        self.history = History()
        self.shown: Look | None = None
        self.interval = 1.0
        self.paused = False
        self.ended_at: float | None = None
        self._session = session
        self._called = name
        self._successor: Session | None = None
        self._label: str | None = None
        self._task_id = 0
        self._before: list[str] = []
        self._all_tasks: Tasks | None = None
        self._record: Task | None = None
        self._detail_due = 0.0
        self._detail_wait = _DETAIL_SECONDS
        self._seen_live = False
        self._budget = Budget()

    def compose(self) -> ComposeResult:
        """The heading, a line that says what is below it, the views, the keys."""
        yield Lines(id="heading")
        yield Lines(id="title")
        with Horizontal(id="body"):
            with ContentSwitcher(id="views", initial="labels"):
                yield Table("share", id="labels")
                yield Table("probability", id="tasks")
                for name in ("task", "acts", "help"):
                    with VerticalScroll(id=name):
                        yield Static(id=f"{name}-text", markup=False)
            yield Lines(id="histograms")
        box = Input(id="filter", placeholder="a part of a label, or the id of a task", compact=True)
        # It would be painted twice a second.
        box.cursor_blink = False
        yield box
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Looks for the first time."""
        self.query_one("#help-text", Static).update(HELP)
        self.query_one("#labels").focus()
        self._on_width(self.size.width)
        self.run_worker(self._look_and_go_on())

    def on_unmount(self) -> None:
        """Lets the session go."""
        self._session.close()
        if self._successor is not None:
            self._successor.close()

    @property
    def view(self) -> str:
        """What is below the heading: "labels", "tasks", "task", "acts" or "help"."""
        return self.query_one(ContentSwitcher).current or "labels"

    # Looking.

    async def _look_in_time(self) -> None:
        if self._reading:
            # What that takes is known when it is done.
            self.set_timer(self.interval, self._look_in_time)
            return
        # Waiting costs something as well: it would be waited for without an end.
        self._budget.stop_counting()
        rest = self._budget.rest(self.interval)
        if rest > 0.0:
            self.set_timer(rest, self._look_and_go_on)
        else:
            await self._look_and_go_on()

    async def _look_and_go_on(self) -> None:
        self._budget.begin()
        if self.shown is None:
            # It comes with what is done once, at the start.
            self._budget.stop_counting()
        if not self.paused:
            await self.look()
        self.set_timer(max(0.001, self._budget.rest(self.interval)), self._look_in_time)

    async def on_event(self, event: events.Event) -> None:
        """Answers keys and the mouse at once: what that takes delays no look."""
        if isinstance(event, events.InputEvent | events.Resize) and not self._reading:
            self._budget.stop_counting()
        await super().on_event(event)

    async def look(self) -> None:
        """Looks at the session once, in a thread, and shows what is new."""
        session = self._session
        if self.ended_at is None:
            look = await asyncio.to_thread(look_at, session, self.shown)
            if session is not self._session:
                return
            self.history.add(look)
            self.shown = look
            self._seen_live |= look.live
            if not look.live:
                self.ended_at = look.time
        elif self._successor is None:
            self._successor = await asyncio.to_thread(self._new_session)
        if self._wants_detail() and time.monotonic() >= self._detail_due:
            self._closer_now()
        self._show()

    def _wants_detail(self) -> bool:
        return self.view in ("tasks", "task") or self.histograms_open

    @property
    def _reading(self) -> bool:
        return self._detail_due == inf

    @property
    def histograms_open(self) -> bool:
        """Whether histograms are shown."""
        return self.query_one("#body").has_class("histograms")

    async def look_closer(self) -> None:
        """Reads all tasks, or one, as the view needs it, in a thread, and shows them."""
        session, task_id = self._session, self._task_id
        apart, work = self._budget.apart, 0.0
        if self.view == "task":
            self._record, took = await asyncio.to_thread(apart, read_task, session, task_id)
            work += took
        if self.view == "tasks" or self.histograms_open:
            self._all_tasks, took = await asyncio.to_thread(apart, read_tasks, session)
            work += took
        work += apart(self._show_closer)[1]
        self._detail_wait = max(_DETAIL_SECONDS, work / MOST_WORK)
        self._detail_due = time.monotonic() + self._detail_wait

    def _new_session(self) -> Session | None:
        """A live session of the name other than the one that is shown."""
        try:
            found = look_into(self._called)
        except SessionError:
            return None
        if found.live and found.created_at != self._session.created_at:
            return found
        found.close()
        return None

    # Showing.

    def _show(self) -> None:
        """Shows the last look."""
        look = self.shown
        if look is None or not self.is_running:
            return
        created_at = self._session.created_at
        text = heading(self._called, created_at, look, self.history, self._state())
        self.query_one("#heading", Lines).say(text.split("\n"))
        view = self.view
        if view == "labels" and self.query_one("#views").display:
            self.query_one("#labels", Table).show(label_columns(self.history), self.history.labels)
        elif view == "acts":
            self._say(view, acts_text(look))
        self._show_title()

    def _show_closer(self) -> None:
        """Shows what was read of the tasks."""
        if not self.is_running:
            return
        view, tasks = self.view, self._all_tasks
        if view == "task":
            self._say(view, task_text(self._task_id, self._record))
        elif view == "tasks" and tasks is not None:
            fields = tasks.of(self._label)
            self.query_one("#tasks", Table).show(task_columns(fields), fields["task_id"])
        if self.histograms_open:
            self._show_histograms()
        self._show_title()

    def _show_all(self) -> None:
        self._show()
        self._show_closer()

    def _say(self, view: str, text: str) -> None:
        static = self.query_one(f"#{view}-text", Static)
        if static.content != text:
            static.update(text)

    def _state(self) -> str:
        if self.ended_at is None:
            return "PAUSED" if self.paused else "live"
        ended = f"ended {'' if self._seen_live else 'before '}{clock(self.ended_at)}"
        if self._successor is None:
            return ended
        return f"{ended}, runs again: n follows"

    def _show_title(self) -> None:
        view = self.view
        if view in ("labels", "tasks"):
            table = self.query_one(f"#{view}", Table)
            what = "labels" if view == "labels" else f"tasks of {label_name(self._label)}"
            order = f"by {table.sorted_by}{'' if table.descending else ', least first'}"
            parts = [f"{table.seen:,} {what}", order]
            if table.filter:
                parts.insert(1, f'with "{table.filter}"')
        else:
            parts = [{"task": f"task {self._task_id}", "acts": "acts", "help": "help"}[view]]
        if view == "tasks" and self._all_tasks is None:
            parts = [f"tasks of {label_name(self._label)}", "being read"]
        parts.append(f"every {self.interval:g} s")
        needed, slower = self._budget.needed, []
        if needed > self.interval:
            slower.append(f"now {needed:.1f} s")
        if self._wants_detail() and self._detail_wait > _DETAIL_SECONDS:
            slower.append(f"tasks {self._detail_wait:.0f} s")
        if slower:
            parts.append(f"{', '.join(slower)}: {MOST_WORK:.0%} of a core at most")
        self.query_one("#title", Lines).say([" \N{MIDDLE DOT} ".join(parts)])

    def _show_histograms(self) -> None:
        panel = self.query_one("#histograms", Lines)
        if self._all_tasks is None:
            panel.say(["histograms: tasks are being read"])
            return
        fields = self._all_tasks.fields
        tasks = len(fields["task_id"])
        titled = [
            (f"LP of {tasks:,} tasks", fields["lp_score"]),
            (f"probability of {tasks:,} tasks", fields["probability"]),
        ]
        text = both(titled, panel.size.width, panel.size.height)
        panel.say(text.split("\n"))

    # What keys and the mouse do.

    def action_view(self, view: str) -> None:
        """Opens a view over the one that is open, or closes it again."""
        if self.view == view:
            self.action_close()
        else:
            self._before.append(self.view)
            # In a narrow terminal they would hide it.
            if self.query_one("#body").has_class("narrow"):
                self.query_one("#body").remove_class("histograms")
            self._open(view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Names in the line of keys only those that do something in this view."""
        if action == "filter":
            return self.view in ("labels", "tasks")
        if action == "close":
            return bool(self._before) or self.histograms_open or bool(self._filter_of_view)
        return True

    @property
    def _filter_of_view(self) -> str:
        table = self.query_one(f"#{self.view}")
        return table.filter if isinstance(table, Table) else ""

    def action_close(self) -> None:
        """Clears the filter, or closes what was opened last."""
        table = self.query_one(f"#{self.view}")
        if isinstance(table, Table) and table.filter:
            table.set_filter("")
        elif self._before:
            self._open(self._before.pop())
        elif self.histograms_open:
            self.action_histograms()

    def _open(self, view: str) -> None:
        self.query_one(ContentSwitcher).current = view
        self.query_one(f"#{view}").focus()
        self.refresh_bindings()
        self._closer_now()
        self._show_all()

    def _closer_now(self) -> None:
        """Reads what a view that was just opened needs, paused or not."""
        if self._wants_detail():
            # One reading at a time.
            self._detail_due = inf
            self.run_worker(self.look_closer(), group="details", exclusive=True)

    def on_table_opened(self, opened: Table.Opened) -> None:
        """Goes from labels to the tasks of one, and from them to one task."""
        if self.view == "labels":
            self._label = opened.key if isinstance(opened.key, str) else None
            self.query_one("#tasks", Table).show([], [])
            self.action_view("tasks")
        elif self.view == "tasks":
            self._task_id, self._record = int(str(opened.key)), None
            self.action_view("task")

    def on_table_arranged(self) -> None:
        """Says what the order and the filter are."""
        self._show_title()
        self.refresh_bindings()

    def action_histograms(self) -> None:
        """Shows histograms, in a narrow terminal in place of the view, or hides them."""
        self.query_one("#body").toggle_class("histograms")
        # What is hidden has lost the keys.
        self.query_one(f"#{self.view}").focus()
        self.refresh_bindings()
        self._closer_now()
        self.call_after_refresh(self._show_all)

    def action_filter(self) -> None:
        """Asks what to filter by."""
        if self.view not in ("labels", "tasks"):
            return
        box = self.query_one("#filter", Input)
        box.value = self.query_one(f"#{self.view}", Table).filter
        box.add_class("open")
        box.focus()

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Filters as it is typed."""
        if changed.input.has_class("open"):
            self.query_one(f"#{self.view}", Table).set_filter(changed.value)

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Keeps the filter."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self.query_one(f"#{self.view}").focus()

    def on_key(self, event: events.Key) -> None:
        """Leaves the filter by escape, without one."""
        box = self.query_one("#filter", Input)
        if event.key == "escape" and box.has_focus:
            box.value = ""
            self.query_one(f"#{self.view}", Table).set_filter("")
            self._close_filter()
            event.stop()

    def action_pause(self) -> None:
        """Stops looking, or goes on."""
        self.paused = not self.paused
        self._show()

    def action_faster(self, steps: int) -> None:
        """Looks more often, or less."""
        at = _INTERVALS.index(self.interval) - steps
        self.interval = _INTERVALS[max(0, min(at, len(_INTERVALS) - 1))]
        self._show_title()

    async def action_follow(self) -> None:
        """Goes over to the new session of the name, where there is one."""
        if self._successor is None:
            return
        # Nobody reads what is closed.
        self.workers.cancel_group(self, "details")
        self._session.close()
        self._session, self._successor = self._successor, None
        self.history = History()
        self.shown = self.ended_at = self._all_tasks = self._record = None
        self._detail_due = 0.0
        self._seen_live = False
        await self.look()

    def on_resize(self, event: events.Resize) -> None:
        """Uses the room there is."""
        self._on_width(event.size.width)
        self.call_after_refresh(self._show_all)

    def _on_width(self, width: int) -> None:
        body = self.query_one("#body")
        body.set_class(width >= _WIDE, "wide")
        body.set_class(width < _WIDE, "narrow")
