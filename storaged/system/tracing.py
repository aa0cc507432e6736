"""The ids of the clients' requests on whose behalf something is done, for the logs of the nodes.

They follow the coroutines of a request by themselves.  Code that does something for several requests at once, or later,
takes them along (`present_requests`, `doing_for`).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

MOST_IDS = 1024
"""Characters.  What is done for very many requests at once names the first of them."""

_ids: ContextVar[str] = ContextVar("requests", default="")

present_requests = _ids.get
"""Returns the ids of the requests on whose behalf the caller works, with spaces between them; empty if none is known.
"""


def join_requests(ids: Iterable[str]) -> str:
    """Return the ids of several requests as one text, each once."""
    return " ".join(dict.fromkeys(filter(None, ids)))[:MOST_IDS]


def doing_for(ids: Iterable[str]) -> None:
    """Say on whose behalf the present coroutine, or request, works from now on."""
    _ids.set(join_requests(ids))
