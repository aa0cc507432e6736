"""Makes stop signals end the tour, but not its cleaning up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """Make each stop signal raise KeyboardInterrupt, as Ctrl-C does."""
    # Under nohup, SIGHUP does not stop.
    with _handled({number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN}, raise_it=True):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore all stop signals."""
    with _handled(set(_STOPS), raise_it=False):
        yield


@contextmanager
def _handled(numbers: set[signal.Signals], *, raise_it: bool) -> Iterator[None]:
    handler = signal.default_int_handler if raise_it else signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
