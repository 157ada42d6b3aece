"""The pages of the documentation whose examples run as they stand, and print what they say."""

import pathlib
import re
import subprocess
import sys

import pytest

PAGES = pathlib.Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["guards.md", "logging.md", "your-own-algorithm.md"])
def test_the_page_runs(page, tmp_path):
    text = (PAGES / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    promised = re.findall(r"^```text\n(.*?)^```", text, re.S | re.M)
    assert blocks
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    ran = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "".join(promised)
