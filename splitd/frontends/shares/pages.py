"""The pages that a link shows: plain HTML, which needs no script.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from splitd.frontends.shares.texts import Texts
from storaged.system.sizes import format_size

_STYLE = """
:root{color-scheme:light dark;--canvas:#f4f6f5;--surface:#fff;--ink:#17201e;--soft:#57635f;--line:#e2e8e5;
--accent:#0d6b5b;--on-accent:#fff}
@media(prefers-color-scheme:dark){:root{--canvas:#0f1413;--surface:#151b1a;--ink:#e5ebe9;--soft:#9cabaa;--line:#26302e;
--accent:#62cbb5;--on-accent:#05231d}}
body{background:var(--canvas);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
margin:0;padding:clamp(.75rem,5vh,4rem) .75rem}
main{background:var(--surface);border:1px solid var(--line);border-radius:12px;box-sizing:border-box;margin:auto;
max-width:42rem;padding:1.25rem 1.5rem}
h1{font-size:1.25rem;line-height:1.4;margin:0 0 .75rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
td{border-top:1px solid var(--line);overflow-wrap:anywhere;padding:.55rem 0}
td+td{color:var(--soft);padding-left:1rem;text-align:right;white-space:nowrap}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
label{color:var(--soft);display:grid;gap:.35rem;grid-template-columns:minmax(0,1fr)}
input{box-sizing:border-box;color:var(--ink);font:inherit;min-width:0;width:100%}
input::file-selector-button{background:var(--surface);border:1px solid var(--line);border-radius:7px;color:var(--ink);
cursor:pointer;font:inherit;margin-right:.75rem;padding:.4rem .8rem}
.path{color:var(--soft);margin:0 0 .25rem;overflow-wrap:anywhere}
input[type=password]{background:var(--surface);border:1px solid var(--line);border-radius:7px;padding:.45rem .65rem}
button,.button{background:var(--accent);border:0;border-radius:7px;color:var(--on-accent);cursor:pointer;
display:inline-block;font:inherit;font-weight:550;padding:.5rem 1.1rem}
.button:hover,button:hover{filter:brightness(.93);text-decoration:none}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.hint{color:var(--soft)}p:last-child{margin-bottom:0}
"""


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page: nothing runs, and its forms lead to this site only."""
    return f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def page(title: str, body: str, nonce: str, texts: Texts) -> bytes:
    """Return a page.

    :param body: HTML.
    """
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n"
        f'<style nonce="{nonce}">{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    ).encode("utf-8", "replace")


def heading(title: str, above: Iterable[tuple[str, str]] = ()) -> str:
    """Return the heading of a page.

    :param above: the names and the URLs of the collections that it lies in, the outermost first.
    """
    links = "".join(f'<a href="{escape(url)}"><bdi>{escape(name)}</bdi></a> / ' for name, url in above)
    path = f'<nav class="path">{links}</nav>\n' if links else ""
    return f"{path}<h1><bdi>{escape(title)}</bdi></h1>\n"


def listing(
    url: str, members: Iterable[tuple[str, int | None]], texts: Texts, *, following: str | None, can_zip: bool
) -> str:
    """Return the list of a collection.

    :param url: the URL of the collection, without a slash at its end.
    :param members: the names as they are shown, and the bytes of files; None for a collection.
    :param following: the name after which the next page begins; None for the last one.
    """
    url, rows = escape(url), []
    for name, size in members:
        slash = "/" if size is None else ""
        shown = "" if size is None else format_size(size)
        link = f'<a href="{url}/{quote(name)}{slash}"><bdi>{escape(name)}</bdi>{slash}</a>'
        rows.append(f"<tr><td>{link}</td><td>{shown}</td></tr>")
    table = f"<table>\n{chr(10).join(rows)}\n</table>" if rows else f"<p>{texts('empty')}</p>"
    more = "" if following is None else f'<p><a href="{url}/?after={quote(following)}">{texts("more")}</a></p>'
    zip_all = f'<p><a class="button" href="{url}/?zip">{texts("zip")}</a></p>'
    return table + more + (zip_all if can_zip and rows else "")


def single(url: str, name: str, size: int, texts: Texts) -> str:
    """Return the page of one file."""
    return (
        f'<p><a class="button" href="{escape(url)}/{quote(name)}" download>{texts("download")}</a> '
        f'<span class="hint">{format_size(size)}</span></p>'
    )


def upload_form(url: str, stored: int | None, texts: Texts) -> str:
    """Return the form by which files are left.

    :param stored: how many files have just been stored; None if none were sent.
    """
    said = "" if stored is None else texts("stored-one") if stored == 1 else texts("stored", stored)
    done = f"<p><strong>{said}</strong></p>" if said else ""
    return (
        f'{done}<form method="post" enctype="multipart/form-data" action="{escape(url)}">\n'
        f'<p><label>{texts("files")} <input type="file" name="files" multiple required></label></p>\n'
        f"<p><button>{texts('send')}</button></p>\n</form>\n"
        f'<p class="hint">{texts("send-hint")}</p>'
    )


def password_form(url: str, texts: Texts, *, wrong: bool) -> str:
    """Return the form that asks for the password of a link."""
    again = f"<p><strong>{texts('password-wrong')}</strong></p>" if wrong else ""
    return (
        f'{again}<form method="post" action="{escape(url)}">\n'
        f"<p><label>{texts('password')} "
        '<input type="password" name="password" autocomplete="off" required autofocus></label></p>\n'
        f"<p><button>{texts('open')}</button></p>\n</form>"
    )


def refusal(url: str, status: int, texts: Texts) -> str:
    """Return what is said about a request that is refused.

    :param url: where one may go on; empty for nowhere.
    """
    back = f'<p><a href="{escape(url)}">{texts("back")}</a></p>' if url else ""
    return f"<p>{texts.refusal(status)}</p>{back}"
