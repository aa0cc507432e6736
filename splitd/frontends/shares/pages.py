"""The pages that a link shows: plain HTML, which needs no script.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from storaged.system.sizes import format_size

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c1e21;"
    "background:#fff}h1{font-size:1.3rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}"
    "td{padding:.4rem 0;border-bottom:1px solid #ddd;overflow-wrap:anywhere}td+td{text-align:right;white-space:nowrap;"
    "padding-left:1rem}button,input{font:inherit;padding:.4rem .8rem;margin:.2rem 0}a{color:#0a58ca}"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181b}td{border-color:#333}a{color:#7db1ff}}"
)


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page: nothing runs, and its forms lead to this site only."""
    return f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def page(title: str, body: str, nonce: str) -> bytes:
    """Return a page.

    :param body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n"
        f'<style nonce="{nonce}">{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n'
        f"{body}\n</body>\n</html>\n"
    ).encode("utf-8", "replace")


def listing(url: str, members: Iterable[tuple[str, int | None]], *, following: str | None, can_zip: bool) -> str:
    """Return the list of a collection.

    :param url: the URL of the collection, without a slash at its end.
    :param members: the names as they are shown, and the bytes of files; None for a collection.
    :param following: the name after which the next page begins; None for the last one.
    """
    url, rows = escape(url), []
    for name, size in members:
        slash = "/" if size is None else ""
        shown = "" if size is None else format_size(size)
        rows.append(f'<tr><td><a href="{url}/{quote(name)}{slash}">{escape(name)}{slash}</a></td><td>{shown}</td></tr>')
    table = f"<table>\n{chr(10).join(rows)}\n</table>" if rows else "<p>Nothing is here.</p>"
    more = f'<p><a href="{url}/?after={quote(following)}">More</a></p>' if following is not None else ""
    return table + more + (f'<p><a href="{url}/?zip">All of it as a ZIP archive</a></p>' if can_zip and rows else "")


def single(url: str, name: str, size: int) -> str:
    """Return the page of one file."""
    return f'<p><a href="{escape(url)}/{quote(name)}" download>Download</a> ({format_size(size)})</p>'


def upload_form(url: str, stored: int | None) -> str:
    """Return the form by which files are left.

    :param stored: how many files have just been stored; None if none were sent.
    """
    what = "file was" if stored == 1 else "files were"
    done = "" if stored is None else f"<p><strong>{stored} {what} stored.</strong></p>"
    return (
        f'{done}<form method="post" enctype="multipart/form-data" action="{escape(url)}">\n'
        '<p><label>Files <input type="file" name="files" multiple required></label></p>\n'
        "<p><button>Send</button></p>\n</form>\n<p>What is there already is not shown, nor is what you send.</p>"
    )


def password_form(url: str, *, wrong: bool) -> str:
    """Return the form that asks for the password of a link."""
    again = "<p><strong>The password is wrong.</strong></p>" if wrong else ""
    return (
        f'{again}<form method="post" action="{escape(url)}">\n'
        '<p><label>Password <input type="password" name="password" autocomplete="off" required autofocus></label></p>\n'
        "<p><button>Open</button></p>\n</form>"
    )
