"""Tables of what callers get wrong, and what must be as before once it was refused."""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

from curricle import LocalMemoryBackend, SharedMemoryBackend, TaskTracker, list_sessions
from curricle._core import Rules
from curricle.metrics import session_metrics
from test_backends import DictBackend

RULES = Rules(score_range=(0.0, 1.0), min_samples=0, exploration=0.2, floor=0.1)
NAN, INF = float("nan"), float("inf")
STEPS = r"(2\*\*48|281474976710656)"
LABEL = "1 to 120 bytes"
ID = r"(2\*\*63|9223372036854775807)"
SEED = r"(2\*\*64|18446744073709551615)"
BEYOND = 10**400
SHOWN = "1000000000"


class Case(NamedTuple):
    """A call, and what it is refused with: the error's class, and words of its message."""

    name: str
    call: Callable[..., Any]
    error: type[Exception]
    said: str


def cases(*table):
    """A parametrization over rows of (name, call, error, pattern of the message)."""
    return pytest.mark.parametrize("case", [pytest.param(Case(*row), id=row[0]) for row in table])


def ids(*values):
    return np.array(values, dtype=np.int64)


def scores(*values):
    return np.array(values, dtype=np.float64)


def new_name():
    return f"test-{secrets.token_hex(8)}"


def own_files(name):
    """Files and listed sessions whose name starts with ``name``."""
    files = sorted(file for file in os.listdir("/dev/shm") if name in file)
    return files, sorted(s["name"] for s in list_sessions() if s["name"].startswith(name))


def facts(tracker, name):
    """All that a reader can see of a table, to be compared bit for bit."""
    known, shares = tracker.probabilities()
    return {
        "records": tracker.snapshot().tobytes(),
        "totals": repr(tracker.totals()),
        "labels": repr(tracker.label_totals()),
        "texts": repr(tracker.backend.labels()),
        "limits": tracker.share_limits(),
        "probabilities": (known.tobytes(), shares.tobytes()),
        "metrics": repr(session_metrics(tracker)),
        "stream": tracker.backend.stream_state,
        "files": own_files(name),
    }


@contextmanager
def unchanged(tracker, name):
    """Holds the table after the block against the table before it."""
    before = facts(tracker, name)
    yield
    assert facts(tracker, name) == before
    tracker.verify()


def refuse(case, *arguments):
    """Makes the call; its error is of the class and says the words."""
    with pytest.raises(case.error) as caught:
        case.call(*arguments)
    assert re.search(case.said, str(caught.value), re.IGNORECASE | re.DOTALL), str(caught.value)


class Table:
    """A table of five places with four tasks, two of them drawn, on a backend of one kind."""

    def __init__(self, kind, rules=RULES):
        self.name = new_name()
        self.backend = {
            "local": lambda: LocalMemoryBackend(5, rules=rules),
            "shared": lambda: SharedMemoryBackend(5, self.name, rules=rules),
            "dict": lambda: DictBackend(5, rules),
        }[kind]()
        self.backend.start(rules)
        alpha = rules.as_dict()["ema_alpha"]
        self.tracker = TaskTracker(backend=self.backend, ema_alpha=alpha)
        self.backend.create_many(ids(1, 2, 3, 4), ["a", "a", "b", None])
        self.backend.update_scores(ids(1, 2, 1, 3), scores(0.5, 0.25, 0.75, 1.0))
        self.tickets = self.backend.draw_many(2)

    def refuses(self, case):
        """The call on this table is refused and changes nothing, not even its tickets."""
        with unchanged(self.tracker, self.name):
            refuse(case, self)
        progress = self.backend.report_many(self.tickets, scores(0.5, 0.5))
        assert not np.isnan(progress).any()

    def close(self):
        self.backend.close()
        assert own_files(self.name) == ([], [])


@pytest.fixture(params=["local", "shared", "dict"])
def table(request):
    made = Table(request.param)
    yield made
    made.close()
