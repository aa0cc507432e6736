"""Refusals, and the table from errors to statuses (RFC 9110 section 15, RFC 4918 section 11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote
from xml.sax.saxutils import escape

from splitd import errors
from splitd.frontends.http.answers import Refused, answer
from splitd.frontends.http.names import show_path
from storaged.http import IRequest

_Entry = TypeVar("_Entry")

ALLOWED = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"
XML_TYPE = "application/xml; charset=utf-8"
XML_PROLOG = '<?xml version="1.0" encoding="utf-8"?>\n'

STATUS: dict[type[errors.SplitdError], int] = {
    errors.BadName: 400,
    errors.LoginRequired: 401,
    errors.Forbidden: 403,
    errors.LengthMismatch: 400,
    errors.Entangled: 403,
    errors.NotFound: 404,
    errors.NameTaken: 405,
    errors.NotAFile: 405,
    errors.NotACollection: 409,
    errors.NotEmpty: 409,
    errors.ParentMissing: 409,
    errors.LockUnknown: 409,
    errors.PreconditionFailed: 412,
    errors.Protected: 423,
    errors.TooManyLogins: 429,
    errors.LoginUnavailable: 503,
    errors.FileDamaged: 500,
    errors.FileUnavailable: 503,
    errors.UploadFailed: 503,
    errors.Overloaded: 503,
    errors.TooManyRequests: 429,
    errors.FileTooLarge: 413,
    errors.QuotaExceeded: 507,
    errors.CatalogReadOnly: 503,
    errors.NotEnoughNodes: 507,
    errors.PropertiesTooLarge: 507,
    errors.TooManyLocks: 507,
    errors.TooManyNames: 507,
}

_ADVICE: dict[type[errors.SplitdError], str] = {
    errors.CatalogReadOnly: "nothing can be changed until the server is started again, which shows whether this was",
    errors.CatalogSuspended: "nothing was changed; try again when more storage servers answer",
    errors.FileLost: "it cannot be read any more: store it again, or delete it",
    errors.FileDamaged: "the file is damaged there; nothing that is wrong was sent",
    errors.FileUnavailable: "the file is kept; try again later",
    errors.UploadFailed: "nothing was stored; send it again",
    errors.LengthMismatch: "nothing was stored",
    errors.Overloaded: "nothing was changed; try again in a few seconds",
    errors.FileTooLarge: "nothing was stored",
    errors.QuotaExceeded: "nothing was changed; delete something there, or ask for a larger quota",
    errors.NotEnoughNodes: "nothing was stored; try again when more storage servers can be used",
    errors.NotEnoughSpace: "nothing was stored; free some space or add a storage server",
}
"""The state of the file after an error of the store, and what the client can do."""


def refusal(problem: errors.SplitdError, base: str = "") -> Refused:
    """Return the answer to an error of the store.

    :param base: what all URLs begin with.
    """
    status, advice = _of_kind(problem, STATUS, 500), _of_kind(problem, _ADVICE, "")
    headers = {"Allow": ALLOWED} if status == 405 else {}
    if isinstance(problem, errors.Overloaded):
        headers["Retry-After"] = str(problem.retry_after_s)
    message = f"{problem}; {advice}" if advice else str(problem)
    return Refused(status, message, failed_condition(problem, base), **headers)


def _of_kind(
    problem: errors.SplitdError, table: Mapping[type[errors.SplitdError], _Entry], otherwise: _Entry
) -> _Entry:
    """Return the entry of the error's own class, or of its nearest base class that has one; `otherwise` if none has."""
    return next((table[kind] for kind in type(problem).__mro__ if kind in table), otherwise)


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
