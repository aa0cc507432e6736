"""Answers of S3, and the table from errors of the store to its codes."""

from __future__ import annotations

from collections.abc import Mapping

from splitd import errors
from splitd.frontends.http.opaque import readable
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import TYPE, error_document, text
from storaged.http import IRequest

CODES: Mapping[type[errors.SplitdError], str] = {
    errors.AclsDisabled: "AccessControlListNotSupported",
    errors.BadName: "InvalidArgument",
    errors.CatalogReadOnly: "ServiceUnavailable",
    errors.Entangled: "InvalidRequest",
    errors.FileDamaged: "InternalError",
    errors.FileUnavailable: "ServiceUnavailable",
    errors.Forbidden: "AccessDenied",
    errors.FileTooLarge: "EntityTooLarge",
    errors.LengthMismatch: "IncompleteBody",
    errors.LoginRequired: "AccessDenied",
    errors.NameTaken: "OperationAborted",
    errors.NotACollection: "NoSuchBucket",
    errors.NotAFile: "NoSuchKey",
    errors.NotEnoughNodes: "ServiceUnavailable",
    errors.NotEnoughSpace: "InsufficientStorage",
    errors.NotFound: "NoSuchKey",
    errors.Overloaded: "SlowDown",
    errors.ParentMissing: "NoSuchBucket",
    errors.PreconditionFailed: "PreconditionFailed",
    errors.PropertiesTooLarge: "InvalidRequest",
    # No client of S3 has the token of a lock.
    errors.Protected: "AccessDenied",
    errors.QuotaExceeded: "QuotaExceeded",
    errors.TooManyLogins: "SlowDown",
    errors.TooManyNames: "InsufficientStorage",
    errors.SegmentsRefused: "InvalidPart",
    errors.UploadFailed: "ServiceUnavailable",
    errors.UploadTooLarge: "EntityTooLarge",
    errors.UploadUnknown: "NoSuchUpload",
}

_RETRY_AFTER_S = "5"


def refusal(problem: errors.SplitdError) -> S3Error:
    """Return the refusal for an error of the store."""
    code = next((CODES[kind] for kind in type(problem).__mro__ if kind in CODES), "InternalError")
    return S3Error(code, str(problem))


def answer(request: IRequest, status: int, body: bytes = b"", content_type: str = TYPE) -> None:
    """Answer a request with a body that is in memory."""
    request.setResponseCode(status)
    if status not in {204, 304}:
        request.setHeader("Content-Length", str(len(body)))
        if body:
            request.setHeader("Content-Type", content_type)
    request.write(body)
    request.finish()


def refuse(request: IRequest, problem: S3Error, resource: str) -> None:
    """Answer a request with an error."""
    if problem.status == 503:
        request.setHeader("Retry-After", _RETRY_AFTER_S)
    if problem.status == 304:
        answer(request, 304)
        return
    for name in ("ETag", "Last-Modified", "Content-Range", "Accept-Ranges"):
        request.remove_header(name)
    body = error_document(
        text("Code", problem.code),
        text("Message", readable(str(problem))),
        *(text(name, readable(value)) for name, value in problem.details.items()),
        text("Resource", resource),
        text("RequestId", request.id),
        text("HostId", request.id),
    )
    answer(request, problem.status, body)
