"""Signed URLs of version 2, which boto3 still makes unless it is told otherwise.  Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html#RESTAuthenticationQueryStringAuth
Only URLs are taken: a header of version 2 signs neither the body nor a scope.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.query import Query
from splitd.frontends.s3.subresources import SUBRESOURCES

ACCESS_KEY, EXPIRES, SIGNATURE = "AWSAccessKeyId", "Expires", "Signature"

_SIGNED = (
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
)
"""The parameters that are signed, in order."""

# Another form of a list tells nothing else than the list itself.
_UNSIGNED = frozenset(SUBRESOURCES) - set(_SIGNED) - {"list-type"}


def refuse_unsigned(query: Query) -> None:
    """Refuse a URL with a parameter that makes it another operation and is not signed: whoever has the URL can add it.

    :raise S3Error: there is one.
    """
    name = next((each for each in query if each in _UNSIGNED), "")
    if name:
        raise S3Error(
            "AccessDenied",
            f"version 2 does not sign the parameter {name}: sign this URL with version 4",
            Parameter=name,
        )


def string_to_sign(
    method: str, md5: str, content_type: str, expires: str, amz: Iterable[tuple[str, str]], path: str, query: Query
) -> str:
    """Return the text that is signed.

    :param md5: the value of `Content-MD5`; empty if it did not come.
    :param content_type: the value of `Content-Type`; empty if it did not come.
    :param expires: the parameter, seconds since 1970.
    :param amz: (name, value) of each header that begins with `x-amz-`, in lower case.
    :param path: as it stands in the URL, with the bucket in front if that is in the name of the host.
    """
    headers = "".join(f"{name}:{value}\n" for name, value in sorted(amz))
    signed = [f"{name}={value}" if (value := query.get(name)) else name for name in _SIGNED if name in query]
    resource = f"{path}?{'&'.join(signed)}" if signed else path
    return f"{method}\n{md5}\n{content_type}\n{expires}\n{headers}{resource}"


def sign(secret: str, text: str) -> str:
    """Return the signature of a text, in base64."""
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return b64encode(digest).decode()
