"""What the author of a form allows: conditions for its fields, until a moment.  Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from splitd.frontends.s3.errors import S3Error

_UNCHECKED = frozenset({"awsaccesskeyid", "signature", "x-amz-signature", "policy", "file"})
_IGNORED = ("x-ignore-", "x-amz-checksum-")
"""Beginnings of fields that a policy need not name; a checksum can only refuse what it does not fit."""
_RANGE = "content-length-range"
_TIME = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z")


@attrs.frozen
class Policy:
    """A policy.

    :param expires_ms: until when it is good, milliseconds since 1970.
    :param conditions: (kind, field, value) of each, the kind `eq` or `starts-with`, the field in lower case.
    :param least: the least bytes of the file.
    :param most: the most bytes of the file; None for any number.
    """

    expires_ms: int
    conditions: tuple[tuple[str, str, str], ...]
    least: int = 0
    most: int | None = None

    def check(self, fields: Mapping[str, str], now_ms: int) -> None:
        """Judge a form.

        :param fields: the values of its fields, by their names in lower case, with those that it implies.
        :raise S3Error: it is too late, a condition does not hold, or a field has none.
        """
        if now_ms >= self.expires_ms:
            raise _refused("Policy expired.")
        named = set()
        for kind, field, value in self.conditions:
            named.add(field)
            found = fields.get(field, "")
            if not (found == value if kind == "eq" else found.startswith(value)):
                raise _refused(f'Policy Condition failed: ["{kind}", "${field}", "{value}"]')
        for field in fields:
            if field not in named and field not in _UNCHECKED and not field.startswith(_IGNORED):
                raise _refused(f"Extra input fields: {field[:100]}")

    def check_least(self, size: int) -> None:
        """Judge the bytes of the file after the last one.

        :raise S3Error: they are too few.
        """
        if size < self.least:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=str(size),
                MinSizeAllowed=str(self.least),
            )


def parse_policy(text: str) -> Policy:
    """Read a policy.

    :param text: JSON in base64, as in the form.
    :raise S3Error: it is none.
    """
    try:
        found = json.loads(b64decode("".join(text.split()).encode(), validate=True))
    except (ValueError, RecursionError, binascii.Error):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(found, dict):
        raise _invalid("Invalid JSON.")
    if "expiration" not in found:
        raise _invalid("Policy missing expiration.")
    if not isinstance(found.get("conditions"), list):
        raise _invalid("Policy missing conditions.")
    expires_ms = _expiration(found["expiration"])
    conditions: list[tuple[str, str, str]] = []
    least, most = 0, None
    for condition in found["conditions"]:
        if isinstance(condition, list) and condition and str(condition[0]).lower() == _RANGE:
            bottom, bound = _range(condition)
            least = max(least, bottom)
            most = bound if most is None else min(most, bound)
        else:
            conditions.append(_condition(condition))
    return Policy(expires_ms, tuple(conditions), least, most)


def _expiration(value: Any) -> int:
    try:
        if isinstance(value, str) and _TIME.match(value):
            return int(datetime.fromisoformat(value).timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise _invalid(f"Invalid 'expiration' value: {str(value)[:40]!r}")


def _condition(condition: Any) -> tuple[str, str, str]:
    if isinstance(condition, dict) and len(condition) == 1:
        [(field, value)] = condition.items()
        if isinstance(value, str):
            return "eq", field.lower(), value
    elif isinstance(condition, list) and len(condition) == 3 and all(isinstance(each, str) for each in condition):
        kind, field, value = condition
        if kind.lower() in {"eq", "starts-with"} and field.startswith("$"):
            return kind.lower(), field[1:].lower(), value
    raise _invalid(f"Invalid condition: {json.dumps(condition)[:100]}")


def _range(condition: list[Any]) -> tuple[int, int]:
    bounds = condition[1:]
    if len(bounds) != 2 or not all(_is_number(each) for each in bounds) or int(bounds[0]) > int(bounds[1]):
        raise _invalid(f"Invalid {_RANGE}: {json.dumps(condition)[:100]}")
    return int(bounds[0]), int(bounds[1])


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 19
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _invalid(why: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {why}")


def _refused(why: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {why}")
