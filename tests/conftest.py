"""What holds for all tests together."""

import signal
import time

import pytest

from curricle import list_sessions

# Test runs beside this one kill processes as well, but clear up after them.
PATIENCE = 10.0


# A shell starts jobs in the background with Ctrl-C ignored, for whatever they start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def dead_sessions():
    return {facts["name"] for facts in list_sessions() if facts["live"] is False}


@pytest.fixture(scope="session", autouse=True)
def _no_session_is_left_behind():
    before = dead_sessions()
    yield
    end = time.monotonic() + PATIENCE
    while (left := dead_sessions() - before) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left, f"the tests left sessions behind: {sorted(left)}"
