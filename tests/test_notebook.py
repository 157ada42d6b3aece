"""What a curriculum shows of itself: at a prompt, in a notebook, in pictures, during long work."""

import html
import os
import secrets
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from curricle import Curriculum, LearningProgressConfig, Session, TaskData

LOCAL = LearningProgressConfig(use_shared_memory=False)
MARKUP = "<b>&$x_1$"


class Cells(HTMLParser):
    """The texts of a table's cells, and the tags that were met."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data):
        if self.rows:
            self.rows[-1].append(data)


def played(labels, config=LOCAL, **options):
    curriculum = Curriculum([{"label": label} for label in labels], config, **options)
    curriculum.report([0, 0, 1], [0.0, 1.0, 0.25])
    return curriculum


class TestCurriculum:
    def test_the_line_says_where_how_many_and_how_much(self):
        name = f"test-{secrets.token_hex(8)}"
        with played(["a", "b"], LearningProgressConfig(), session=name) as curriculum:
            line = repr(curriculum)
            assert line.startswith(f"Curriculum(session '{name}', LearningProgressConfig, 2 tasks")
            assert "3 episodes" in line
        assert repr(curriculum) == f"Curriculum(session '{name}', closed)"
        assert curriculum._repr_html_() == f"<code>{html.escape(repr(curriculum))}</code>"

    def test_the_table_has_the_labels_drawn_most_and_escapes_them(self):
        curriculum = played([MARKUP, *(f"l{at}" for at in range(14))])
        for _ in range(50):
            curriculum.tracker.draw()
        cells = Cells(curriculum._repr_html_())
        assert cells.tags == {"code", "table", "thead", "tbody", "tr", "th", "td"}
        head, *rows = cells.rows
        assert head == ["label", "tasks", "draws", "episodes", "mean score", "mean LP"]
        draws = [int(row[2]) for row in rows]
        assert len(rows) == 10
        assert draws == sorted(draws, reverse=True)
        totals = curriculum.label_totals()
        assert draws == [totals[row[0]]["scheduled"] for row in rows]
        assert "and 5 more labels" in curriculum._repr_html_()

    def test_without_labels_there_is_no_table(self):
        assert "table" not in Curriculum(3, LOCAL)._repr_html_()


def test_a_session_says_where_it_is_and_whether_it_is_open(tmp_path):
    name = f"test-{secrets.token_hex(8)}"
    session = Session(10, name=name)
    session.create(1)
    assert repr(session) == f'Session(name="{name}", 1 of 10 tasks)'
    session.close()
    assert repr(session) == f'Session(name="{name}", closed)'
    assert repr(Session(10)) == "Session(of this process, 0 of 10 tasks)"
    path = tmp_path / "run.session"
    assert repr(Session(10, path=str(path))) == f'Session(path="{path}", 0 of 10 tasks)'


def test_a_record_is_a_table_of_its_fields():
    data = TaskData(7, label=MARKUP)
    rows = dict(map(tuple, Cells(data._repr_html_()).rows))
    assert rows == {name: repr(value) for name, value in data.as_dict().items()}


class TestPictures:
    @pytest.mark.parametrize("tasks", [1, 30])
    def test_labels_have_a_bar_each_and_the_rest_one_together(self, tasks):
        curriculum = played([MARKUP, *(f"l{at}" for at in range(tasks))])
        share, score, progress = curriculum.plot_labels(max_labels=5).axes
        names = [text.get_text() for text in share.get_yticklabels()]
        shown = min(tasks + 1, 5)
        assert len(names) == shown + (tasks > 5)
        widths = [bar.get_width() for bar in share.patches]
        assert sum(widths) == pytest.approx(1.0)
        assert widths[:shown] == sorted(widths[:shown], reverse=True)
        means = {"<b>&$x_1$": 0.5, "l0": 0.25}
        for name, bar in zip(names, score.patches, strict=True):
            if name in means:
                assert bar.get_width() == means[name]
                assert not share.get_yticklabels()[names.index(name)].get_parse_math()
        totals = curriculum.label_totals()
        for name, bar in zip(names[:shown], progress.patches, strict=False):
            assert bar.get_width() == pytest.approx(totals[name]["lp_mean"])

    def test_progress_has_a_point_for_each_task_with_a_score(self):
        curriculum = played(["a", "b", "c"])
        left, right = curriculum.plot_progress().axes
        (points,) = left.collections
        records = [curriculum.tracker.backend.read(task_id) for task_id in (0, 1)]
        expected = [(data.reward_ema, data.lp_score) for data in records]
        assert points.get_offsets().tolist() == [pytest.approx(pair) for pair in expected]
        assert right.lines[0].get_ydata()[-1] == pytest.approx(1.0)

    def test_many_tasks_and_long_labels_still_make_a_picture(self, tmp_path):
        labels = [f"{'long ' * 20}{at % 300}" for at in range(6_000)]
        curriculum = played(labels)
        curriculum.tracker.update_batch(range(6_000), [at % 7 / 6 for at in range(6_000)])
        for figure in (curriculum.plot_labels(), curriculum.plot_progress()):
            assert figure._repr_png_().startswith(b"\x89PNG")
        names = [text.get_text() for text in curriculum.plot_labels().axes[0].get_yticklabels()]
        assert max(map(len, names)) <= 40

    def test_a_number_of_labels_that_is_none(self):
        with pytest.raises(ValueError, match=r"max_labels.*0"):
            played(["a"]).plot_labels(0)


SCRIPT = """
from curricle import Curriculum, LearningProgressConfig
config = LearningProgressConfig(use_shared_memory=False)
curriculum = Curriculum([{{"label": "a"}}] * {tasks}, config)
curriculum.save({path!r})
curriculum.load({path!r})
"""


@pytest.mark.parametrize(("tasks", "terminal"), [(150_000, True), (150_000, False), (50, True)])
def test_long_work_shows_a_sign_of_life_on_a_terminal_only(tasks, terminal, tmp_path):
    script = SCRIPT.format(tasks=tasks, path=str(tmp_path / "checkpoint"))
    reader, writer = os.openpty() if terminal else os.pipe()
    command, env = [sys.executable, "-c", script], os.environ | {"TERM": "xterm"}
    child = subprocess.Popen(command, stderr=writer, env=env)
    os.close(writer)
    said = b""
    # A pseudo-terminal without writers is an error to read from.
    try:
        while chunk := os.read(reader, 4096):
            said += chunk
    except OSError:
        pass
    os.close(reader)
    assert child.wait() == 0
    words = [b"reading the labels of 150,000 tasks", b"creating", b"saving", b"loading"]
    shown = terminal and tasks == 150_000
    assert [word in said for word in words] == [shown] * 4, said
