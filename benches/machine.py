"""Which machine and which versions figures are from, and what else the machine does."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import curricle

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


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
