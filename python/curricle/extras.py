"""Packages that only some of Curricle needs."""

from __future__ import annotations

import importlib.util


def need_extra(what: str, extra: str, module: str, package: str | None = None) -> None:
    """Refuses to go on without a package.

    Args:
        what: what needs it.
        extra: the extra of Curricle that installs it.
        module: a top-level module of the package.
        package: its name where that is another one.

    Raises:
        ModuleNotFoundError: the package is not installed; the message says how to get it.
    """
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(
            f"{what} needs {package or module}; install it with: pip install 'curricle[{extra}]'",
            name=module,
        )
