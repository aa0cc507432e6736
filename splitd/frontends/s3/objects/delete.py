"""DeleteObject and DeleteObjects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import attrs
from twisted.internet.defer import Deferred, gatherResults

from splitd.errors import SplitdError
from splitd.frontends.s3.answers import answer, refusal
from splitd.frontends.s3.conditions import Fit, delete_condition, read_fit
from splitd.frontends.s3.door import LIST_LIMIT, S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.objects.get import refuse_version
from splitd.frontends.s3.target import check_key
from splitd.frontends.s3.xml import (
    document,
    element,
    malformed,
    only_child,
    only_flag,
    only_text,
    parse,
    refuse_others,
    text,
)

_MOST = 1000
"""Keys that one request may delete."""


@attrs.frozen
class _Doomed:
    key: str
    version: str
    fit: Fit


async def delete_object(request: S3Request) -> None:
    """Delete an object.  A key that nothing has is told the same."""
    refuse_version(request)
    fit = delete_condition(request.http)
    await request.keys.delete(request.bucket, request.key, None if fit == Fit() else fit.check)
    answer(request.http, 204)


async def delete_objects(request: S3Request) -> None:
    """Delete up to a thousand objects, each for itself."""
    doomed, quiet = await request.understand(await request.read_xml(LIST_LIMIT), _read)
    await request.keys.buckets.reach(request.bucket)
    told: Sequence[str] = await gatherResults(
        [Deferred.fromCoroutine(_delete(request, each, quiet=quiet)) for each in doomed], consumeErrors=True
    )
    answer(request.http, 200, document("DeleteResult", *told))


def _read(body: bytes) -> tuple[list[_Doomed], bool]:
    root = parse(body, "Delete")
    refuse_others(root, {"Object", "Quiet"})
    objects = root.findall("Object")
    if not objects or len(objects) > _MOST:
        raise malformed()
    return [_read_object(each) for each in objects], only_flag(root, "Quiet")


def _read_object(each: Element) -> _Doomed:
    refuse_others(each, {"Key", "VersionId", "ETag", "Size", "LastModifiedTime"})
    tag, size, modified = (
        None if only_child(each, name) is None else only_text(each, name)
        for name in ("ETag", "Size", "LastModifiedTime")
    )
    fit = read_fit(tag, size, modified)
    return _Doomed(only_text(each, "Key"), only_text(each, "VersionId", "null"), fit)


async def _delete(request: S3Request, doomed: _Doomed, *, quiet: bool) -> str:
    key = text("Key", doomed.key)
    try:
        _refuse_impossible(doomed)
        await request.keys.delete(request.bucket, doomed.key, None if doomed.fit == Fit() else doomed.fit.check)
    except SplitdError as problem:
        refused = refusal(problem)
        return element("Error", key, text("Code", refused.code), text("Message", refused))
    except S3Error as problem:
        return element("Error", key, text("Code", problem.code), text("Message", problem))
    return "" if quiet else element("Deleted", key)


def _refuse_impossible(doomed: _Doomed) -> None:
    if doomed.version not in {"null", ""}:
        raise S3Error("NoSuchVersion", "The specified version does not exist.")
    check_key(doomed.key)
    if not doomed.key:
        raise S3Error("InvalidArgument", "a key has at least one character")
