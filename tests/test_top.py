"""`curricle top`: what it shows of a session that another process works on."""

import asyncio
import html
import re
import secrets
import subprocess
import sys
from contextlib import asynccontextmanager, closing

import numpy as np
import pytest

from curricle import list_sessions
from curricle.errors import SessionError
from curricle.looking import look_into
from curricle.top import finding
from curricle.top.app import Top
from curricle.top.detail import read_tasks
from curricle.top.look import COUNTS, look_at
from session_workers import KEPT, LIMIT, Worker, close_session, open_session

LABELS = ["walk", "walk", "jump", "[bold]no markup[/]", "Evil\x1b[31m\nlabel", None]

# Size of a sign in a picture of the screen.
SVG_LINE, SVG_COLUMN = 24.4, 12.2


def create_in_kept(labels):
    KEPT["session"].create_many(np.arange(len(labels)), labels)


def leave_kept():
    if "session" in KEPT:
        close_session()


def score_in_kept(task_id, *scores):
    for score in scores:
        KEPT["session"].update(task_id, score)


def play_in_kept(n):
    session = KEPT["session"]
    tickets = session.draw_many(n)
    session.report_many(tickets, np.linspace(0.0, 1.0, n))


def steer_kept():
    KEPT["session"].steer(frozen=True)
    KEPT["session"].limit_share("walk", 0.3, 1.0)
    KEPT["session"].limit_share("jump", 0.0, 0.0)


@pytest.fixture
def trainer():
    """A process with a session of tasks; it stays as long as the test."""
    worker = Worker()
    worker.name = f"test-{secrets.token_hex(8)}"
    worker.ask(open_session, 8, name=worker.name, seed=5)
    worker.ask(create_in_kept, LABELS)
    yield worker
    worker.ask(leave_kept)
    assert worker.end() == 0


@asynccontextmanager
async def watching(name, size=(80, 24)):
    app = Top(look_into(name), name)
    # The test says when it looks.
    app.interval = 16.0
    async with app.run_test(size=size) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        yield app, pilot


def screen(app):
    """The lines on the screen, from its picture."""
    pieces = re.findall(
        r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>',
        app.export_screenshot(),
    )
    pieces = [(float(y), float(x), text) for kind, x, y, text in pieces if "title" not in kind]
    first = min(pieces)[0]
    rows = [""] * app.size.height
    for y, x, text in sorted(pieces):
        row = round((y - first) / SVG_LINE)
        # Blanks are left out.
        rows[row] = rows[row].ljust(round(x / SVG_COLUMN))
        rows[row] += html.unescape(text).replace("\xa0", " ")
    return [row.rstrip() for row in rows]


def on_screen(app, text):
    lines = screen(app)
    assert any(text in line for line in lines), "\n".join(lines)


def line_of(app, start):
    (line,) = (line for line in screen(app) if line.startswith(start))
    return line.split()


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, LIMIT))


def labels_in_order(app):
    lines = screen(app)
    begin = next(at for at, line in enumerate(lines) if re.match("label[ ▲▼]", line)) + 1
    return [line[:12].strip() for line in lines[begin:-1] if line.strip()]


def test_numbers_are_the_sessions(trainer):
    trainer.ask(score_in_kept, 0, 0.0, 1.0, 1.0)
    trainer.ask(score_in_kept, 2, 0.25)
    trainer.ask(play_in_kept, 50)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            with looking(trainer.name) as session:
                totals, labels = session.totals(), session.label_totals()
            assert line_of(app, trainer.name)[1:5] == ["live", "·", "1", "process"]
            on_screen(app, "episodes 54  draws 50  LP")
            on_screen(app, f"LP {totals['lp_mean']:.3f}")
            on_screen(app, "tasks 6/8  evicted 0 (-/s)  late reports 0  recoveries 0")
            cells = line_of(app, "walk")
            walk = labels["walk"]
            assert cells[1] == f"{walk['completions']:.0f}"
            assert cells[2] == f"{100 * walk['scheduled'] / 50:.1f}%"
            numbers = [cell for cell in cells if re.fullmatch(r"[\d.]+", cell)]
            assert numbers[1] == f"{walk['score_sum'] / walk['completions']:.3f}"
            assert numbers[2] == f"{walk['lp_mean']:.3f}"
            rest = 54 - sum(row["completions"] for row in labels.values())
            assert line_of(app, "(no label)")[2] == f"{rest:.0f}"
            # What comes later is shown, and scores are those of that time.
            trainer.ask(score_in_kept, 2, 1.0)
            await app.look()
            await pilot.pause()
            on_screen(app, "episodes 55")
            assert "1.000" in line_of(app, "jump")

    run(scenario())


def looking(name):
    return closing(look_into(name))


def test_watching_attaches_to_nothing(trainer):
    async def scenario():
        async with watching(trainer.name):
            (facts,) = (facts for facts in list_sessions() if facts["name"] == trainer.name)
            assert facts["processes"] == [trainer.process.pid]

    run(scenario())


