"""The page about a collection, as a browser shows it.  Pure, but for the style and the script, read at import.

It comes whole in one answer and works without its script, as a list.  Its policy lets nothing run and nothing style it
but what is here: a name that slipped through the escaping would still run nothing.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from importlib.resources import files
from urllib.parse import quote

from splitd.frontends.http.names import show_name
from splitd.frontends.webdav.members import Members
from splitd.model.manifest import Manifest
from splitd.model.tree import Member
from storaged.system.sizes import format_size

_STYLE, _SCRIPT = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%230b5cad' d='M1 2h6v5H1zm8 0h6v5H9zM1 9h6v5H1zm8 0h6v5H9z'/%3E%3C/svg%3E"
)

_CRUMBS = 16
"""Collections of the path that have a link: each link holds all of the path before it."""


def _hash(text: str) -> str:
    """Return the source expression of CSP that allows an inline style or script with this text."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src {_hash(_SCRIPT)}",
        f"style-src {_hash(_STYLE)}",
        "connect-src 'self'",
        "img-src data:",  # the icons
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The Content-Security-Policy of the page."""

_TOOLS = """\
<section id="add" aria-label="Add files" hidden>
<div class="tools">
<div><label class="button">Choose files<input id="files" type="file" multiple></label>\
<span class="hint">or drop them on this page</span></div>
<form id="make"><label for="name">New collection</label>\
<input id="name" required maxlength="255" autocomplete="off" spellcheck="false"><button>Create</button></form>
</div>
<p id="said" role="status"></p>
<ul id="sent"></ul>
</section>
"""

FOOT = f"</tbody>\n</table>\n</div>\n</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
"""The end of the page, after the rows."""


def format_head(path: str, base: str, members: Members, query: str = "") -> str:
    """Return the beginning of the page, up to the first row.

    :param path: the path of the collection, as URLs say it.
    :param base: what all URLs begin with.
    :param members: the members, opened.
    :param query: what the URLs of collections end with, as "?plain".
    """
    here = base + ("/" if path == "/" else quote(path) + "/")
    title = escape(path)
    parent = base + quote(path.rpartition("/")[0]) + "/"
    crumbs = _crumbs(path, base, query)
    up = "" if path == "/" else f'<tr class="u"><td><a href="{parent}{query}" title="Up">..</a><td><td>\n'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="{_ICON}">\n<style>{_STYLE}</style>\n</head>\n'
        f'<body data-base="{here}" data-query="{query}">\n<main>\n'
        f'<nav aria-label="Path"><h1>{crumbs}</h1></nav>\n{_TOOLS}'
        f'<div id="list">\n{_summary(members)}'
        f'<table aria-label="Members of {title}">\n<thead><tr><th scope="col">Name<th scope="col">Size'
        f'<th scope="col">Modified<span class="utc"> (UTC)</span></thead>\n<tbody>\n{up}'
    )


def format_row(member: Member, base: str, query: str = "") -> str:
    """Return the row of a member.

    :param base: the URL of the collection, with a slash at its end.
    :param query: what the URLs of collections end with.
    """
    entry, shown = member.entry, show_name(member.name)
    link, name = base + quote(shown), escape(shown)
    if isinstance(entry, Manifest):
        size = f'<td title="{entry.size:,} bytes">{format_size(entry.size)}'
        return f'<tr><td><a href="{link}">{name}</a>{size}<td>{_time(entry.created_ms)}\n'
    return f'<tr class="c"><td><a href="{link}/{query}">{name}/</a><td><td>{_time(entry.modified_ms)}\n'


def _crumbs(path: str, base: str, query: str) -> str:
    """Return the path with links to the root and to the nearest of the collections that it lies in."""
    if path == "/":
        return "Files"
    names = path.split("/")[1:]
    first = max(0, len(names) - _CRUMBS)
    links = [f'<a href="{base}/{query}">Files</a>', *(["\u2026"] if first else [])]
    base += "/" + "".join(quote(name) + "/" for name in names[:first])
    for name in names[first:-1]:
        base += quote(name) + "/"
        links.append(f'<a href="{base}{query}">{escape(name)}</a>')
    links.append(f'<span aria-current="page">{escape(names[-1])}</span>')
    return '<span class="sep">/</span>'.join(links)


def _summary(members: Members) -> str:
    """Return what there is, or the note that it is too much to be put in order."""
    if not members.is_sorted:
        return (
            '<p class="note">There are too many names here to sort them: they stand in the order of their '
            "character codes, collections and files mixed.</p>\n"
        )
    counts = [
        f"{count:,} {noun if count == 1 else noun + 's'}"
        for count, noun in ((members.collections, "collection"), (members.files, "file"))
        if count
    ]
    size = f", {format_size(members.size)}" if members.files else ""
    return f'<p class="sum">{" and ".join(counts) or "Nothing is here yet"}{size}</p>\n'


def _time(time_ms: int) -> str:
    return _format_minute(time_ms // 1000)


@lru_cache(4096)
def _format_minute(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M}</time>'
