"""The program that makes thumbnails."""

from __future__ import annotations

import random
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from io import BytesIO

import pytest
from PIL import Image

from splitd.frontends.console.thumbnails import painting
from splitd.frontends.console.thumbnails.painting import EDGE, FORMATS, HEAD, LENGTH, Unfit, paint


def image(kind: str, size: tuple[int, int] = (640, 400), mode: str = "RGB", **options: object) -> bytes:
    """Return an image, its left half red and its right half blue."""
    made = Image.new(mode, size, "blue")
    made.paste("red", (0, 0, size[0] // 2, size[1]))
    out = BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it has a size, and has nothing else."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    data = b"IDAT" + zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def run(images: Sequence[bytes]) -> list[tuple[bool, bytes]]:
    """Let a process answer images; return its answers."""
    asked = b"".join(LENGTH.pack(len(each)) + each for each in images)
    done = subprocess.run([sys.executable, "-m", painting.__name__], input=asked, capture_output=True, check=False)
    answers, rest = [], done.stdout
    while rest:
        is_made, length = HEAD.unpack_from(rest)
        answers.append((is_made, rest[HEAD.size : HEAD.size + length]))
        rest = rest[HEAD.size + length :]
    return answers


@pytest.mark.parametrize("kind", FORMATS)
def test_a_thumbnail_shows_the_image_in_small(kind: str) -> None:
    with Image.open(BytesIO(paint(image(kind)))) as made:
        assert (made.format, made.size) == ("WEBP", (EDGE, 200))
        red, blue = made.convert("RGB").getpixel((20, 100)), made.convert("RGB").getpixel((300, 100))
    assert isinstance(red, tuple)
    assert isinstance(blue, tuple)
    assert (red[0] > 200, red[2] < 60, blue[0] < 60, blue[2] > 200) == (True, True, True, True)


def test_it_is_upright_whatever_way_the_camera_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right
    with Image.open(BytesIO(paint(image("JPEG", exif=exif)))) as made:
        assert made.size == (200, EDGE)
        assert not made.getexif()


def test_it_says_nothing_of_where_the_image_was_taken() -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    assert b"at home" in image("JPEG", exif=exif)
    assert b"at home" not in paint(image("JPEG", exif=exif))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_every_mode_of_colour_is_shown(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    made = BytesIO()
    Image.new("L" if mode == "I;16" else "RGB", (900, 900), 99 if mode == "I;16" else "red").convert(mode).save(
        made, kind
    )
    with Image.open(BytesIO(paint(made.getvalue()))) as small:
        assert small.size == (EDGE, EDGE)


def test_what_is_transparent_stays_so() -> None:
    out = BytesIO()
    Image.new("RGBA", (900, 900), (255, 0, 0, 0)).save(out, "PNG")
    with Image.open(BytesIO(paint(out.getvalue()))) as small:
        assert small.convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_a_small_image_is_not_made_larger() -> None:
    with Image.open(BytesIO(paint(image("PNG", (8, 6))))) as made:
        assert made.size == (8, 6)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no image"),
        (b"just text", "no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image"),
        (image("TIFF"), "no image"),
        (image("PNG")[:200], "damaged"),
        (png_of(30_000, 30_000), "too many pixels"),
        (png_of(2**31 - 1, 2**31 - 1), "too many pixels"),
        (png_of(8_000, 8_000), "8000 by 8000 pixels"),
    ],
    ids=["empty", "text", "svg", "tiff", "cut", "bomb", "largest bomb", "many pixels"],
)
def test_what_is_unfit_is_refused_before_it_is_decoded(data: bytes, why: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unfit, match=why):
        paint(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_process_answers_one_after_the_other_and_ends_with_its_pipe() -> None:
    answers = run([image("PNG"), b"no image", b"", image("GIF")])
    assert [is_made for is_made, _ in answers] == [True, False, False, True]
    assert {why for _, why in answers[1:3]} == {b"it is no image of a known format"}


def test_damaged_images_get_an_answer_each() -> None:
    chance = random.Random(1)
    images = []
    for kind in FORMATS:
        whole = image(kind, (64, 48))
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(chance.choice((1, 3, 20))):
                data[chance.randrange(len(data))] = chance.randrange(256)
            images.append(bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
    answers = run([*images, whole])
    assert len(answers) == len(images) + 1
    assert answers[-1][0]
