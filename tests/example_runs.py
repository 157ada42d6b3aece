"""Scripts that run as a user runs them, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Agents of the examples are small: a GPU, or a second thread, would only cost them time.
_QUIET = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def run_python(*arguments, folder=None, importable=()):
    """What Python prints with these arguments.

    Args:
        arguments: of its command line.
        folder: where it runs; here if it is not given.
        importable: folders whose modules it may import, besides those that there are.
    """
    path = filter(None, [*map(str, importable), os.environ.get("PYTHONPATH")])
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | _QUIET | {"PYTHONPATH": os.pathsep.join(path)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_example(name, *arguments, **where):
    """What an example prints."""
    return run_python(ROOT / "examples" / name, *arguments, **where)
