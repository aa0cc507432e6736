"""Asks a front for JSON documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from splitd.cli.server import Body, Server


def read_pages(front: Server, path: str, name: str, query: Mapping[str, str | int]) -> list[dict[str, Any]]:
    """Read a list that comes in pages, to its end.

    :param path: the path of the list.
    :param name: the key of the list in each page; the key `next` says what the next page comes after, null at the end.
    :param query: the query of each request, besides `after`.
    """
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        with front.ask("GET", path, query={"after": after, **query} if after else query) as answer:
            page = json.loads(answer.read())
        found += page[name]
        after = page["next"]
    return found


def post_document(front: Server, path: str, document: Mapping[str, Any], what: str) -> Any:
    """Post a document, and return the one that is answered.

    :param what: names it in errors.
    """
    data = json.dumps(document).encode()
    body, headers = Body(BytesIO(data), len(data), what, lambda _: None), {"Content-Type": "application/json"}
    with front.ask("POST", path, headers=headers, body=body) as answer:
        return json.loads(answer.read())
