"""Which pages of other origins may use a bucket, by its own rules.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from splitd.frontends.s3.errors import S3Error
from splitd.model.buckets import CorsRule
from storaged.http import IRequest

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_ORIGIN, _METHOD = "Origin", "Access-Control-Request-Method"
_HEADERS = "Access-Control-Request-Headers"


def find_rule(rules: Iterable[CorsRule], origin: str, method: str, headers: Iterable[str]) -> CorsRule | None:
    """Return the first rule by which a page may send a request; None if there is none.

    :param headers: the names of the headers that it will send.
    """
    names = [name.lower() for name in headers]
    for rule in rules:
        if method in rule.methods and any(_fits(each, origin) for each in rule.origins):
            allowed = [each.lower() for each in rule.headers]
            if all(any(_fits(each, name) for each in allowed) for name in names):
                return rule
    return None


def _fits(pattern: str, text: str) -> bool:
    before, star, behind = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(behind) and text.startswith(before) and text.endswith(behind)


def greet_page(request: IRequest, rules: Iterable[CorsRule]) -> None:
    """Set the headers by which a browser passes the answer on to a page of another origin, if a rule allows that."""
    origin = request.getHeader(_ORIGIN) or ""
    method = request.getHeader(_METHOD) or request.method.decode("ascii", "replace")
    names = _asked_headers(request)
    rule = find_rule(rules, origin, method, names)
    if rule is not None:
        _allow(request, rule, origin, names)


def greet_before(request: IRequest, rules: Iterable[CorsRule]) -> None:
    """Set the headers of the answer to a preflight, by which a browser asks whether a page may send a request.

    :raise S3Error: it may not, or the request does not say what is asked.
    """
    origin, method = request.getHeader(_ORIGIN), request.getHeader(_METHOD)
    if not origin:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    if not method:
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {method}")
    rules, names = tuple(rules), _asked_headers(request)
    if not rules:
        raise S3Error("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
    rule = find_rule(rules, origin, method, names)
    if rule is None:
        raise S3Error(
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request "
            "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
            "resource's CORS spec.",
        )
    _allow(request, rule, origin, names)


def _asked_headers(request: IRequest) -> list[str]:
    return [name for name in re.split("[ \t,]+", request.getHeader(_HEADERS) or "") if name]


def _allow(request: IRequest, rule: CorsRule, origin: str, names: list[str]) -> None:
    is_any = "*" in rule.origins
    told = {
        "Access-Control-Allow-Origin": "*" if is_any else origin,
        "Access-Control-Allow-Credentials": "" if is_any else "true",
        "Access-Control-Allow-Methods": ", ".join(rule.methods),
        "Access-Control-Allow-Headers": ", ".join(name.lower() for name in names),
        "Access-Control-Expose-Headers": ", ".join(rule.exposed),
        "Access-Control-Max-Age": "" if rule.max_age_s is None else str(rule.max_age_s),
        "Vary": _VARY,
    }
    for name, value in told.items():
        if value:
            request.setHeader(name, value)
