"""The report of a run: what a parser and a browser read in it, and what it refuses."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import html_pages
from curricle import Curriculum, LearningProgressConfig, LocalMemoryBackend, Rules
from curricle.cli import app
from curricle.loggers import CsvLogger, JsonlLogger
from curricle.report import palette, tables, write_report
from curricle.report.history import MAX_POINTS, history_of_curve, history_of_log
from curricle.report.log_files import LogEntry, read_log
from curricle.training.curve import read_curve
from curricle.training.run_folder import create_folder
from curricle.training.settings import TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.trainer import train

EVIL = "</script><img src=x onerror=document.title='taken'>"
# A formula for matplotlib, a mark that turns the line round, a name that legends leave out.
ODD = ('$\\frac{1$ & "it\'s"', "left\u202eright", "_hidden", "tab\there", "日本")


def play(curriculum, rounds, logger, each=40):
    """Plays and logs; tasks of a label succeed the more often the later it stands."""
    labels = sorted({task.get_label() or "" for task in curriculum.eval()})
    rng = np.random.default_rng(0)
    for number in range(1, rounds + 1):
        for task in curriculum.draw_many(each):
            chance = (labels.index(task.get_label() or "") + 1) / len(labels)
            curriculum.report(task.ticket, float(rng.random() < chance), env_steps=5)
        logger.log(number * each * 5)


def local_curriculum(tasks, **options):
    config = LearningProgressConfig(
        use_shared_memory=False, score_range=(0.0, 1.0), max_labels=1000
    )
    return Curriculum(tasks, config, seed=0, **options)


def log_run(folder, labels, rounds=6, logger=JsonlLogger, tasks_per_label=3, **options):
    """A folder as a trainer of a user's leaves it, and the curriculum's totals."""
    folder.mkdir(exist_ok=True)
    tasks = [{"label": label} for label in labels for _ in range(tasks_per_label)]
    suffix = "csv" if logger is CsvLogger else "jsonl"
    with (
        local_curriculum(tasks) as curriculum,
        logger(curriculum, folder / f"log.{suffix}", **options) as log,
    ):
        play(curriculum, rounds, log)
        curriculum.save(str(folder / "session.ckpt"))
        return curriculum.label_totals()


class Silent:
    def show(self, progress, totals):
        """Shows nothing."""


def train_to(folder, episodes, **options):
    settings = TrainSettings(backend="local", processes=1, episodes=episodes, seed=3)
    if not folder.exists():
        create_folder(folder, settings)
    return train(settings, folder, Silent(), StopRequest(), **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was interrupted once, and what it ended with."""
    folder = tmp_path_factory.mktemp("runs") / "lines"
    train_to(folder, 60, evaluates=False)
    return folder, train_to(folder, 130, resume=True)


@pytest.fixture(scope="module")
def training_page(trained):
    return html_pages.parse(write_report(trained[0]).path)


@pytest.fixture(scope="module")
def evil_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "<b>&amp;"
    log_run(folder, [EVIL, *ODD])
    (folder / "settings.json").write_text(json.dumps({"note": EVIL, EVIL: {"depth": 2}}))
    return folder


@pytest.fixture(scope="module")
def large_report(tmp_path_factory):
    """10,000 tasks with 300 labels."""
    folder = tmp_path_factory.mktemp("large")
    log_run(folder, [f"label {i:03d}" for i in range(300)], 300, tasks_per_label=34)
    return write_report(folder)


def figures(page):
    return {one.attributes["id"]: one for one in page.find_all("figure")}


