"""No operation of S3 is taken for another one: botocore's model says which there are."""

from __future__ import annotations

from typing import Any

from botocore.loaders import Loader

from splitd.frontends.s3.buckets.configuration import delete_none, get_no_lock
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.operations import find_operation, refuse_deciding
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.target import Target
from tests.s3 import FakeRequest

MODEL: dict[str, Any] = Loader().load_service_model("s3", "service-2")["operations"]
OTHER_HOSTS = frozenset({"WriteGetObjectResponse"})
"""Operations of other services, at hosts of their own."""


def asked(name: str) -> tuple[str, str, str]:
    """Return the method, the target and the query of an operation, without the parameters that it may leave out."""
    http = MODEL[name]["http"]
    path, _, query = http["requestUri"].partition("?")
    return http["method"], "key" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "", query


def find(method: str, what: str, query: str, *, copies: bool = False) -> Any:
    """Return the operation, or the code of the refusal."""
    target = Target(b"", Query(query.encode()), "bucket" if what else "", "k" if what == "key" else "")
    try:
        return find_operation(method, target, copies=copies)
    except S3Error as problem:
        return problem.code


COPIES = {"CopyObject", "UploadPartCopy"}
OF_UPLOADS = {"AbortMultipartUpload", "CompleteMultipartUpload", "ListParts", "UploadPart", "UploadPartCopy"}
SAME_REQUEST = {
    "GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification",
    "ListDirectoryBuckets", "GetBucketPolicyStatus",
}  # fmt: skip
"""Older names, and a service of its own: the same request as that of another operation."""


def test_each_operation_is_its_own_or_refused() -> None:
    found: dict[Any, str] = {}
    for name in sorted(MODEL.keys() - OTHER_HOSTS - SAME_REQUEST):
        method, what, query = asked(name)
        operation = find(method, what, query + "&uploadId=1" * (name in OF_UPLOADS), copies=name in COPIES)
        tells_none = "<locals>" in getattr(operation, "__qualname__", "") or operation in {delete_none, get_no_lock}
        if operation in {"NotImplemented", "MethodNotAllowed"} or tells_none:
            continue
        assert operation not in found, (name, found.get(operation))
        assert operation.__name__.replace("_", "") in ALIASES.get(name, name).lower(), name
        found[operation] = name
    assert len(found) >= 38


ALIASES = {
    "AbortMultipartUpload": "AbortUpload", "CompleteMultipartUpload": "CompleteUpload",
    "CreateMultipartUpload": "CreateUpload", "ListMultipartUploads": "ListUploads",
    "ListObjectVersions": "ListVersions", "GetBucketLocation": "GetLocation",
}  # fmt: skip


def test_the_order_of_parameters_does_not_matter() -> None:
    for what in ("bucket", "key"):
        for method in ("GET", "PUT", "DELETE"):
            assert find(method, what, "acl&tagging&x=1") is find(method, what, "tagging=&x=1&acl=")
    assert find("GET", "key", "tagging&acl") is find("GET", "key", "acl")


def test_what_is_not_known_is_refused_where_it_may_change_something() -> None:
    for what in ("", "bucket", "key"):
        for method in ("PUT", "POST", "DELETE"):
            assert find(method, what, "new") == "NotImplemented"
            assert find(method, what, "new=") == "NotImplemented"
    assert find("GET", "key", "new") is find("GET", "key", "")
    for harmless in ("x-id=PutObject", "x-of-a-client", "versionId=", "X-Amz-Expires="):
        assert find("PUT", "key", harmless) is find("PUT", "key", ""), harmless


def test_what_stores_something_takes_no_version() -> None:
    """An upload makes the only version: a client that names another one would replace what it did not mean."""
    for method, query in (
        ("PUT", ""),
        ("POST", "uploads"),
        ("PUT", "partNumber=1&uploadId=u"),
        ("GET", "uploadId=u"),
        ("POST", "uploadId=u"),
        ("DELETE", "uploadId=u"),
    ):
        assert find(method, "key", f"{query}&versionId=1") == "InvalidArgument", (method, query)
        assert find(method, "key", f"{query}&versionId=") is find(method, "key", query), (method, query)
    assert find("PUT", "key", "versionId=1", copies=True) == "InvalidArgument"
    assert find("PUT", "key", "uploadId=u&partNumber=1&versionId=1", copies=True) == "InvalidArgument"
    assert find("GET", "key", "versionId=1") is find("GET", "key", "")


def test_a_part_without_its_upload_does_not_replace_the_object() -> None:
    for query in ("partNumber=1", "partNumber", "x-id=UploadPart&partNumber=1"):
        for copies in (False, True):
            assert find("PUT", "key", query, copies=copies) == "InvalidArgument"
    assert find("GET", "key", "partNumber=1") is find("GET", "key", "")
    assert find("PUT", "key", "partNumber=1&uploadId=u") is find("PUT", "key", "uploadId=u")


WRITES = [
    *(("PUT", query) for query in ("", "partNumber=1&uploadId=u", "tagging", "acl")),
    *(("POST", query) for query in ("uploads", "uploadId=u")),
    *(("DELETE", query) for query in ("", "uploadId=u", "tagging")),
]
JUDGED = {
    ("PUT", ""): {"If-Match", "If-None-Match"},
    ("POST", "uploads"): {"If-Match", "If-None-Match"},
    ("POST", "uploadId=u"): {"If-Match", "If-None-Match"},
    ("DELETE", ""): {"If-Match", "x-amz-if-match-size", "x-amz-if-match-last-modified-time"},
}
CONDITIONS = [
    "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "x-amz-if-match-size",
    "x-amz-if-match-last-modified-time", "Content-Range", "x-amz-copy-source-range", "x-amz-copy-source-if-match",
]  # fmt: skip


def is_refused(method: str, query: str, header: str, *, copies: bool = False) -> bool:
    source = [("x-amz-copy-source", "b/k")] if copies else []
    request: Any = FakeRequest(method, f"/bucket/k?{query}", [("Host", "h"), (header, "1"), *source])
    try:
        refuse_deciding(find(method, "key", query, copies=copies), request)
    except S3Error as problem:
        return (problem.code, problem.details["Header"]) == ("NotImplemented", header.lower())
    return False


def test_no_change_is_made_whose_condition_is_not_judged() -> None:
    for method, query in WRITES:
        for header in CONDITIONS:
            is_judged = header in JUDGED.get((method, query), ())
            assert is_refused(method, query, header) is not is_judged, (method, query, header)
    for header in CONDITIONS:
        of_object, of_part = {"If-Match", "If-None-Match"}, {"x-amz-copy-source-range"}
        of_source = {"x-amz-copy-source-if-match"}
        assert is_refused("PUT", "", header, copies=True) is (header not in of_object | of_source), header
        part = is_refused("PUT", "partNumber=1&uploadId=u", header, copies=True)
        assert part is (header not in of_part | of_source), header
        assert not is_refused("GET", "", header)
    assert is_refused("PUT", "tagging", "x-amz-copy-source"), "it copies nothing"
