"""The hand-written types of the core against the built module."""

import subprocess
import sys


def test_the_stubs_describe_the_built_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "curricle._core"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