class TestTraining:
    def test_the_labels_are_those_of_the_session(self, trained, training_page):
        rows = {row["label"]: row for row in html_pages.table_rows(training_page, "labels")}
        totals = trained[1].totals
        assert rows.keys() == totals.keys()
        drawn = sum(total["scheduled"] for total in totals.values())
        last = history_of_curve(trained[1].progress.curve).success_by_label
        for label, total in totals.items():
            assert rows[label]["draws"] == total["scheduled"]
            assert rows[label]["LP"] == pytest.approx(total["lp_mean"], rel=1e-4)
            assert rows[label]["share"] == pytest.approx(total["scheduled"] / drawn, rel=1e-4)
            # Impossible labels are not evaluated.
            assert rows[label]["success"] == (pytest.approx(last[label]) if label in last else None)
        assert 0 < len(last) < len(totals)

    def test_the_tasks_are_the_pool(self, training_page):
        tasks = html_pages.table_rows(training_page, "tasks")
        assert len(tasks) == TrainSettings().pool_size
        labels = html_pages.table_rows(training_page, "labels")
        assert sum(row["tasks"] for row in labels) == len(tasks)
        assert sum(row["draws"] for row in labels) == sum(row["draws"] for row in tasks)

    def test_it_has_figures_settings_and_no_evictions(self, training_page):
        assert list(figures(training_page)) == [
            "learning",
            "scores",
            "shares",
            "points",
            "progress",
        ]
        settings = training_page.find("dl", **{"class": "settings"}).text
        assert "agent.learning_rate" in settings
        assert "learning-progress" in settings

    def test_a_run_that_went_on_is_there_once(self, trained):
        folder, result = trained
        points = read_curve(folder / "curve.csv")
        assert [(p.label, p.samples, p.lp) for p in points] == [
            (p.label, p.samples, p.lp) for p in result.progress.curve
        ]
        history = history_of_curve(points)
        assert (np.diff(history.steps) > 0).all()
        drawn = {label: one.draws.sum() for label, one in history.labels.items()}
        assert drawn == {label: total["scheduled"] for label, total in result.totals.items()}

    def test_a_run_without_a_checkpoint_has_the_labels_of_its_curve(self, trained, tmp_path):
        (tmp_path / "curve.csv").write_bytes((trained[0] / "curve.csv").read_bytes())
        page = html_pages.parse(write_report(tmp_path).path)
        rows = {row["label"]: row["draws"] for row in html_pages.table_rows(page, "labels")}
        totals = trained[1].totals
        assert rows == {label: total["scheduled"] for label, total in totals.items()}
        assert not list(page.find_all("section", **{"data-table": "tasks"}))


