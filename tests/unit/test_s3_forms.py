"""The body of a form: however it is cut, its fields and its file come out, and little of it is held."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import Form, FormBody
from tests.fired import failed, fired
from tests.s3 import BOUNDARY, form_of


class Producer:
    """The body of a request, which may be paused."""

    def __init__(self) -> None:
        self.paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


class Sink:
    """What the file is led into."""

    def __init__(self) -> None:
        self.data = b""
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.data += data


def read(body: FormBody, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        body.write(data[start : start + size])


@given(
    st.binary(max_size=300).map(lambda data: data.replace(b"--xyz", b"")),
    st.dictionaries(st.sampled_from(["key", "Policy", "x-amz-meta-ü"]), st.binary(max_size=30)),
    st.integers(1, 400),
    st.booleans(),
)
def test_fields_and_file_come_out(data: bytes, fields: dict[str, bytes], size: int, early: bool) -> None:
    whole = form_of(fields, data, behind={"later": b"ignored", "file": b"another"})
    body, sink, producer = FormBody(BOUNDARY), Sink(), Producer()
    body.registerProducer(producer, True)
    if early:
        body.form().addCallback(lambda _: body.lead_into(sink, None))
    read(body, whole, size)
    form = fired(body.form())
    assert isinstance(form, Form)
    assert form.fields == {name.lower(): value.decode("utf-8", "surrogateescape") for name, value in fields.items()}
    assert (form.filename, form.content_type) == ("f.txt", "text/x")
    body.unregisterProducer()
    body.finish(None)
    if not early:
        body.lead_into(sink, None)
    fired(body.ended())
    assert (sink.data, body.size, sink.producer) == (data, len(data), None)


def test_the_client_waits_until_the_file_is_taken_and_while_the_upload_is_full() -> None:
    body, sink, producer = FormBody(BOUNDARY), Sink(), Producer()
    body.registerProducer(producer, True)
    whole = form_of({"key": b"k"}, b"x" * 1000)
    body.write(whole[:100])
    assert not producer.paused
    body.write(whole[100:300])
    assert producer.paused, "nobody has judged the form yet"
    body.lead_into(sink, None)
    assert not producer.paused
    sink.producer.pauseProducing()
    assert producer.paused
    sink.producer.resumeProducing()
    assert not producer.paused


def test_too_large_a_file_is_refused_at_its_first_byte_too_many() -> None:
    body, sink = FormBody(BOUNDARY), Sink()
    body.registerProducer(Producer(), True)
    whole = form_of({}, b"x" * 1000)
    body.form().addCallback(lambda _: body.lead_into(sink, 600))
    read(body, whole, 50)
    assert code(fired(body.when_broken())) == "EntityTooLarge"
    assert len(sink.data) <= 600


def code(problem: Exception) -> str:
    assert isinstance(problem, S3Error)
    return problem.code


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"nonsense", "MalformedPOSTRequest"),
        (form_of({}, b"x")[:-10], "MalformedPOSTRequest"),
        (form_of({}, b"x").replace(b"form-data", b"attachment"), "MalformedPOSTRequest"),
        (f"--{BOUNDARY}--\r\n".encode(), "InvalidArgument"),
        (form_of({"key": b"k"}, b"x").replace(b'"file"', b'"other"'), "InvalidArgument"),
        (form_of({"key": b"k", "KEY": b"k"}, b"x"), "InvalidArgument"),
        (form_of({"key": b"x" * 20_480}, b"x"), "MaxPostPreDataLengthExceeded"),
        (form_of({"k" * 1000 + str(n): b"" for n in range(21)}, b"x"), "MaxPostPreDataLengthExceeded"),
        (form_of({"k" * 5000: b""}, b"x"), "MalformedPOSTRequest"),
    ],
)
def test_what_is_no_form_is_refused(data: bytes, expected: str) -> None:
    for size in (len(data), 7):
        body = FormBody(BOUNDARY)
        body.registerProducer(Producer(), True)
        broken: list[Exception] = []
        body.when_broken().addCallback(broken.append)
        read(body, data, size)
        if broken:
            body.fail(Failure(broken[0]))
        else:
            body.finish(None)
        problem = failed(body.ended())
        assert code(problem) == expected
