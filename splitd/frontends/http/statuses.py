"""The table from errors to statuses (RFC 9110 section 15, RFC 4918 section 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from splitd import errors
from splitd.frontends.http.answers import Refused

_Entry = TypeVar("_Entry")

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
    errors.UploadUnknown: 404,
    errors.UploadTooLarge: 413,
    errors.SegmentsRefused: 409,
    errors.DocumentChanged: 409,
    errors.TooManyDocuments: 507,
}

ADVICE: dict[type[errors.SplitdError], str] = {
    errors.CatalogReadOnly: "nothing can be changed until the server is started again, which shows whether this was",
    errors.CatalogAway: "try again in a few seconds; a change that was in progress may have been made",
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


def refusal_of(problem: errors.SplitdError) -> Refused:
    """Return the answer to an error of the store."""
    status, advice = _of_kind(problem, STATUS, 500), _of_kind(problem, ADVICE, "")
    headers = {}
    if isinstance(problem, (errors.Overloaded, errors.CatalogAway)):
        headers["Retry-After"] = str(problem.retry_after_s)
    return Refused(status, f"{problem}; {advice}" if advice else str(problem), **headers)


def _of_kind(
    problem: errors.SplitdError, table: Mapping[type[errors.SplitdError], _Entry], otherwise: _Entry
) -> _Entry:
    """Return the entry of the error's own class, or of its nearest base class that has one; `otherwise` if none has."""
    return next((table[kind] for kind in type(problem).__mro__ if kind in table), otherwise)
