"""Reads the conditions of a request, which may name the entity tags of S3."""

from __future__ import annotations

import re

from splitd.frontends.http.times import parse_time
from splitd.frontends.s3.errors import S3Error
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
from storaged.http import IRequest

_OF_OTHER_DOORS = re.compile(r"\A[0-9a-f]{32}-1\Z")


def read_condition(request: IRequest, prefix: str = "") -> Condition:
    """Read the conditions of a request for reading.

    :param prefix: what the names of the headers begin with.
    """
    return Condition(
        _tags(request, f"{prefix}If-Match"),
        _tags(request, f"{prefix}If-None-Match"),
        parse_time(request.getHeader(f"{prefix}If-Unmodified-Since")),
        parse_time(request.getHeader(f"{prefix}If-Modified-Since")),
    )


def write_condition(request: IRequest) -> Condition:
    """Read the conditions of a request that stores or deletes an object.

    :raise S3Error: there is one that S3 does not know for this.
    """
    match, none_match = _tags(request, "If-Match"), _tags(request, "If-None-Match")
    if none_match not in {None, ("*",)}:
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented: If-None-Match can only be *",
            Header="If-None-Match",
        )
    if match is not None and none_match is not None:
        raise S3Error("InvalidRequest", "If-Match and If-None-Match cannot both be true")
    return Condition(match, none_match)


def single_tag(value: str) -> Condition:
    """Return the condition that the present version has this tag, as it stands in XML."""
    return Condition(_read_tags([value]))


def check_read(condition: Condition, manifest: Manifest) -> None:
    """Judge the conditions of a request for reading.

    :raise S3Error: one does not hold.
    """
    failed = condition.failed(manifest.etag, manifest.created_ms)
    if failed == "If-None-Match" or not (failed or condition.is_modified(manifest.created_ms)):
        raise S3Error("NotModified", "Not Modified")
    if failed:
        raise S3Error(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", Condition=failed
        )


def check_source(condition: Condition, manifest: Manifest) -> None:
    """Judge the conditions for the source of a copy: all of them mean 412.

    :raise S3Error: one does not hold.
    """
    try:
        check_read(condition, manifest)
    except S3Error as problem:
        raise S3Error(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
        ) from problem


def _tags(request: IRequest, name: str) -> tuple[str, ...] | None:
    values = request.header_values(name)
    return _read_tags(values) if values else None


def _read_tags(values: list[str]) -> tuple[str, ...]:
    """Return entity tags with quotes, which clients may leave out.

    A file that came by another front door is shown with `-1` at the end of its tag; the store knows it without.
    """
    tags: list[str] = []
    for value in values:
        for piece in value.split(","):
            tag = piece.strip().removeprefix("W/").strip('"')
            if tag == "*":
                return ("*",)
            tags.append(f'"{tag}"')
            if _OF_OTHER_DOORS.match(tag):
                tags.append(f'"{tag[:-2]}"')
    return tuple(tags)
