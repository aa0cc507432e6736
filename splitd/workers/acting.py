"""The actions of operators, as workers have them done in the catalog's process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from splitd.frontends.console.door import Action
from splitd.frontends.http.answers import Refused

STREAMS = frozenset({"/check", "/journal/backup"})
"""Actions whose answers are long and come bit by bit: operators have them at their own port."""

REFUSED = ""
"""The type of the body if it is a sentence that says why an action was refused."""

Acted = tuple[int, str, bytes]
"""A status, the type of the body, and the body."""


class _Answer:
    """As much of a request and of its answer as actions use; the answer is kept whole."""

    def __init__(self, method: str, uri: str) -> None:
        self.method, self.uri = method.encode(), uri.encode()
        self.status, self.content_type, self.body = 200, "", b""

    def setResponseCode(self, status: int, _: bytes | None = None) -> None:
        """Set the status."""
        self.status = status

    def setHeader(self, name: str, value: str) -> None:
        """Keep the type of the body; its length follows from it."""
        if name == "Content-Type":
            self.content_type = value

    def write(self, data: bytes) -> None:
        """Take bytes of the body."""
        self.body += data

    def finish(self) -> None:
        """End the answer."""


async def act(actions: Mapping[str, Action], closed: Callable[[], str], name: str, method: str, uri: str) -> Acted:
    """Do what a worker was asked for by an operator, and return the answer.

    :param actions: what operators may ask for, by path.
    :param closed: returns why no action is possible now; empty if actions are possible.
    :param uri: of the request; its query has what the action is to know.
    """
    if closed():
        return 503, REFUSED, closed().encode()
    answer: Any = _Answer(method, uri)
    try:
        await actions[name][method](answer)
    except Refused as problem:
        return problem.status, REFUSED, str(problem).encode("utf-8", "replace")
    return answer.status, answer.content_type, answer.body


def offered(actions: Mapping[str, Action]) -> dict[str, list[str]]:
    """Return which actions workers may ask for: the methods, by the name of the action."""
    return {name: sorted(action) for name, action in actions.items() if name not in STREAMS}
