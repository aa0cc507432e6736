"""The program that makes thumbnails.  It reads images, each after its length, and writes a thumbnail for each.

Stored images are made by strangers, and decoders have faults.  So this runs as a process apart from the front, with
bounded memory and time, no secrets, and, once it has begun, no means to open a file or a connection.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
import warnings
from io import BytesIO
from typing import BinaryIO

LENGTH = struct.Struct(">I")
"""Before an image: its bytes."""

HEAD = struct.Struct(">?I")
"""Before an answer: whether it is a thumbnail, and its bytes.  If it is none, the bytes say why."""

MOST_ANSWER = 256 * 1024
"""The bytes of the longest answer: a thumbnail has at most 100,000 pixels."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
"""What is decoded.  Each further format is further code that strangers can reach."""

EDGE = 320
"""Pixels of the longer edge of a thumbnail: twice what a tile shows."""

_MOST_PIXELS = 40_000_000
_MOST_PIXELS_OF_JPEG = 200_000_000  # it is decoded at a fraction of its size
_MEMORY = 768 << 20
_CPU_S = 10
_QUALITY = 75
_MOST_PROFILE = 4096


class Unfit(Exception):
    """No thumbnail is made of this; the message says why."""


def paint(data: bytes) -> bytes:
    """Return a thumbnail of an image, as WebP.

    :raise Unfit: it is no image of a known format, is too large, or is damaged.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd in an image is shown as well as it can be
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                _check_size(image.width, image.height, is_jpeg=image.format == "JPEG")
                image.draft("RGB", (2 * EDGE, 2 * EDGE))
                profile = image.info.get("icc_profile") or b""
                image.thumbnail((EDGE, EDGE), reducing_gap=2.0)
                small: Image.Image = ImageOps.exif_transpose(image)
                has_alpha = small.has_transparency_data
                keeps_profile = small.mode in {"RGB", "RGBA"} and len(profile) <= _MOST_PROFILE
                out = BytesIO()
                small.convert("RGBA" if has_alpha else "RGB").save(
                    out, "WEBP", quality=_QUALITY, method=2, icc_profile=profile if keeps_profile else b"", exif=b""
                )
    except Unfit:
        raise
    except MemoryError as problem:
        raise Unfit("it takes too much memory to decode") from problem
    except UnidentifiedImageError as problem:
        raise Unfit("it is no image of a known format") from problem
    except Image.DecompressionBombError as problem:
        raise Unfit("it has too many pixels") from problem
    except Exception as problem:  # decoders raise whatever their authors thought of
        raise Unfit("it is damaged") from problem
    return out.getvalue()


def _check_size(width: int, height: int, *, is_jpeg: bool) -> None:
    most = _MOST_PIXELS_OF_JPEG if is_jpeg else _MOST_PIXELS
    if width * height > most:
        raise Unfit(f"it has {width} by {height} pixels; at most {most:,} are decoded")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer images until there are no more."""
    while len(length := source.read(LENGTH.size)) == LENGTH.size:
        data = source.read(LENGTH.unpack(length)[0])
        _allow_cpu()
        try:
            is_made, answer = True, paint(data)
        except Unfit as problem:
            is_made, answer = False, str(problem).encode()
        sink.write(HEAD.pack(is_made, len(answer)) + answer)
        sink.flush()


def _prepare() -> None:
    """Load all decoders, and then give up what they do not need."""
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS_OF_JPEG
    for name in FORMATS:
        tiny = BytesIO()
        Image.new("RGB", (1, 1)).save(tiny, name)
        paint(tiny.getvalue())
    os.nice(10)
    for what, limit in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),  # what is open stays so; not even one that is closed makes place for another
    ):
        resource.setrlimit(what, (limit, limit))


def _allow_cpu() -> None:
    """Let the next image take a few seconds of the processor; one that takes more ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + _CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Serve the process that started this one, until it closes the pipe."""
    _prepare()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
