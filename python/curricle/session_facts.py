"""What the sessions of this machine are doing, gathered by mere looks."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from curricle._core import Session, list_sessions
from curricle.errors import SessionError

State = Literal["live", "idle", "dead", "unreadable", "foreign"]

# The kernel counts starts of processes from the boot, whose time follows a clock that is set.
_CLOCK_SLACK = 2.0


@dataclass(frozen=True)
class SessionFacts:
    """One session, as far as it can be known.

    Attributes:
        name: of the session.
        path: of its file.
        state: "live" (processes are attached), "idle" (none, but the session persists), "dead"
            (none: killed processes left it), "unreadable" (damaged, or of another layout) or
            "foreign" (another user's).
        persist: whether it outlives its processes; ``None`` where that is not known.
        owner: name of the user, or the number of one without a name.
        tasks: live tasks.
        capacity: tasks that it has room for.
        completions: episodes that were reported over its lifetime.
        rate: completions a second, >= 0, over the time between two looks.
        processes: ids of those attached; ``None`` where the system does not tell.
        creator: id of the process that made it.
        program: name of the program that the creator runs; ``None`` where it has ended.
        created: seconds since the epoch.
        bytes: size of the file.
        reason: why the session cannot be read; ``None`` where it can.
    """

    name: str
    path: str
    state: State
    persist: bool | None
    owner: str
    tasks: int | None
    capacity: int | None
    completions: int | None
    rate: float | None
    processes: list[int] | None
    creator: int | None
    program: str | None
    created: float | None
    bytes: int
    reason: str | None


class _Look:
    """A first look at a session, to be compared with a second one."""

    def __init__(self, listed: Mapping[str, Any]) -> None:
        self.listed = listed
        self.session: Session | None = None
        self.reason: str | None = None
        self.completions = 0.0
        self.time = time.monotonic()
        if listed["live"] is None:
            return
        try:
            self.session = Session(name=listed["name"], mode="read-only")
            self.completions = self.session.totals()["completions"]
        except SessionError as error:
            # The file is named already, beside the reason.
            self.reason = str(error).removeprefix(f"{listed['path']}: ")

    @property
    def is_live(self) -> bool:
        return self.session is not None and self.session.live

    def facts(self) -> SessionFacts:
        """What is known, with the rate since the first look."""
        listed, session = self.listed, self.session
        totals = session.totals() if session is not None else {}
        seconds = time.monotonic() - self.time
        rate = None
        if session is not None and session.live and seconds > 0.0:
            rate = max(0.0, totals["completions"] - self.completions) / seconds
        return SessionFacts(
            name=listed["name"],
            path=listed["path"],
            state=self._state(),
            persist=listed["persist"],
            owner=_user(listed["owner"]),
            tasks=int(totals["tasks"]) if totals else None,
            capacity=session.capacity if session is not None else None,
            completions=int(totals["completions"]) if totals else None,
            rate=rate,
            processes=listed["processes"],
            creator=listed["creator"],
            program=program_of(listed["creator"], listed["created"]),
            created=listed["created"],
            bytes=listed["bytes"],
            reason=self.reason,
        )

    def _state(self) -> State:
        if self.listed["live"] is None:
            return "foreign"
        if self.session is None:
            return "unreadable"
        if self.session.live:
            return "live"
        return "idle" if self.listed["persist"] else "dead"


def survey(seconds: float) -> list[SessionFacts]:
    """All sessions of this machine, in order of their names.

    A session that ends meanwhile is left out.

    Args:
        seconds: between the two looks that the rates follow from; without live sessions, there is
            one look and nothing is waited for.
    """
    looks = [_Look(listed) for listed in list_sessions()]
    if any(look.is_live for look in looks):
        time.sleep(seconds)
    found = [look.facts() for look in looks]
    return [facts for facts in found if os.path.exists(facts.path)]


def program_of(pid: int | None, before: float | None) -> str | None:
    """What a process runs: its script or module where that is Python's, else its program.

    Args:
        pid: of the process.
        before: seconds since the epoch; a process that has started later is another one, which
            got the same id.

    Returns:
        ``None`` where there is no such process, or where the system does not tell.
    """
    if pid is None or before is None:
        return None
    try:
        folder = Path("/proc") / str(pid)
        # Its second field, the program's name in parentheses, may have spaces.
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        if _booted() + ticks > before + _CLOCK_SLACK:
            return None
        arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        name = (folder / "comm").read_text(errors="replace").strip()
    except (OSError, ValueError, IndexError):
        return None
    return _script(arguments) or name or None


def _script(arguments: list[str]) -> str | None:
    """The script, or the module, that a command line of Python runs."""
    if not arguments or not os.path.basename(arguments[0]).startswith("python"):
        return None
    options = iter(arguments[1:])
    for argument in options:
        if argument == "-m":
            return next(options, None)
        if argument in ("-W", "-X"):
            next(options, None)
        elif argument == "-c":
            return None
        elif not argument.startswith("-"):
            return os.path.basename(argument)
    return None


def _booted() -> float:
    """When the machine started, in seconds since the epoch."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
