"""Which machine and which versions figures are from, and what else the machine does."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import curricle

_ROOT = Path(__file__).parents[1]
# What a run itself writes, which changes no figure.
_WRITTEN = (":(exclude)benches/RESULTS.md", ":(exclude)benches/*.json", ":(exclude)benches/*.png")
_PACKAGES = ("numpy", "gymnasium", "syllabus-rl", "torch", "torchrl")


def describe() -> list[str]:
    """Processor, memory and versions, a line each."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if "model name" in line), "unknown model")
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"curricle {curricle.__version__}"]
    versions += [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    return [
        f"{os.cpu_count()} cores ({model}), {gibibytes:.0f} GiB",
        f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]


def load() -> str:
    """How many processes wanted a core in the last minute, the benches' own among them."""
    return f"{os.getloadavg()[0]:.1f}"


def commit(root: Path = _ROOT) -> str:
    """The git commit of the folder with the benches, and whether tracked files are changed.

    A compiled module does not say which code it was made of.
    """
    # A copy, such as an sdist, may lie in another project's repository.
    if not (root / ".git").exists():
        return "no repository"
    try:
        found = _git(root, "rev-parse", "--short", "HEAD")
        changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"commit not known ({error})"
    return f"commit {found}{' with changes' if changes else ''}"


def _git(root: Path, *arguments: str) -> str:
    # Locks are for the git of whoever works here meanwhile.
    command = ["git", "--no-optional-locks", *arguments]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
