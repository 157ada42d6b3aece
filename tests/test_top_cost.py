"""What `curricle top` leaves undone: painting what did not change, and looking too often."""

import time

import pytest

from curricle.top.app import Top
from curricle.top.budget import MOST_WORK, Budget
from curricle.top.history import MOST_POINTS
from curricle.top.lines import Lines
from curricle.top.table import Table
from session_workers import KEPT
from test_top import play_in_kept, run, screen, trainer, watching

__all__ = ["trainer"]


class Clock:
    """Processor time that passes when a test says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "process_time", lambda: self.now)
        monkeypatch.setattr(time, "thread_time", lambda: self.now)

    def work(self, seconds):
        self.now += seconds


class Painted:
    """Which lines of widgets were painted, and how often the screen was laid out."""

    def __init__(self, app, monkeypatch):
        self.lines, self.layouts = [], 0
        for kind in (Table, Lines):
            monkeypatch.setattr(kind, "render_line", self._noting(kind.render_line))
        app.screen.screen_layout_refresh_signal.subscribe(app, self._laid_out)

    def _noting(self, render_line):
        def noting(widget, y):
            self.lines.append((widget.id, y))
            return render_line(widget, y)

        return noting

    def _laid_out(self, _):
        self.layouts += 1

    def of(self, widget):
        return sorted(y for id, y in self.lines if id == widget)


def score_often_in_kept(task_id, n):
    for _ in range(n):
        KEPT["session"].update(task_id, 0.5)


def test_only_lines_that_changed_are_painted(trainer, monkeypatch):
    trainer.ask(play_in_kept, 50)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            # Curves get longer by every look until there are enough of them.
            for _ in range(MOST_POINTS // 4):
                await app.look()
            await pilot.pause()
            painted = Painted(app, monkeypatch)
            await app.look()
            await pilot.pause()
            assert painted.of("labels") == []
            assert painted.of("title") == []
            # The age and the rate go on.
            assert set(painted.of("heading")) <= {0, 1}
            await pilot.press("down")
            await pilot.pause()
            assert painted.of("labels") == [1, 2]
            painted.lines.clear()
            trainer.ask(score_often_in_kept, 2, 1)
            await app.look()
            await pilot.pause()
            (row,) = (y for y, line in enumerate(screen(app)) if line.startswith("jump"))
            assert row - 6 in painted.of("labels")
            assert painted.layouts == 0

    run(scenario())


def test_looks_of_much_work_come_seldom_and_the_title_says_so(trainer, monkeypatch):
    clock = Clock(monkeypatch)
    waits = []

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            app.interval = 0.25
            monkeypatch.setattr(app, "set_timer", lambda seconds, _: waits.append(seconds))
            monkeypatch.setattr(app.history, "add", lambda _: clock.work(1.0))
            await app._look_and_go_on()
            assert waits[-1] == pytest.approx(1.0 / MOST_WORK, rel=0.1)
            # Painting comes after a look.
            clock.work(0.5)
            await app._look_in_time()
            assert waits[-1] == pytest.approx(1.5 / MOST_WORK, rel=0.1)
            # A wait is not waited for.
            clock.work(0.5)
            await app._look_and_go_on()
            await pilot.pause()
            assert "every 0.25 s · now 150.0 s: 1% of a core at most" in screen(app)[5]
            # What a key asks for is done at once, and delays nothing.
            await pilot.press("p")
            assert " PAUSED " in screen(app)[0]
            clock.work(5.0)
            await app._look_in_time()
            assert waits[-1] == pytest.approx(1.0 / MOST_WORK, rel=0.1)

    run(scenario())


def test_looks_of_little_work_come_when_they_are_meant_to(monkeypatch):
    clock = Clock(monkeypatch)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    budget = Budget()
    budget.begin()
    clock.work(0.5 * MOST_WORK)
    assert budget.rest(1.0) == 1.0
    # Reading tasks has a share of its own.
    assert budget.apart(clock.work, 3.0) == (None, 3.0)
    assert budget.rest(1.0) == 1.0
    clock.work(1.5 * MOST_WORK)
    assert budget.rest(1.0) == pytest.approx(2.0)
    budget.begin()
    assert budget.needed == pytest.approx(2.0)


def test_the_first_look_does_not_delay_the_second(trainer, monkeypatch):
    clock = Clock(monkeypatch)
    looks = []
    look = Top.look

    async def slow_look(app):
        looks.append(app)
        clock.work(9.0)
        await look(app)

    monkeypatch.setattr(Top, "look", slow_look)

    async def scenario():
        async with watching(trainer.name) as (app, _):
            assert len(looks) == 1
            assert app._budget.rest(app.interval) <= app.interval

    run(scenario())
