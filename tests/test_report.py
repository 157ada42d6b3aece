"""The report of a run: what a parser reads in it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import html_pages
from curricle import LocalMemoryBackend, Rules
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
from report_runs import EVIL, ODD, log_run


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
