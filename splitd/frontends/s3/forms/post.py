"""The upload of a file from a form: who its author is, and what becomes of it."""

from __future__ import annotations

import re
from urllib.parse import quote

import attrs
import msgspec
from multipart import parse_options_header
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from splitd.access.keys import NotLooked
from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.conditions import write_condition
from splitd.frontends.s3.door import S3Request, refuse_other_owner
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import Form, FormBody
from splitd.frontends.s3.forms.policy import Policy, parse_policy
from splitd.frontends.s3.headers import MOST_TAGS, etag_of, read_media, refuse_unsupported
from splitd.frontends.s3.objects.put import found_media
from splitd.frontends.s3.objects.tagging import read_tags
from splitd.frontends.s3.payload.expected import read_form
from splitd.frontends.s3.payload.receiving import Received, Receiver
from splitd.frontends.s3.signing.authentication import Proof
from splitd.frontends.s3.target import check_key
from splitd.frontends.s3.xml import document, text
from splitd.model.manifest import Manifest
from storaged.http import IHeaders, reason_of, receive_body

_NO_POLICY = Policy(2**63, ())
_URL = re.compile(r"\Ahttps?://[!-~]+\Z")
_FILENAME = "${filename}"
_SIGNED = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "awsaccesskeyid", "signature")


@implementer(IHeaders)
class FormFields:
    """The fields of a form in place of a request's headers: they have the same names.

    :param form: the form.
    """

    def __init__(self, form: Form) -> None:
        others = {"acl": "x-amz-acl"}
        left_out = {*_SIGNED, "policy", "key", "bucket", "tagging", "success_action_status", "success_action_redirect"}
        self._fields = {others.get(name, name): value for name, value in form.fields.items() if name not in left_out}
        if form.content_type:
            self._fields.setdefault("content-type", form.content_type)

    def header_names(self) -> list[str]:
        """Return the names."""
        return list(self._fields)

    def header_values(self, name: str) -> list[str]:
        """Return the value of a field; none if it did not come."""
        return [self._fields[name.lower()]] if name.lower() in self._fields else []

    def getHeader(self, name: str) -> str | None:
        """Return the value of a field; None if it did not come."""
        return self._fields.get(name.lower())

    def has_any_header(self, names: frozenset[bytes]) -> bool:
        """Return whether one of some fields came, whose names are in lower case."""
        return any(name.decode() in self._fields for name in names)


async def post_object(request: S3Request) -> None:
    """Store the file of a form."""
    if not request.proof.is_anonymous:
        raise S3Error("MethodNotAllowed", "a form is signed by its policy, and not in a header or the URL")
    body = FormBody(_boundary(request))
    # All that comes behind the file is read, too, so that the client is there for the answer.
    delivering = Deferred.fromCoroutine(receive_body(request.http, body, body.when_broken()))
    delivering.addCallbacks(body.finish, body.fail)
    try:
        form = await body.form()
        key = _key(form)
        policy, asked, form = await _authorize(request, form, key)
        stored = await _store(asked, key, form, body, policy)
    finally:
        delivering.cancel()
    _answer(asked, key, form, stored)


def _boundary(request: S3Request) -> str:
    kind, options = parse_options_header(request.header("Content-Type"))
    if kind.lower() != "multipart/form-data" or not options.get("boundary"):
        raise S3Error(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            Condition="Bucket POST must be of the enclosure-type multipart/form-data",
        )
    return str(options["boundary"])


def _key(form: Form) -> str:
    if not form.get("key"):
        raise _missing("key")
    # A browser may send the whole path that the file has on its machine.
    filename = form.filename.rpartition("/")[2].rpartition("\\")[2]
    key = check_key(form.get("key").replace(_FILENAME, filename))
    if not key:
        raise S3Error("InvalidArgument", "User key must have a length greater than 0.", ArgumentName="key")
    if any("\ud800" <= each <= "\udfff" for each in key):
        raise S3Error("InvalidArgument", "the key is not UTF-8", ArgumentName="key")
    return key


