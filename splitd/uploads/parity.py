"""The parity of a large upload: computed stripe by stripe, while the bytes of the file pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from splitd.model.erasure import AT_ONCE, code_of
from splitd.model.striping import Layout
from storaged.system.buffers import Piece
from storaged.system.parallel import InThread, compute_at_once


def run_coding(layout: Layout, run: InThread) -> InThread:
    """Return how to run the coding of stripes: at once, or in a thread by `run` if they are large."""
    return run if layout.stripe > AT_ONCE else compute_at_once


class ParityFeed:
    """Keeps the bytes of a stripe until it is complete, and writes its parity columns.

    At most three stripes are in memory, and what one read brings: one that grows, one that waits, one that is encoded.
    It is one if `run` computes at once.

    :param run: runs a computation, at once or in a thread.
    :param write: called with the index of a parity part, and its next bytes.
    :param set_full: called with True when no more bytes should come, and with False when they may come again.
    :param broke: called once with the reason if parity cannot be computed.
    """

    def __init__(
        self,
        layout: Layout,
        run: InThread,
        write: Callable[[int, Piece], None],
        set_full: Callable[[bool], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self._layout = layout
        self._code = code_of(layout.data, layout.parity)
        self._run = run
        self._write = write
        self._set_full = set_full
        self._broke = broke
        self._waiting: deque[list[list[Piece]]] = deque()
        self._encoding = False
        self._stopped = False
        self._finished: Deferred[None] | None = None
        self._begin_stripe()

    def _begin_stripe(self) -> None:
        self._columns: list[list[Piece]] = [[] for _ in range(self._layout.data)]
        self._left = self._layout.stripe

    def add(self, pieces: Sequence[tuple[int, Piece]]) -> None:
        """Take the next pieces of data columns, as `Cutter` gives them."""
        for index, piece in pieces:
            self._columns[index].append(piece)
            self._left -= len(piece)
            if not self._left:
                self._end_stripe()

    def _end_stripe(self) -> None:
        self._waiting.append(self._columns)
        self._begin_stripe()
        self._encode_next()

    def _encode_next(self) -> None:
        if self._stopped:
            return
        if not self._encoding and self._waiting:
            columns = self._waiting.popleft()
            self._encoding = True
            encoded = self._run(lambda: self._code.encode(columns, sum(map(len, columns[0]))))
            encoded.addCallbacks(self._encoded, self._failed)
        self._set_full(bool(self._waiting))
        if self._finished is not None and not self._encoding and not self._finished.called:
            self._finished.callback(None)

    def _encoded(self, parity: Sequence[Piece]) -> None:
        self._encoding = False
        if not self._stopped:
            for index, column in enumerate(parity, self._layout.data):
                self._write(index, column)
        self._encode_next()

    def _failed(self, failure: Failure) -> None:
        self._encoding = False
        if self._stopped:
            return
        self.stop()
        if self._finished is not None and not self._finished.called:
            self._finished.errback(failure)
        else:
            problem = failure.value
            self._broke(problem if isinstance(problem, Exception) else RuntimeError(repr(problem)))

    def finish(self) -> Deferred[None]:
        """Encode the last stripe.

        :return: a Deferred that fires with None when all parity has been written, or with the reason if it cannot be
            computed; it does not fire after `stop`.  Cancelling it ends the wait only.
        """
        if self._left < self._layout.stripe:
            self._waiting.append(self._columns)
            self._begin_stripe()
        finished = self._finished = Deferred()
        self._encode_next()
        return finished

    def stop(self) -> None:
        """Write nothing any more, and drop what is in memory."""
        self._stopped = True
        self._waiting.clear()
        self._begin_stripe()
