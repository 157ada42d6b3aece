"""The report in Chromium: sorted, filtered, paged, printed, in both colour schemes."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import html_pages
from curricle.report import write_report
from report_runs import EVIL, log_run

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
    driver = Path(__file__).with_name("chromium.py")
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
