"""Numbers from blocks that a front takes of a sequence."""

from __future__ import annotations

from threading import Event, Thread

from splitd.catalog.sql.ids import BLOCK, Ids


class Server:
    """Answers with the first number of a block.

    :ivar asked: set when it is asked.
    :ivar answers: it waits for this.
    """

    def __init__(self, first: int) -> None:
        self._first = first
        self.asked, self.answers = Event(), Event()

    def execute(self, _: str) -> Server:
        self.asked.set()
        self.answers.wait()
        return self

    def fetchone(self) -> tuple[int]:
        return (self._first,)


def answering(first: int) -> Server:
    server = Server(first)
    server.answers.set()
    return server


def test_each_number_is_given_once() -> None:
    ids = Ids("numbers")
    first = [ids.take(answering(5000)) for _ in range(BLOCK)]
    assert first == list(range(5000, 5000 + BLOCK))
    assert ids.take(answering(9000)) == 9000


def test_a_thread_whose_server_does_not_answer_holds_up_no_other() -> None:
    ids, silent, given = Ids("numbers"), Server(1000), list[int]()
    waiting = Thread(target=lambda: given.append(ids.take(silent)), daemon=True)
    waiting.start()
    assert silent.asked.wait(30)
    other = Thread(target=lambda: given.extend(ids.take(answering(2000)) for _ in range(2)), daemon=True)
    other.start()
    other.join(30)
    assert given == [2000, 2001]
    silent.answers.set()
    waiting.join(30)
    assert given == [2000, 2001, 1000]
    assert ids.take(answering(3000)) == 2002
