"""The lifecycle rules of a bucket: GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration and
DeleteBucketLifecycle.  `splitd.upkeep.lifecycle` carries them out.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from uuid import uuid4
from xml.etree.ElementTree import Element

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.kept import drop_note, find_note
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.headers import MOST_TAGS, check_tags
from splitd.frontends.s3.objects.tagging import read_tag
from splitd.frontends.s3.xml import (
    document,
    element,
    format_time,
    malformed,
    only_child,
    only_text,
    parse,
    refuse_others,
    text,
)
from splitd.model.buckets import DAY_MS, LIFECYCLE, LifecycleRule

_MOST_RULES = 1000
_LONGEST_ID = 255
_LONGEST_PREFIX = 1024
_LEAST_MOVED, _LEAST = "x-amz-transition-default-minimum-object-size", "all_storage_classes_128K"
"""The header that says how large objects must be to change their class, and its usual value.  None changes it here, but
Terraform sends the header, and waits until it is told the value.
"""
_KNOWN = frozenset({"ID", "Status", "Prefix", "Filter", "Expiration", "AbortIncompleteMultipartUpload"})
_CONDITIONS = frozenset({"Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"})
_OTHERS = frozenset({"Transition", "NoncurrentVersionTransition", "NoncurrentVersionExpiration"})


async def get_bucket_lifecycle(request: S3Request) -> None:
    """Tell the rules."""
    missing = "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"
    rules = await find_note(request, attrgetter("lifecycle"), *missing)
    request.http.setHeader(_LEAST_MOVED, _LEAST)
    answer(request.http, 200, document("LifecycleConfiguration", *map(_write, rules)))


async def put_bucket_lifecycle(request: S3Request) -> None:
    """Give a bucket other rules."""
    if request.header(_LEAST_MOVED) not in {"", _LEAST}:
        raise S3Error("NotImplemented", f"{_LEAST_MOVED} can only be {_LEAST}", Header=_LEAST_MOVED)
    rules = await request.understand(await request.read_xml(), read_lifecycle)
    await request.keys.buckets.note(request.bucket, LIFECYCLE, rules)
    request.http.setHeader(_LEAST_MOVED, _LEAST)
    answer(request.http, 200)


async def delete_bucket_lifecycle(request: S3Request) -> None:
    """Take the rules of a bucket away."""
    await drop_note(request, LIFECYCLE)


def read_lifecycle(body: bytes) -> list[LifecycleRule]:
    """Read a document of rules.

    :raise S3Error: it is none, or asks for what there is not.
    """
    root = parse(body, "LifecycleConfiguration")
    refuse_others(root, {"Rule"})
    rules = [_read(each) for each in root]
    if not 0 < len(rules) <= _MOST_RULES:
        raise malformed()
    if len({rule.id for rule in rules}) != len(rules):
        raise S3Error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return rules


def _read(rule: Element) -> LifecycleRule:
    names = {each.tag for each in rule}
    if names & _OTHERS:
        raise S3Error("NotImplemented", f"{min(names & _OTHERS)}: there are neither other classes nor other versions")
    refuse_others(rule, _KNOWN)
    rule_id, status = only_text(rule, "ID", ""), only_text(rule, "Status")
    if len(rule_id) > _LONGEST_ID:
        raise S3Error("InvalidArgument", f"ID length should not exceed allowed limit of {_LONGEST_ID}")
    if status not in {"Enabled", "Disabled"}:
        raise malformed()
    prefix, tags, larger, smaller = _read_filter(rule)
    days, date_ms = _read_expiration(rule)
    abort_days = _read_abort(rule)
    if days is None and date_ms is None and abort_days is None:
        raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
    if abort_days is not None and (tags or larger is not None or smaller is not None):
        raise S3Error("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with tags or sizes")
    has_filter = "Filter" in names
    return LifecycleRule(
        rule_id or uuid4().hex,
        status == "Enabled",
        prefix,
        tags,
        larger,
        smaller,
        days,
        date_ms,
        abort_days,
        has_filter,
    )


Filter = tuple[str, tuple[tuple[str, str], ...], int | None, int | None]


def _read_filter(rule: Element) -> Filter:
    """Return the prefix, the tags and the bounds of the size."""
    chosen = only_child(rule, "Filter")
    if chosen is None:
        return _check_prefix(only_text(rule, "Prefix")), (), None, None
    if rule.find("Prefix") is not None or len(chosen) > 1:
        raise malformed()
    both = only_child(chosen, "And")
    holder = chosen if both is None else both
    refuse_others(holder, _CONDITIONS)
    tags = check_tags([read_tag(tag) for tag in holder.findall("Tag")], MOST_TAGS)
    larger, smaller = (_size(only_text(holder, name, "")) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"))
    return _check_prefix(only_text(holder, "Prefix", "")), tags, larger, smaller


def _check_prefix(prefix: str) -> str:
    if len(prefix.encode("utf-8", "surrogatepass")) > _LONGEST_PREFIX:
        raise S3Error("InvalidRequest", f"The maximum size of a prefix is {_LONGEST_PREFIX}.")
    return prefix


def _size(value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise malformed()
    return int(value)


def _read_expiration(rule: Element) -> tuple[int | None, int | None]:
    """Return the days, or the date."""
    found = only_child(rule, "Expiration")
    if found is None:
        return None, None
    refuse_others(found, {"Days", "Date", "ExpiredObjectDeleteMarker"})
    if found.find("ExpiredObjectDeleteMarker") is not None:
        raise S3Error("NotImplemented", "ExpiredObjectDeleteMarker: there are no delete markers without versions")
    days, date = only_text(found, "Days", ""), only_text(found, "Date", "")
    if bool(days) == bool(date):
        raise malformed()
    return (_days(days, "Expiration"), None) if days else (None, _date(date))


def _read_abort(rule: Element) -> int | None:
    """Return the days after which uploads in parts are aborted."""
    found = only_child(rule, "AbortIncompleteMultipartUpload")
    if found is None:
        return None
    refuse_others(found, {"DaysAfterInitiation"})
    return _days(only_text(found, "DaysAfterInitiation"), found.tag)


def _days(value: str, action: str) -> int:
    value = value.strip()
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value)):
        raise S3Error("InvalidArgument", f"'Days' for {action} action must be a positive integer")
    return int(value)


def _date(value: str) -> int:
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        raise malformed() from None
    time_ms = int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    if time_ms % DAY_MS:
        raise S3Error("InvalidArgument", "'Date' must be at midnight GMT")
    return time_ms


def _write(rule: LifecycleRule) -> str:
    expiration = [
        "" if rule.days is None else text("Days", rule.days),
        "" if rule.date_ms is None else text("Date", format_time(rule.date_ms)),
    ]
    return element(
        "Rule",
        element("Expiration", *expiration) if any(expiration) else "",
        text("ID", rule.id),
        _write_filter(rule) if rule.has_filter else text("Prefix", rule.prefix),
        text("Status", "Enabled" if rule.enabled else "Disabled"),
        ""
        if rule.abort_days is None
        else element("AbortIncompleteMultipartUpload", text("DaysAfterInitiation", rule.abort_days)),
    )


def _write_filter(rule: LifecycleRule) -> str:
    conditions: Sequence[str] = [
        *([text("Prefix", rule.prefix)] if rule.prefix else []),
        *(element("Tag", text("Key", key), text("Value", value)) for key, value in rule.tags),
        *([] if rule.larger_than is None else [text("ObjectSizeGreaterThan", rule.larger_than)]),
        *([] if rule.smaller_than is None else [text("ObjectSizeLessThan", rule.smaller_than)]),
    ]
    if len(conditions) > 1:
        return element("Filter", element("And", *conditions))
    return element("Filter", *(conditions or [text("Prefix", "")]))
