"""Ctrl-C as a request: the run ends at its next step, with its checkpoint written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.is_made = False

    def make(self) -> None:
        """Asks the run to stop at its next step."""
        self.is_made = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Makes the request on SIGINT or SIGTERM; a second one interrupts at once."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self.is_made:
                raise KeyboardInterrupt
            self.make()

        previous = {number: signal.signal(number, handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Blocks SIGINT, also in the processes that are started meanwhile, and there for good.

    A terminal sends Ctrl-C to every process; the workers must leave it to the learner.
    """
    # Started later, by the first worker, it would unblock the signal.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