def test_users_text_is_shown_literally(trainer):
    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            on_screen(app, "[bold]no markup[/]")
            on_screen(app, "Evil\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}label")
            await pilot.press("slash", *"[/]")
            await pilot.pause()
            on_screen(app, '1 labels · with "[/]"')
            await pilot.press("enter", "enter")
            await app.look_closer()
            await pilot.pause()
            on_screen(app, "1 tasks of [bold]no markup[/]")

    run(scenario())


def test_sorting_by_keys_and_by_mouse(trainer):
    trainer.ask(score_in_kept, 2, *[0.5] * 9)
    trainer.ask(score_in_kept, 0, *[0.9] * 5)
    trainer.ask(score_in_kept, 5, *[0.1] * 3)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            assert labels_in_order(app)[:3] == ["jump", "walk", "(no label)"]
            # share, score: without a score a label is last, whichever way.
            await pilot.press("greater_than_sign")
            assert labels_in_order(app)[:3] == ["walk", "jump", "(no label)"]
            await pilot.press("r")
            assert labels_in_order(app)[:3] == ["(no label)", "jump", "walk"]
            on_screen(app, "by score, least first")
            await pilot.click("#labels", offset=(3, 0))
            assert labels_in_order(app)[0] == "(no label)"
            await pilot.click("#labels", offset=(3, 0))
            assert labels_in_order(app)[0] == "walk"
            await pilot.click("#labels", offset=(1, 2))
            await pilot.press("enter")
            assert app.view == "tasks"
            on_screen(app, "tasks of jump")

    run(scenario())


def test_the_cursor_stays_with_its_label(trainer):
    trainer.ask(score_in_kept, 2, 0.5, 0.5)
    trainer.ask(score_in_kept, 0, 0.5)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            await pilot.press("down")
            trainer.ask(score_in_kept, 5, *[0.5] * 9)
            await app.look()
            assert labels_in_order(app)[:3] == ["(no label)", "walk", "jump"]
            await pilot.press("enter")
            on_screen(app, "tasks of walk")

    run(scenario())


def test_a_filter_is_typed_kept_and_cleared(trainer):
    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            await pilot.press("slash", *"WAL")
            assert labels_in_order(app)[0] == "walk"
            on_screen(app, '1 labels · with "WAL"')
            await pilot.press("enter", "down")
            on_screen(app, '1 labels · with "WAL"')
            await pilot.press("escape")
            assert len(labels_in_order(app)) == 5
            await pilot.press("slash", *"eVI")
            assert labels_in_order(app)[0].startswith("Evil")
            await pilot.press("escape")
            assert len(labels_in_order(app)) == 5

    run(scenario())


def test_down_to_the_record_of_a_task(trainer):
    trainer.ask(score_in_kept, 0, 0.0, 1.0, 0.5)
    trainer.ask(score_in_kept, 1, 1.0)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            with looking(trainer.name) as session:
                ids, probabilities = session.probabilities()
                data = session.read(0)
            share = f"{probabilities[ids == 0][0]:.3g}"
            await pilot.press("slash", *"walk", "enter", "enter")
            await app.workers.wait_for_complete()
            await pilot.pause()
            on_screen(app, "2 tasks of walk")
            await pilot.press("slash", "0", "enter")
            on_screen(app, "1 tasks of walk")
            assert line_of(app, "0 ")[:2] == ["0", share]
            await pilot.press("enter")
            await app.workers.wait_for_complete()
            await pilot.pause()
            on_screen(app, f"probability       {share}")
            on_screen(app, f"completion_count  {data.completion_count}")
            on_screen(app, "mean_score        0.5")
            await pilot.press("escape", "escape", "escape", "escape")
            assert app.view == "labels"

    run(scenario())


def test_a_task_that_is_gone_is_said_to_be(trainer):
    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            await pilot.press("slash", *"jump", "enter", "enter")
            await app.workers.wait_for_complete()
            await pilot.press("enter")
            trainer.ask(remove_in_kept, 2)
            await app.look_closer()
            await pilot.pause()
            on_screen(app, "task 2 is not in the session any more")

    run(scenario())


def remove_in_kept(task_id):
    KEPT["session"].remove(task_id)


def test_histograms_and_acts(trainer):
    trainer.ask(score_in_kept, 0, 0.0, 1.0)

    async def scenario():
        async with watching(trainer.name, size=(130, 40)) as (app, pilot):
            tasks, episodes = line_of(app, "walk")[1:3]
            assert (tasks, episodes) == ("2", "2")
            await pilot.press("h")
            await app.workers.wait_for_complete()
            await pilot.pause()
            on_screen(app, "LP of 6 tasks")
            on_screen(app, "probability of 6 tasks")
            # Where there is room, the table is still there.
            on_screen(app, "label ")
            on_screen(app, "walk ")
            await pilot.resize_terminal(80, 24)
            await pilot.pause()
            on_screen(app, "LP of 6 tasks")
            await pilot.press("a")
            on_screen(app, "no acts of steering")
            trainer.ask(steer_kept)
            await app.look()
            await pilot.pause()
            pid = trainer.process.pid
            on_screen(app, "steering frozen · ban jump · share of walk at least 0.3")
            on_screen(app, f"process {pid}: freeze")
            on_screen(app, f"process {pid}: share of walk at least 0.3")
            assert any(re.match(r"last act [\d:]{8} .* ban jump", row) for row in screen(app))

    run(scenario())


