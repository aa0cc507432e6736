"""The table of operations: what a method means for what it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from splitd.frontends.s3.buckets.acl import get_bucket_acl, get_object_acl, put_bucket_acl, put_object_acl
from splitd.frontends.s3.buckets.configuration import (
    LISTED,
    NONE,
    SAME,
    delete_none,
    get_listed,
    get_location,
    get_no_lock,
    get_none,
    get_same,
)
from splitd.frontends.s3.buckets.cors import delete_bucket_cors, get_bucket_cors, put_bucket_cors
from splitd.frontends.s3.buckets.lifecycle import delete_bucket_lifecycle, get_bucket_lifecycle, put_bucket_lifecycle
from splitd.frontends.s3.buckets.listing import list_objects, list_objects_v2, list_versions
from splitd.frontends.s3.buckets.ownership import (
    delete_bucket_ownership,
    get_bucket_ownership,
    put_bucket_ownership,
)
from splitd.frontends.s3.buckets.service import create_bucket, delete_bucket, head_bucket, list_buckets
from splitd.frontends.s3.buckets.tagging import delete_bucket_tagging, get_bucket_tagging, put_bucket_tagging
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.post import post_object
from splitd.frontends.s3.multipart.complete import complete_upload
from splitd.frontends.s3.multipart.parts import list_parts, upload_part, upload_part_copy
from splitd.frontends.s3.multipart.uploads import abort_upload, create_upload, list_uploads
from splitd.frontends.s3.objects.attributes import get_object_attributes
from splitd.frontends.s3.objects.copy import copy_object
from splitd.frontends.s3.objects.delete import delete_object, delete_objects
from splitd.frontends.s3.objects.get import get_object, head_object
from splitd.frontends.s3.objects.put import put_object
from splitd.frontends.s3.objects.tagging import delete_object_tagging, get_object_tagging, put_object_tagging
from splitd.frontends.s3.subresources import SUBRESOURCES
from splitd.frontends.s3.target import Target
from storaged.http import IRequest

Operation = Callable[[S3Request], Awaitable[None]]

_COPY, _PART_COPY = "x-amz-copy-source", "x-amz-copy-source of a part"

_SERVICE: Mapping[tuple[str, str], Operation] = {("GET", ""): list_buckets}

_BUCKET: Mapping[tuple[str, str], Operation] = {
    ("GET", ""): list_objects,
    ("GET", "list-type"): list_objects_v2,
    ("GET", "versions"): list_versions,
    ("GET", "uploads"): list_uploads,
    ("HEAD", ""): head_bucket,
    ("PUT", ""): create_bucket,
    ("DELETE", ""): delete_bucket,
    ("POST", ""): post_object,
    ("POST", "delete"): delete_objects,
    ("GET", "location"): get_location,
    ("GET", "acl"): get_bucket_acl,
    ("PUT", "acl"): put_bucket_acl,
    ("GET", "cors"): get_bucket_cors,
    ("PUT", "cors"): put_bucket_cors,
    ("DELETE", "cors"): delete_bucket_cors,
    ("GET", "lifecycle"): get_bucket_lifecycle,
    ("PUT", "lifecycle"): put_bucket_lifecycle,
    ("DELETE", "lifecycle"): delete_bucket_lifecycle,
    ("GET", "ownershipControls"): get_bucket_ownership,
    ("PUT", "ownershipControls"): put_bucket_ownership,
    ("DELETE", "ownershipControls"): delete_bucket_ownership,
    ("GET", "tagging"): get_bucket_tagging,
    ("PUT", "tagging"): put_bucket_tagging,
    ("DELETE", "tagging"): delete_bucket_tagging,
    **{("GET", name): get_none(name) for name in NONE},
    **{("DELETE", name): delete_none for name in NONE},
    **{("GET", name): get_same(name) for name in SAME},
    **{("GET", name): get_listed(name) for name in LISTED},
}

_OBJECT: Mapping[tuple[str, str], Operation] = {
    ("GET", ""): get_object,
    ("HEAD", ""): head_object,
    ("PUT", ""): put_object,
    ("PUT", _COPY): copy_object,
    ("POST", "uploads"): create_upload,
    ("PUT", "uploadId"): upload_part,
    ("PUT", _PART_COPY): upload_part_copy,
    ("GET", "uploadId"): list_parts,
    ("POST", "uploadId"): complete_upload,
    ("DELETE", "uploadId"): abort_upload,
    ("GET", "attributes"): get_object_attributes,
    ("GET", "tagging"): get_object_tagging,
    ("PUT", "tagging"): put_object_tagging,
    ("DELETE", "tagging"): delete_object_tagging,
    ("DELETE", ""): delete_object,
    ("GET", "acl"): get_object_acl,
    ("PUT", "acl"): put_object_acl,
    ("GET", "legal-hold"): get_no_lock,
    ("GET", "retention"): get_no_lock,
}

_ORDER = {name: number for number, name in enumerate(SUBRESOURCES)}


_WITHOUT_VERSION = frozenset(
    {abort_upload, complete_upload, copy_object, create_upload, list_parts, put_object, upload_part, upload_part_copy}
)
"""Operations on objects that are of no version."""

_WRITES = frozenset({"if-match", "if-none-match"})
_SOURCE = frozenset(
    {
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
    }
)
_READ_BY: Mapping[Operation, frozenset[str]] = {
    put_object: _WRITES,
    create_upload: _WRITES,
    complete_upload: _WRITES,
    copy_object: _WRITES | _SOURCE,
    upload_part_copy: _SOURCE | {"x-amz-copy-source-range"},
    delete_object: frozenset({"if-match", "x-amz-if-match-size", "x-amz-if-match-last-modified-time"}),
}
_DECIDING = frozenset({"content-range", "if-modified-since", "if-unmodified-since"}).union(*_READ_BY.values())
"""Headers that decide whether something is changed, and into what: each operation has to know those that come."""


def _is_harmless(name: str) -> bool:
    """Return whether a parameter without a value means nothing.  Those that begin with x- are the clients' own."""
    return name == "versionId" or name.lower().startswith("x-")


