"""What is told of a note that is kept with a bucket, and how it is taken away; see `splitd.model.buckets`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from splitd.frontends.s3.answers import answer
from splitd.frontends.s3.door import S3Request
from splitd.frontends.s3.errors import S3Error
from splitd.model.buckets import BucketNotes

_Note = TypeVar("_Note")


async def find_note(request: S3Request, read: Callable[[BucketNotes], _Note], code: str, message: str) -> _Note:
    """Return a note of the bucket.

    :param read: returns it, given all notes.
    :param code: of the refusal if there is none.
    :raise S3Error: there is no such bucket, or no such note.
    """
    await request.keys.buckets.find(request.bucket)
    note = read(await request.door.buckets.notes(request.bucket))
    if not note:
        raise S3Error(code, message, BucketName=request.bucket)
    return note


async def drop_note(request: S3Request, name: str) -> None:
    """Take a note of the bucket away, be it there or not, and answer the request.

    :param name: one of those in `splitd.model.buckets`.
    """
    await request.keys.buckets.note(request.bucket, name, ())
    answer(request.http, 204)
