"""Reads the body of a form: its fields into memory, and the bytes of its file on to an upload as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from splitd.frontends.s3.errors import S3Error
from storaged.system.once import Once

FILE = "file"
"""The field of the file.  Those after it are not looked at."""

_MOST_BEFORE = 20 * 1024
"""The most bytes of the names and values of all fields before the file."""
_MOST_HEADERS, _LONGEST_HEADER = 10, 2 * 1024


@attrs.frozen
class Form:
    """The fields before the file.

    :param fields: their values, by their names in lower case.
    :param filename: the name that the file had in the browser's machine.
    :param content_type: the type of the file's part of the form; empty if it has none.
    """

    fields: Mapping[str, str]
    filename: str
    content_type: str

    def get(self, name: str) -> str:
        """Return the value of a field; empty if it did not come."""
        return self.fields.get(name, "")


@implementer(IConsumer, IPushProducer)
class FormBody:
    """Reads one form.  It is a consumer for the request's body, and a producer for the upload of the file.

    Until `lead_into` is called, the client is paused at the beginning of the file; no more than one read waits.

    :param boundary: what the parts of the form are separated by.
    :raise S3Error: the boundary cannot be one.
    """

    def __init__(self, boundary: str) -> None:
        try:
            self._parser = PushMultipartParser(
                boundary, max_header_count=_MOST_HEADERS, max_header_size=_LONGEST_HEADER, header_charset="utf8"
            )
        except MultipartError as problem:
            raise _malformed() from problem
        self._fields: dict[str, str] = {}
        self._value: list[bytes] = []
        self._segment: MultipartSegment | None = None
        self._before = 0
        self._found: Form | None = None
        self._form: Once[Form] = Once()
        self._broken: Once[Exception] = Once()
        self._ended: Once[None] = Once()
        self._is_broken = False
        self._producer: Any = None
        self._paused = False
        self._sink: IConsumer | None = None
        self._held: list[bytes] = []
        self._most: int | None = None
        self.size = 0

    # For the one who stores the file

    def form(self) -> Deferred[Form]:
        """Wait for the file.

        :return: a Deferred that fires with the fields before it, when its first byte can be taken; it fails if the form
            has no file, cannot be read, or is cut short.
        """
        return self._form.wait()

    def when_broken(self) -> Deferred[Exception]:
        """Wait for a fault of the form.

        :return: a Deferred that fires with the reason, as its result.
        """
        return self._broken.wait()

    def lead_into(self, sink: IConsumer, most: int | None) -> None:
        """Write the bytes of the file to a consumer.

        :param most: how many there may be; None for any number.
        """
        self._sink, self._most = sink, most
        sink.registerProducer(self, True)
        held, self._held = self._held, []
        for piece in held:
            self._pass_on(piece)
        if self._producer is None:
            sink.unregisterProducer()
        elif not self._paused:
            self._producer.resumeProducing()

    def ended(self) -> Deferred[None]:
        """Wait for the end of the form.

        :return: a Deferred that fires with None when all of the file was passed on; it fails if the form is broken.
        """
        return self._ended.wait()

    def break_off(self, problem: Exception) -> None:
        """Take nothing more."""
        if not self._is_broken:
            self._is_broken = True
            self._broken.fire(problem)

    def pauseProducing(self) -> None:
        """Pause the client: the upload cannot take more."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Let the client go on."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Pause the client for good."""
        self.pauseProducing()

    # For the body of the request

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: ARG002 - of the interface
        """Take the producer of the body."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Take note that the body has ended."""
        self._producer = None
        if self._sink is not None:
            self._sink.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._is_broken:
            return
        try:
            for event in self._parser.parse(data):
                self._take(event)
        except MultipartError:
            self.break_off(_malformed())
        except S3Error as problem:
            self.break_off(problem)
        else:
            self._tell()

    def _tell(self) -> None:
        """Tell of the file when all that was read is held: the one who is told may begin to take it at once."""
        if self._found is not None and not self._form.fired:
            if self._producer is not None:
                self._producer.pauseProducing()
            self._form.fire(self._found)

    def finish(self, _: object) -> None:
        """Take note that all of the body came."""
        try:
            self._parser.close()
        except MultipartError:
            self.fail(Failure(_malformed()))
            return
        if self._found is None:
            self.fail(Failure(S3Error("InvalidArgument", "POST requires exactly one file upload per request.")))
        self._ended.fire(None)

    def fail(self, failure: Failure) -> None:
        """Take note that the body will not come, or cannot be taken."""
        self._is_broken = True
        self._form.fire(failure)
        self._ended.fire(failure)

    # The form itself

    def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._segment is not None:
            self._take_bytes(bytes(event))

    def _begin(self, segment: MultipartSegment) -> None:
        if self._found is not None:
            return  # behind the file
        self._segment, self._value = segment, []
        name = (segment.name or "").lower()
        self._count(len(name.encode("utf-8", "surrogatepass")))
        if name == FILE:
            self._found = Form(dict(self._fields), segment.filename or "", segment.content_type or "")
        elif name in self._fields:
            raise S3Error("InvalidArgument", f"the field {name[:80]} came more than once", ArgumentName=name[:80])

    def _take_bytes(self, data: bytes) -> None:
        if self._found is None:
            self._count(len(data))
            self._value.append(data)
        elif self._sink is None:
            self._held.append(data)
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        self.size += len(data)
        if self._most is not None and self.size > self._most:
            raise too_large(self._most)
        assert self._sink is not None
        self._sink.write(data)

    def _end(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None and self._found is None:
            self._fields[(segment.name or "").lower()] = b"".join(self._value).decode("utf-8", "surrogateescape")

    def _count(self, size: int) -> None:
        self._before += size
        if self._before > _MOST_BEFORE:
            raise S3Error(
                "MaxPostPreDataLengthExceeded",
                "Your POST request fields preceding the upload file were too large.",
                MaxPostPreDataLengthBytes=str(_MOST_BEFORE),
            )


def too_large(most: int) -> S3Error:
    """Return the refusal of a file that has more bytes than the policy allows."""
    return S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", MaxSizeAllowed=str(most))


def _malformed() -> S3Error:
    return S3Error("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
