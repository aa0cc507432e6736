"""The CORS rules of a bucket: GetBucketCors, PutBucketCors, DeleteBucketCors, and the answer to a preflight.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
"""

from __future__ import annotations

import re
from operator import attrgetter
from xml.etree.ElementTree import Element

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.buckets.kept import drop_note, find_note
from splitd.frontends.s3.cors import greet_before
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import document, element, malformed, only_text, parse, refuse_others, text
from splitd.model.buckets import CORS, CorsRule
from storaged.http import IRequest

_MOST_RULES = 100
_LONGEST_ID = 255
_METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})
_KNOWN = frozenset({"AllowedHeader", "AllowedMethod", "AllowedOrigin", "ExposeHeader", "ID", "MaxAgeSeconds"})
# They stand in headers of answers.
_WORD = re.compile(r"\A[!-~]+\Z")


def answer_preflight(request: IRequest, rules: tuple[CorsRule, ...]) -> None:
    """Answer a browser that asks whether a page may send a request.  It carries no signature, and tells nothing else.

    :raise S3Error: the page may not.
    """
    greet_before(request, rules)
    answer(request, 200)


async def get_bucket_cors(request: S3Request) -> None:
    """Tell the rules."""
    missing = "NoSuchCORSConfiguration", "The CORS configuration does not exist"
    rules = await find_note(request, attrgetter("cors"), *missing)
    answer(request.http, 200, document("CORSConfiguration", *map(_write, rules)))


async def put_bucket_cors(request: S3Request) -> None:
    """Give a bucket other rules."""
    rules = await request.understand(await request.read_xml(), read_cors)
    await request.keys.buckets.note(request.bucket, CORS, rules)
    answer(request.http, 200)


async def delete_bucket_cors(request: S3Request) -> None:
    """Take the rules of a bucket away."""
    await drop_note(request, CORS)


def read_cors(body: bytes) -> list[CorsRule]:
    """Read a document of rules.

    :raise S3Error: it is none.
    """
    root = parse(body, "CORSConfiguration")
    refuse_others(root, {"CORSRule"})
    rules = [_read(each) for each in root]
    if not 0 < len(rules) <= _MOST_RULES:
        raise malformed()
    return rules


def _read(rule: Element) -> CorsRule:
    refuse_others(rule, _KNOWN)
    age = only_text(rule, "MaxAgeSeconds", "").strip()
    if age and not (age.isascii() and age.isdigit() and len(age) < 10):
        raise malformed()
    read = CorsRule(
        _texts(rule, "AllowedOrigin"),
        _texts(rule, "AllowedMethod"),
        _texts(rule, "AllowedHeader"),
        _texts(rule, "ExposeHeader"),
        int(age) if age else None,
        only_text(rule, "ID", ""),
    )
    if not read.origins or not read.methods or len(read.id) > _LONGEST_ID:
        raise malformed()
    for method in read.methods:
        if method not in _METHODS:
            raise S3Error(
                "InvalidRequest",
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:20]}",
            )
    for name, values in (("AllowedOrigin", read.origins), ("AllowedHeader", read.headers)):
        for value in values:
            if value.count("*") > 1:
                raise S3Error("InvalidRequest", f'{name} "{value[:100]}" can not have more than one wildcard.')
    for value in read.exposed:
        if "*" in value:
            raise S3Error(
                "InvalidRequest",
                f'ExposeHeader "{value[:100]}" contains wildcard. We currently do not support wildcard for '
                "ExposeHeader.",
            )
    return read


def _texts(rule: Element, name: str) -> tuple[str, ...]:
    elements = rule.findall(name)
    found = tuple((each.text or "").strip() for each in elements)
    if any(map(len, elements)) or not all(map(_WORD.match, found)):
        raise malformed()
    return found


def _write(rule: CorsRule) -> str:
    return element(
        "CORSRule",
        text("ID", rule.id) if rule.id else "",
        *(text("AllowedMethod", each) for each in rule.methods),
        *(text("AllowedOrigin", each) for each in rule.origins),
        *(text("AllowedHeader", each) for each in rule.headers),
        *(text("ExposeHeader", each) for each in rule.exposed),
        "" if rule.max_age_s is None else text("MaxAgeSeconds", rule.max_age_s),
    )
