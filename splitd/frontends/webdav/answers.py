"""Refusals as WebDAV tells them (RFC 4918 section 16)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote
from xml.sax.saxutils import escape

from splitd import errors
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.names import show_path
from splitd.frontends.http.statuses import refusal_of
from storaged.http import IRequest

ALLOWED = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"
XML_TYPE = "application/xml; charset=utf-8"
XML_PROLOG = '<?xml version="1.0" encoding="utf-8"?>\n'


def refusal(problem: errors.SplitdError, base: str = "") -> Refused:
    """Return the answer to an error of the store.

    :param base: what all URLs begin with.
    """
    refused = refusal_of(problem)
    if refused.status == 405:
        refused.headers["Allow"] = ALLOWED
    refused.condition = failed_condition(problem, base)
    return refused


def failed_condition(problem: errors.SplitdError, base: str) -> str:
    """Return the condition of RFC 4918 section 16 that an error stands for, as an XML element; empty for none."""
    if isinstance(problem, errors.Locked):
        return f"<D:lock-token-submitted>{_hrefs(problem.paths, base)}</D:lock-token-submitted>"
    if isinstance(problem, errors.LockConflict):
        return f"<D:no-conflicting-lock>{_hrefs(problem.paths, base)}</D:no-conflicting-lock>"
    if isinstance(problem, errors.LockUnknown):
        return "<D:lock-token-matches-request-uri/>"
    return ""


def _hrefs(paths: Iterable[str], base: str) -> str:
    return "".join(f"<D:href>{base}{quote(show_path(path))}</D:href>" for path in paths)


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def error_element(condition: str, message: str = "") -> str:
    """Return the element that says what failed: to programs by a condition, to people by a sentence."""
    # The message may contain a name, and a name may have characters that XML cannot hold (XML 1.0 section 2.2).
    shown = escape(_NO_XML.sub("\ufffd", message))
    sentence = f'<S:message xmlns:S="https://splitd.invalid/">{shown}</S:message>' if message else ""
    return f"<D:error>{condition}{sentence}</D:error>"


def refuse(request: IRequest, refused: Refused) -> None:
    """Answer with the status of a refusal, and a sentence that says why."""
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    message = str(refused).encode("utf-8", "replace")
    if refused.status == 304:
        answer(request, 304)
    elif refused.condition:
        element = error_element(refused.condition, str(refused)).replace("<D:error>", '<D:error xmlns:D="DAV:">', 1)
        answer(request, refused.status, f"{XML_PROLOG}{element}\n".encode(), XML_TYPE)
    else:
        answer(request, refused.status, message + b"\n", "text/plain; charset=utf-8")
