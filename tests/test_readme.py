"""The README's tour, run as it stands, and its promises about what an import brings in."""

import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_the_tour_runs(tmp_path: pathlib.Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.S | re.M)
    assert len(blocks) >= 5
    tour = tmp_path / "tour.py"
    tour.write_text("\n".join(blocks))
    ran = subprocess.run(
        [sys.executable, tour], capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "episodes in all" in ran.stdout
    played = [int(line.split()[2]) for line in ran.stdout.splitlines() if "mean score" in line]
    assert len(played) == 5
    assert min(played) >= 1, "every task is drawn, in whatever process"


def test_an_import_brings_in_no_tools() -> None:
    code = """
import sys
import curricle
tools = {"typer", "rich", "matplotlib", "pettingzoo", "torch", "multiprocessing.shared_memory"}
assert not tools & set(sys.modules), tools & set(sys.modules)
import threading
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
