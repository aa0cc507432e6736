"""Canned ACLs: `private`, and `public-read`, by which everybody may read.  All else is a matter of grants.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from splitd.frontends.s3.buckets.notes import Owner
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import document, element, malformed, only_child, only_text, parse, refuse_others, text
from splitd.model.buckets import PUBLIC_READ

_PRIVATE = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})
"""The owner of the bucket owns all that is in it, and has all rights anyway."""
_REFUSED = frozenset({"public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write"})

_EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_MALFORMED = "MalformedACLError"
_PERMISSIONS = frozenset({"FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"})


def read_acl(value: str | None) -> str:
    """Read the value of `x-amz-acl`.

    :param value: None if it did not come.
    :return: `PUBLIC_READ`, or empty for private.
    :raise S3Error: it is no canned ACL, or one that is not supported.
    """
    if value is None or value in _PRIVATE:
        return ""
    if value == PUBLIC_READ:
        return PUBLIC_READ
    if value in _REFUSED:
        raise S3Error("NotImplemented", f"x-amz-acl: {value} is not supported: grants decide who may do what")
    raise S3Error("InvalidArgument", "", ArgumentName="x-amz-acl", ArgumentValue=value[:40])


def write_policy(owner: Owner, acl: str) -> bytes:
    """Return an ACL as a document."""
    grants = [_grant("Group", text("URI", _EVERYBODY), "READ")] if acl == PUBLIC_READ else []
    grants.append(_grant("CanonicalUser", text("ID", owner[0]) + text("DisplayName", owner[1]), "FULL_CONTROL"))
    return document(
        "AccessControlPolicy",
        element("Owner", text("ID", owner[0]), text("DisplayName", owner[1])),
        element("AccessControlList", *grants),
    )


def _grant(kind: str, grantee: str, permission: str) -> str:
    named = f'<Grantee {_XSI} xsi:type="{kind}">{grantee}</Grantee>'
    return element("Grant", named, text("Permission", permission))


def read_policy(body: bytes, owner: Owner) -> str:
    """Read an ACL as a document.

    :param owner: whose the bucket is.
    :return: as for `read_acl`.
    :raise S3Error: it is none, or one that is neither private nor public-read.
    """
    root = parse(body, "AccessControlPolicy", _MALFORMED)
    refuse_others(root, {"Owner", "AccessControlList"}, _MALFORMED)
    grants, stated = (only_child(root, name, _MALFORMED) for name in ("AccessControlList", "Owner"))
    if grants is None or stated is None:
        raise malformed(_MALFORMED)
    refuse_others(stated, {"ID", "DisplayName"}, _MALFORMED)
    refuse_others(grants, {"Grant"}, _MALFORMED)
    if only_text(stated, "ID") != owner[0]:
        raise S3Error("AccessDenied", "the owner of what is in a bucket cannot be changed")
    granted = [_read_grant(each, owner) for each in grants]
    return PUBLIC_READ if any(granted) else ""


def _read_grant(grant: Element, owner: Owner) -> bool:
    """Return whether a grant is that of everybody to read."""
    refuse_others(grant, {"Grantee", "Permission"}, _MALFORMED)
    grantee, permission = only_child(grant, "Grantee", _MALFORMED), only_text(grant, "Permission")
    if grantee is None or permission not in _PERMISSIONS:
        raise malformed(_MALFORMED)
    refuse_others(grantee, {"ID", "DisplayName", "EmailAddress", "URI"}, _MALFORMED)
    if only_text(grantee, "URI", "") == _EVERYBODY and permission == "READ":
        return True
    # The owner has all rights anyway.
    if only_text(grantee, "ID", "") == owner[0]:
        return False
    raise S3Error("NotImplemented", "only the grants of private and of public-read are supported")