class TestLogs:
    @pytest.mark.parametrize("logger", [JsonlLogger, CsvLogger])
    def test_the_log_alone_gives_labels(self, logger, tmp_path):
        totals = log_run(tmp_path, ["walk", "jump", "swim"], logger=logger)
        (tmp_path / "session.ckpt").unlink()
        page = html_pages.parse(write_report(tmp_path).path)
        rows = {row["label"]: row for row in html_pages.table_rows(page, "labels")}
        for label, total in totals.items():
            assert rows[label]["draws"] == total["scheduled"]
            mean = total["score_sum"] / total["completions"]
            assert rows[label]["mean score"] == pytest.approx(mean, rel=1e-4)
            assert rows[label]["LP"] == pytest.approx(total["lp_mean"], rel=1e-4, abs=1e-12)
        assert list(figures(page)) == ["learning", "scores", "shares", "points", "progress"]

    def test_evictions_have_a_figure(self, tmp_path):
        lines = [
            {"step": step, "time": 0.0, "curriculum/draws": step, "curriculum/evictions": step / 10}
            for step in (10, 20, 30)
        ]
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        page = html_pages.parse(write_report(tmp_path).path)
        assert list(figures(page)) == ["evictions"]
        assert "3 tasks evicted" in figures(page)["evictions"].find("figcaption").text

    def test_steps_that_were_played_again_replace_the_earlier_ones(self, tmp_path):
        path = tmp_path / "log.jsonl"
        path.write_text(
            "".join(f'{{"step": {step}, "x": {step}}}\n' for step in (5, 10, 15, 10, 20))
        )
        assert [entry.step for entry in read_log(path, "jsonl")] == [5, 10, 20]

    def test_a_line_that_is_being_written_is_left_out(self, tmp_path):
        log_run(tmp_path, ["walk"])
        whole = read_log(tmp_path / "log.jsonl", "jsonl")
        with (tmp_path / "log.jsonl").open("a") as file:
            file.write('{"step": 99999, "cur')
        assert read_log(tmp_path / "log.jsonl", "jsonl") == whole

    def test_a_long_log_keeps_its_counts(self):
        shares = np.random.default_rng(0).random(1000)
        entries = [
            LogEntry(
                number,
                {
                    "curriculum/draws": 10.0 * number,
                    "curriculum/evictions": float(number // 3),
                    "curriculum_share/a": share,
                    "curriculum_share/other": 1 - share,
                    "curriculum_score/a": share,
                },
            )
            for number, share in enumerate(shares, start=1)
        ]
        history = history_of_log(entries)
        assert len(history.steps) == MAX_POINTS
        assert history.steps[-1] == 1000
        one = history.labels["a"]
        assert one.draws.sum() == pytest.approx(10 * shares.sum())
        assert one.score @ one.draws == pytest.approx(10 * shares @ shares)
        assert history.evictions.sum() == 333

    def test_an_algorithms_own_columns_do_not_matter(self, tmp_path):
        log_run(tmp_path, ["walk"])
        backend = LocalMemoryBackend(
            4, rules=Rules(progress="given"), columns=("seen", "staleness")
        )
        backend.create(-(2**62), label="own")
        backend.save(str(tmp_path / "later.ckpt"))
        written = write_report(tmp_path)
        assert not written.notes
        (task,) = html_pages.table_rows(html_pages.parse(written.path), "tasks")
        assert (task["task"], task["label"], task["mean score"]) == (str(-(2**62)), "own", None)

    def test_a_damaged_checkpoint_leaves_the_tasks_out_and_says_so(self, tmp_path):
        log_run(tmp_path, ["walk"])
        checkpoint = tmp_path / "session.ckpt"
        checkpoint.write_bytes(checkpoint.read_bytes()[:-8])
        result = CliRunner().invoke(app, ["report", str(tmp_path)])
        assert result.exit_code == 0
        assert f"Tasks are left out: {checkpoint}: the file is cut short" in result.output
        page = html_pages.parse(tmp_path / "report.html")
        assert "cut short" in page.find("p", **{"class": "note"}).text
        assert not list(page.find_all("section", **{"data-table": "tasks"}))


class TestPage:
    def test_a_hostile_label_is_text_everywhere(self, evil_folder):
        page = html_pages.parse(write_report(evil_folder).path)
        assert not list(page.find_all("img"))
        kinds = [script.attributes.get("type") for script in page.find_all("script")]
        assert kinds == ["application/json", "application/json", None]
        labels = [row["label"] for row in html_pages.table_rows(page, "labels")]
        shown = {EVIL, ODD[0], "left\ufffdright", "_hidden", "tab\ufffdhere", "日本"}
        assert set(labels) == shown
        assert {row["label"] for row in html_pages.table_rows(page, "tasks")} == shown
        for name in ("scores", "shares"):
            keys = {key.text for key in figures(page)[name].find("ul").find_all("li")}
            assert keys == shown
        written = {text.text for text in figures(page)["progress"].find_all("text")}
        assert {ODD[0], "left\ufffdright", "_hidden"} <= written
        assert page.find("h1").text == evil_folder.name
        assert page.find("dl", **{"class": "settings"}).text.count(EVIL) == 2

    @pytest.mark.parametrize("report", ["training_page", "evil_folder"])
    def test_nothing_is_fetched(self, report, request):
        content = request.getfixturevalue(report)
        if isinstance(content, Path):
            content = html_pages.parse(write_report(content).path)
        policy = content.find("meta", **{"http-equiv": "Content-Security-Policy"})
        assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")
        assert not list(content.find_all("link"))
        for element in content.find_all():
            for name, value in element.attributes.items():
                if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                    assert value.startswith(("#", "data:image/png;base64,")), (element.tag, value)
                assert not re.search(r"url\((?!#)", value or "")
                assert not name.startswith("on")
        styles = "".join(style.text for style in content.find_all("style"))
        assert "url(" not in styles
        assert "@import" not in styles

    def test_ids_are_unique_and_references_lead_to_them(self, training_page):
        ids = [one.attributes["id"] for one in training_page.find_all() if "id" in one.attributes]
        assert len(set(ids)) == len(ids)
        for element in training_page.find_all():
            for name, value in element.attributes.items():
                targets = re.findall(r"url\(#([^)]*)\)", value or "")
                targets += [value[1:]] if name == "href" and value.startswith("#") else []
                targets += value.split() if name == "aria-labelledby" else []
                assert set(targets) <= set(ids)

    def test_figures_are_named_and_take_the_colours_of_the_page(self, training_page):
        for name, figure in figures(training_page).items():
            svg = next(one for one in figure.find_all("svg") if one.attributes.get("role") == "img")
            assert len(svg.attributes["aria-label"]) > 20, name
            colours = {
                colour
                for element in svg.find_all()
                for colour in re.findall(r"#[0-9a-f]{6}", element.attributes.get("style", ""))
            }
            # White is what clips and pads are filled with.
            assert colours <= {"#ffffff"}, name
            assert "currentColor" in str(svg), name

    def test_the_head_of_a_table_says_how_it_is_sorted(self, large_report):
        page = html_pages.parse(large_report.path)
        for name, title in (("labels", "draws"), ("tasks", "LP")):
            section = page.find("section", **{"data-table": name})
            sorts = {th.attributes["data-title"]: th for th in section.find_all("th")}
            assert {
                title: head.attributes["aria-sort"]
                for title, head in sorts.items()
                if head.attributes["aria-sort"] != "none"
            } == {title: "descending"}
            assert all(len(list(head.find_all("button"))) == 1 for head in sorts.values())
            values = [row[title] for row in html_pages.table_rows(page, name)]
            assert values == sorted(values, reverse=True)
            assert len(list(section.find("tbody").find_all("tr"))) == 50

    def test_many_tasks_and_labels_stay_small(self, large_report):
        page = html_pages.parse(large_report.path)
        assert len(html_pages.table_rows(page, "tasks")) == 10_200
        assert len(html_pages.table_rows(page, "labels")) == 300
        assert large_report.size < 1_000_000
        # Twenty labels of the log, and the others.
        assert len(list(figures(page)["shares"].find("ul").find_all("li"))) == 9

    def test_of_too_many_tasks_those_with_the_most_lp_are_there(self, tmp_path, monkeypatch):
        log_run(tmp_path, ["walk", "jump"], tasks_per_label=10)
        whole = html_pages.parse(write_report(tmp_path).path)
        monkeypatch.setattr(tables, "MOST_TASKS", 7)
        page = html_pages.parse(write_report(tmp_path).path)
        tasks = html_pages.table_rows(page, "tasks")
        assert tasks == html_pages.table_rows(whole, "tasks")[:7]
        assert "the 7 of 20 with the most LP" in page.find("h2", id="tasks-title").text

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_texts_and_lines_stand_out(self, training_page, scheme):
        style = training_page.find("style").text
        found = {
            name: re.findall(rf"--{name}: (#[0-9a-f]{{6}})", style)[scheme == "dark"]
            for name in ("ink", "soft", "accent", "paper", "band")
        }
        for name in ("ink", "soft", "accent"):
            assert contrast(found[name], found["paper"]) >= 4.5, name
            assert contrast(found[name], found["band"]) >= 4.5, name
        series = palette.LIGHT if scheme == "light" else palette.DARK
        for colour in (*series, palette.OTHER_LIGHT if scheme == "light" else palette.OTHER_DARK):
            assert contrast(colour, found["paper"]) >= 3.0, colour


def contrast(one, other):
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


class TestRefusals:
    def refused(self, *arguments):
        result = CliRunner().invoke(app, ["report", *map(str, arguments)])
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        traced = CliRunner().invoke(app, ["report", *map(str, arguments), "--debug"])
        assert isinstance(traced.exception, OSError | ValueError)
        return result.output.removeprefix("error: ").rstrip("\n")

    def test_a_folder_without_a_run(self, tmp_path):
        assert self.refused(tmp_path / "no") == f"{tmp_path / 'no'} does not exist"
        assert self.refused(tmp_path) == f"{tmp_path} is empty"
        (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
        assert self.refused(tmp_path).startswith(f"{tmp_path} is no run: there is neither")
        assert self.refused(tmp_path / "notes.csv").startswith(
            f"{tmp_path / 'notes.csv'} is no log of a run"
        )

    def test_several_runs_are_named_and_each_can_be_had(self, tmp_path):
        for name in ("one", "two"):
            log_run(tmp_path / name, [name])
        message = self.refused(tmp_path)
        assert "holds several runs" in message
        assert f"{tmp_path / 'one'}, {tmp_path / 'two'}" in message
        folder = tmp_path / "one"
        (folder / "again.jsonl").write_bytes((folder / "log.jsonl").read_bytes())
        message = self.refused(folder)
        assert f"{folder / 'again.jsonl'}, {folder / 'log.jsonl'}" in message
        write_report(folder / "again.jsonl")

    def test_a_run_that_has_just_begun(self, tmp_path):
        create_folder(tmp_path, TrainSettings())
        assert "no point of its curve yet" in self.refused(tmp_path)
        (tmp_path / "log.csv").write_text("step,time,metric,value\n")
        assert self.refused(tmp_path) == f"{tmp_path / 'log.csv'} has no entry yet"

    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("log.jsonl", "{broken"),
            ("log.jsonl", "[1]"),
            ("log.jsonl", '{"step": -1}'),
            ("log.jsonl", '{"step": 1.5}'),
            ("log.jsonl", '{"step": 7, "curriculum/lp": NaN}'),
            ("log.jsonl", '{"step": 7, "curriculum/lp": "high"}'),
            ("log.jsonl", '{"step": 7, "curriculum/lp": 1' + "0" * 400 + "}"),
            ("log.csv", "1,2,3"),
            ("log.csv", "x,2,curriculum/lp,3"),
            ("log.csv", "9,2,curriculum/lp,inf"),
        ],
    )
    def test_a_broken_line_is_named(self, name, line, tmp_path):
        log_run(tmp_path, ["walk"], logger=CsvLogger if name == "log.csv" else JsonlLogger)
        path = tmp_path / name
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
        assert f"{path}, line 3, is no line of a log" in self.refused(tmp_path)

    def test_a_broken_row_of_a_curve_is_named(self, trained, tmp_path):
        lines = (trained[0] / "curve.csv").read_text().splitlines()
        path = tmp_path / "curve.csv"
        path.write_text("\n".join([*lines[:3], "1,2,3", *lines[3:]]) + "\n")
        assert f"{path}, line 4, is no point" in self.refused(tmp_path)

    def test_a_report_is_replaced_and_nothing_else(self, tmp_path):
        log_run(tmp_path, ["walk"])
        out = tmp_path / "page.html"
        assert write_report(tmp_path, out).size == write_report(tmp_path, out).size
        out.write_text("<p>mine</p>")
        assert "is there and is no report" in self.refused(tmp_path, "--out", out)
        assert out.read_text() == "<p>mine</p>"
        assert "is a folder" in self.refused(tmp_path, "--out", tmp_path)
        assert "there is no folder" in self.refused(tmp_path, "--out", tmp_path / "no" / "a.html")
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "log.jsonl",
            "page.html",
            "session.ckpt",
        ]

    def test_a_missing_extra_is_named(self, tmp_path):
        code = (
            "import sys; sys.modules['jinja2'] = None;"
            f"sys.argv[1:] = ['report', {str(tmp_path)!r}]; from curricle.cli import main; main()"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 1
        assert result.stderr == (
            "error: jinja2 is missing; install it with: pip install 'curricle[report]'\n"
        )


SCRIPT = """(() => {
  const tasks = document.querySelector('[data-table=tasks]');
  const buttons = [...tasks.querySelectorAll('th button')];
  const rows = () => [...tasks.querySelectorAll('tbody tr')];
  const column = (at) => rows().map((row) => row.cells[at].textContent);
  const sorts = () => [...tasks.querySelectorAll('th')].map((head) => head.ariaSort);
  const seen = {title: document.title,
                overflow: document.documentElement.scrollWidth > innerWidth,
                paper: getComputedStyle(document.body).backgroundColor,
                first: column(1)};
  buttons[2].click();
  Object.assign(seen, {draws: column(2), sorts: sorts()});
  buttons[0].click();
  Object.assign(seen, {ids: column(0), idSorts: sorts()});
  tasks.querySelector('.next').click();
  seen.turned = tasks.querySelector('.status').textContent;
  const filter = tasks.querySelector('input');
  filter.value = 'ONERROR';
  filter.dispatchEvent(new Event('input'));
  Object.assign(seen, {found: column(1), status: tasks.querySelector('.status').textContent});
  filter.value = '';
  filter.dispatchEvent(new Event('input'));
  dispatchEvent(new Event('beforeprint'));
  seen.printed = rows().length;
  dispatchEvent(new Event('afterprint'));
  seen.afterwards = rows().length;
  seen.images = document.images.length;
  return JSON.stringify(seen);
})()"""


@pytest.mark.skipif(
    importlib.util.find_spec("PySide6") is None,
    reason="a browser check, which needs: pip install PySide6",
)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (400, "dark")])
def test_it_works_in_a_browser(width, scheme, tmp_path):
    labels = [EVIL, *(f"label {i}" for i in range(30))]
    log_run(tmp_path, labels, 30)
    page = write_report(tmp_path).path
    driver = Path(__file__).with_name("report_browser.py")
    ran = subprocess.run(
        [sys.executable, driver, page, str(width), scheme, SCRIPT],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["title"] == f"{tmp_path.name} · curriculum report"
    assert not seen["overflow"]
    light = scheme == "light"
    assert seen["paper"] == ("rgb(255, 255, 255)" if light else "rgb(21, 24, 29)")
    rows = html_pages.table_rows(html_pages.parse(page), "tasks")
    assert seen["first"] == [row["label"] for row in rows[:50]]
    draws = sorted((row["draws"] for row in rows), reverse=True)
    assert [int(cell) for cell in seen["draws"]] == draws[:50]
    assert seen["sorts"].index("descending") == 2
    assert [int(cell) for cell in seen["ids"]] == sorted(int(row["task"]) for row in rows)[:50]
    assert seen["idSorts"] == ["ascending", *["none"] * 7]
    assert seen["turned"] == "Rows 51 to 93 of 93"
    assert seen["found"] == [EVIL] * 3
    assert seen["status"] == "Rows 1 to 3 of 3 that fit, of 93"
    assert (seen["printed"], seen["afterwards"]) == (93, 50)
    assert seen["images"] == 0