def find_operation(method: str, target: Target, *, copies: bool) -> Operation:
    """Return what a request asks for.

    :param copies: whether it names a source to be copied, by `x-amz-copy-source`.
    :raise S3Error: there is no such operation here.
    """
    table = _OBJECT if target.key else _BUCKET if target.bucket else _SERVICE
    # Where there are several, the first in the list counts, whatever their order in the URL.
    part = (
        min((name for name in target.query if name in _ORDER), key=_ORDER.__getitem__, default="")
        if target.query
        else ""
    )
    if method == "PUT" and not part and "partNumber" in target.query:
        # A part whose upload is not named would replace the whole object.
        raise S3Error("InvalidArgument", "partNumber is of an upload, which uploadId names", ArgumentName="partNumber")
    if copies and method == "PUT" and target.key:
        part = {"": _COPY, "uploadId": _PART_COPY}.get(part, part)
    if not part and target.query and method not in {"GET", "HEAD"}:
        part = next((name for name in target.query if not target.query.get(name) and not _is_harmless(name)), "")
    found = table.get((method, part))
    if found in _WITHOUT_VERSION and target.query and target.query.get("versionId"):
        raise S3Error("InvalidArgument", "This operation does not accept a version-id.", ArgumentName="versionId")
    if found is not None:
        return found
    if part:
        raise S3Error(
            "NotImplemented", f"A header or query you provided implies functionality that is not implemented: {part}"
        )
    raise S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.", Method=method[:20])


def refuse_deciding(operation: Operation, request: IRequest) -> None:
    """Refuse a request that changes something, if a header should decide about that and the operation does not read it.

    :raise S3Error: there is such a header.
    """
    if request.method in {b"GET", b"HEAD"}:
        return
    name = _find_deciding(operation, tuple(request.header_names()))
    if name:
        raise S3Error(
            "NotImplemented",
            f"A header you provided implies functionality that is not implemented: {name}",
            Header=name,
        )


@lru_cache(128)  # the headers of a client's requests have the same names
def _find_deciding(operation: Operation, names: tuple[str, ...]) -> str:
    """Return the first name of a header that would decide, and that the operation does not read; empty for none."""
    read = _READ_BY.get(operation, frozenset())
    return next((name for name in names if name in _DECIDING and name not in read), "")