def test_the_end_of_a_session_and_the_next_one(trainer):
    trainer.ask(play_in_kept, 7)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            trainer.ask(play_in_kept, 4)
            trainer.ask(close_session)
            await app.look()
            await pilot.pause()
            assert re.search(r"  ended [\d:]{8} ", screen(app)[0])
            on_screen(app, "episodes 11 ")
            await app.look()
            await pilot.press("n")
            on_screen(app, "episodes 11 ")
            # Its tasks can still be gone through.
            await pilot.press("enter")
            await app.workers.wait_for_complete()
            await pilot.press("escape")
            trainer.ask(open_session, 8, name=trainer.name)
            trainer.ask(create_in_kept, ["new"] * 7)
            # More than the other had: what is new must not be taken for what was added.
            trainer.ask(play_in_kept, 30)
            await app.look()
            await pilot.pause()
            on_screen(app, "episodes 11 ")
            on_screen(app, "runs again: n follows")
            await pilot.press("n")
            await pilot.pause()
            assert "  live " in screen(app)[0]
            on_screen(app, "episodes 30 ")
            on_screen(app, "episodes/s - ")
            assert labels_in_order(app) == ["new"]

    run(scenario())


def test_a_pause_shows_nothing_new(trainer):
    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            await pilot.press("p")
            await pilot.pause()
            assert "  PAUSED " in screen(app)[0]
            await pilot.press("p", "plus", "plus")
            await pilot.pause()
            on_screen(app, "every 4 s")

    run(scenario())


def test_eighty_columns_cut_nothing_off(trainer):
    trainer.ask(steer_kept)

    async def scenario():
        async with watching(trainer.name) as (app, pilot):
            lines = screen(app)
            assert len(lines) == 24
            assert not any("…" in line for line in lines[:6])
            for key in "sort", "open", "filter", "histograms", "acts", "pause", "help", "quit":
                assert key in lines[-1]
            await pilot.press("question_mark")
            await pilot.pause()
            shown = "\n".join(screen(app))
            assert "LP is the mean learning progress of the tasks." in shown
            await pilot.press("escape", "enter")
            await pilot.pause()
            for key in "sort", "open", "back", "filter", "help", "quit":
                assert key in screen(app)[-1]

    run(scenario())


def test_without_a_terminal_it_is_one_snapshot(trainer):
    trainer.ask(play_in_kept, 20)
    command = [sys.executable, "-m", "curricle.cli", "top", trainer.name]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:2] == [trainer.name, "live"]
    assert "episodes/s 0 " in ran.stdout
    assert "episodes 20  draws 20" in ran.stdout
    assert "\x1b" not in ran.stdout
    rows = [line.split() for line in lines if line.startswith(("walk", "jump"))]
    with looking(trainer.name) as session:
        for row in rows:
            assert float(row[2]) == session.label_totals()[row[0]]["completions"]
    assert len(lines) == 5 + 1 + 1 + 5


def test_a_session_that_is_not_there():
    command = [sys.executable, "-m", "curricle.cli", "top", "\N{SNOWMAN}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: there is no session")
    assert ran.stderr.count("\n") == 1


def test_which_session_is_meant_without_a_name(trainer, monkeypatch):
    def of_this_test():
        return [facts for facts in list_sessions() if facts["name"].startswith(trainer.name)]

    monkeypatch.setattr(finding, "list_sessions", of_this_test)
    session, called = finding.find(None)
    assert (called, len(session)) == (trainer.name, 6)
    other = Worker()
    other.ask(open_session, 8, name=f"{trainer.name}-2")
    with pytest.raises(SessionError, match=f"2 sessions .*: {trainer.name}, {trainer.name}-2"):
        finding.find(None)
    other.ask(leave_kept)
    assert other.end() == 0
    trainer.ask(close_session)
    with pytest.raises(SessionError, match="no session is live"):
        finding.find(None)


def test_a_look_counts_tasks_without_a_label(trainer):
    trainer.ask(score_in_kept, 5, 0.25, 0.75)
    trainer.ask(score_in_kept, 0, 1.0)
    with looking(trainer.name) as session:
        look = look_at(session)
        tasks = read_tasks(session)
    row = look.counts[look.labels.index(None)]
    assert row[: COUNTS.index("lp_sum")].tolist() == [1, 0, 2, 1.0]
    assert tasks.of(None)["task_id"].tolist() == [5]
    assert tasks.of("walk")["task_id"].tolist() == [0, 1]
    assert tasks.of("never heard of")["task_id"].tolist() == []