def _missing(field: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{field}'.  If it is specified, please check the order of the fields.",
        ArgumentName=field,
        ArgumentValue="",
    )


async def _authorize(request: S3Request, form: Form, key: str) -> tuple[Policy, S3Request, Form]:
    """Return the policy of a form, the request as that of its author, or of everybody if it is not signed, and the form
    without what the policy does not allow of the file's part.
    """
    if "policy" not in form.fields:
        for field in _SIGNED:
            if field in form.fields:
                raise _missing("policy")
        return _NO_POLICY, request, form
    prover, text = request.authenticator, form.get("policy")
    try:
        principal = prover.prove_policy(text, form.fields)
    except NotLooked as unknown:
        prover = await prover.look(unknown.access_key)
        principal = prover.prove_policy(text, form.fields)
    request.http.user = principal.name or None
    policy = parse_policy(form.get("policy"))
    judged, now_ms = {**form.fields, "key": key, "bucket": request.bucket}, request.door.wall.now_ms()
    policy.check(judged, now_ms)
    if form.content_type and "content-type" not in judged:
        # Browsers write a type that nobody has asked for, so the file is stored all the same.
        try:
            policy.check({**judged, "content-type": form.content_type}, now_ms)
        except S3Error:
            form = attrs.evolve(form, content_type="")
    return policy, attrs.evolve(request, proof=Proof(principal), door=request.door_of(principal)), form


_UNREAD = frozenset(
    {
        "content-range",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-mp-object-size",
        "x-amz-object-ownership",
        "x-amz-trailer",
    }
)
"""Headers that decide in other requests, and not in a form."""


def _refuse_deciding(fields: FormFields) -> None:
    """Refuse a form with a field that should decide whether the file is stored, or into what, and is not read."""
    for name in fields.header_names():
        decides = name.startswith(("if-", "x-amz-if-", "x-amz-copy-source")) or name in _UNREAD
        if decides and name not in {"if-match", "if-none-match"}:
            raise S3Error("NotImplemented", f"the field {name[:100]} is not supported", Header=name[:100])


async def _store(request: S3Request, key: str, form: Form, body: FormBody, policy: Policy) -> Manifest:
    fields = FormFields(form)
    refuse_unsupported(fields)
    _refuse_deciding(fields)
    await refuse_other_owner(request, fields)
    media = read_media(fields)
    if form.get("tagging"):
        tags = read_tags(form.get("tagging").encode("utf-8", "surrogateescape"), MOST_TAGS)
        media = msgspec.structs.replace(media, tags=tags)
    expected = read_form(fields)
    upload = await request.keys.create(request.bucket, key, None, media, write_condition(fields))
    try:
        wants_md5 = request.door.settings.md5 or expected.md5 is not None
        receiver = Receiver(IConsumer(upload), expected, request.make_md5 if wants_md5 else None)
        upload.when_broken().addCallback(receiver.break_off)
        receiver.when_broken().addCallback(body.break_off)
        body.lead_into(receiver, policy.most)
        await body.ended()
        policy.check_least(body.size)
        received: Received = await receiver.finish()
    except BaseException as problem:
        await upload.abort(reason_of(problem))
        raise
    manifest, _ = await upload.finish(found_media(media, received).compact())
    return manifest


def _answer(request: S3Request, key: str, form: Form, stored: Manifest) -> None:
    http, etag, location = request.http, etag_of(stored), request.location(key)
    http.setHeader("ETag", etag)
    redirect = form.get("success_action_redirect") or form.get("redirect")
    if _URL.match(redirect):
        told = f"bucket={quote(request.bucket)}&key={quote(key, safe='')}&etag={quote(etag, safe='')}"
        http.setHeader("Location", f"{redirect}{'&' if '?' in redirect else '?'}{told}")
        answer(http, 303)
        return
    http.setHeader("Location", location)
    status = form.get("success_action_status")
    if status == "201":
        names = text("Location", location), text("Bucket", request.bucket), text("Key", key), text("ETag", etag)
        answer(http, 201, document("PostResponse", *names))
        return
    answer(http, 200 if status == "200" else 204)
