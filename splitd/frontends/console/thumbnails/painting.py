"""The program that makes thumbnails.  It reads images, each after its length, and writes a thumbnail for each.

Stored images are made by strangers, and decoders have faults.  So this runs as a process apart from the front, and each
image is decoded by a child of it, which knows this one image, ends with it, and has bounded memory and time, no
secrets, and no means to open a file or a connection, or to start a process.  Where the kernel has Landlock, it cannot
touch other processes or the names of files either.  This process itself decodes nothing.
"""

from __future__ import annotations

import ctypes
import gc
import math
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable
from io import BytesIO

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
_LONGEST_S = 30.0
"""How long a child may take, by the clock: it may sleep, too."""

_BROKEN = "it takes too much to decode, or breaks the decoder"
_MOST_READ = HEAD.size + MOST_ANSWER + 1  # one more than an answer may have
_MOST_DESCRIPTORS = 256
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38

# Of Landlock, the same on all machines (linux/landlock.h).
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1
_RIGHTS_TO_FILES = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14))  # since which version: all that names a file
_SCOPE_SIGNAL = 2
SIGNALS_SINCE = 6
"""The version of Landlock that bounds signals, too (Linux 6.12); the first one bounds tracing and files (5.13)."""
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


def serve(source: int, sink: int, decode: Callable[[bytes], bytes] = paint) -> None:
    """Answer images until there are no more.

    An image and its answer lie in memory that is given back before the next image is read: a later child finds nothing
    of them.  So there are no buffers, and `source` and `sink` are descriptors.

    :param decode: makes a thumbnail, in a child of this process.
    """
    length = bytearray(LENGTH.size)
    while _fill(source, length, LENGTH.size) == LENGTH.size:
        size = LENGTH.unpack(length)[0]
        with _memory(size) as image, _memory(_MOST_READ) as answer:
            size = _fill(source, image, size)
            _write(sink, answer, _paint_apart(image, size, decode, answer))


def _memory(size: int) -> mmap.mmap:
    """Return memory that is given back to the system when it is closed."""
    return mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _fill(source: int, memory: bytearray | mmap.mmap, size: int, until: float = math.inf) -> int:
    """Read so many bytes into memory; return how many there were, fewer if they end or take too long.

    :param until: when to give up, by the monotonic clock.
    """
    filled = 0
    with memoryview(memory) as view:
        while filled < size and (until == math.inf or _is_ready(source, until)):
            with view[filled:size] as rest:
                count = os.readv(source, [rest])
            if not count:
                break
            filled += count
    return filled


def _is_ready(source: int, until: float) -> bool:
    return bool(select.select([source], [], [], max(until - time.monotonic(), 0))[0])


def _write(sink: int, memory: mmap.mmap, size: int) -> None:
    written = 0
    with memoryview(memory) as view:
        while written < size:
            with view[written:size] as rest:
                written += os.write(sink, rest)


def _answer(*, is_made: bool, body: bytes) -> bytes:
    return HEAD.pack(is_made, len(body)) + body


def _paint_apart(image: mmap.mmap, size: int, decode: Callable[[bytes], bytes], answer: mmap.mmap) -> int:
    """Have a child answer an image; it has ended when this returns.

    :param size: the bytes of the image, at the beginning of its memory.
    :param answer: gets the answer.
    :return: the bytes of the answer.
    """
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # By the others it could read further images, answer for them, and write to the log of the front.
            os.closerange(0, outlet)
            os.closerange(outlet + 1, _MOST_DESCRIPTORS)
            _paint_once(image[:size], decode, outlet)
        finally:
            os._exit(0)
    os.close(outlet)
    try:
        filled = _fill(inlet, answer, _MOST_READ, time.monotonic() + _LONGEST_S)
    finally:
        os.close(inlet)
        os.kill(child, signal.SIGKILL)  # it is not reaped yet, so the number is its own
        os.waitpid(child, 0)
    is_whole = HEAD.size <= filled < _MOST_READ and filled == HEAD.size + HEAD.unpack_from(answer)[1]
    if not is_whole:
        broken = _answer(is_made=False, body=_BROKEN.encode())
        filled = len(broken)
        answer[:filled] = broken
    return filled


def _paint_once(data: bytes, decode: Callable[[bytes], bytes], outlet: int) -> None:
    """Answer one image, after giving up what its decoder does not need."""
    _call_system(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _confine()
    for what, limit in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),  # what is open stays so; not even one that is closed makes place for another
        (resource.RLIMIT_CPU, _CPU_S),
    ):
        resource.setrlimit(what, (limit, limit))
    try:
        answer = _answer(is_made=True, body=decode(data))
    except Unfit as problem:
        answer = _answer(is_made=False, body=str(problem).encode())
    while answer:
        answer = answer[os.write(outlet, answer) :]


def _call_system(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; less than 1 if it has none, or it is switched off."""
    return _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)


def _confine() -> None:
    """Let this process change no names of files, and trace and signal no other process, for as long as it lives.

    The limits of resources do not bound what needs no descriptor: `unlink`, `rename`, `kill`, `process_vm_readv`.

    :raise OSError: the kernel has Landlock, and refuses to use it.
    """
    version = landlock_version()
    if version < 1:
        return
    rights = sum(bits for since, bits in _RIGHTS_TO_FILES if version >= since)
    asked = struct.pack("=QQQ", rights, 0, _SCOPE_SIGNAL if version >= SIGNALS_SINCE else 0)
    ruleset = _syscall(_CREATE_RULESET, asked, ctypes.c_size_t(len(asked)), 0)
    _call_system(_PR_SET_NO_NEW_PRIVS, 1)
    if ruleset < 0 or _syscall(_RESTRICT_SELF, ruleset, 0) < 0:
        raise OSError(ctypes.get_errno(), "Landlock cannot be used")
    os.close(ruleset)


def refuse_unconfined() -> None:
    """Try in a child whether decoders can be confined: theirs could not say why it is that they answer nothing.

    :raise SystemExit: they cannot.
    """
    child = os.fork()
    if child == 0:
        problem = 0
        try:
            _confine()
        except OSError as found:
            problem = found.errno or 1
        finally:
            os._exit(problem)
    problem = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if problem:
        raise SystemExit(f"no image is decoded, because Landlock cannot be used: {os.strerror(problem)}")


def _syscall(number: int, *arguments: object) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    result: int = call(ctypes.c_long(number), *arguments)
    return result


def prepare() -> None:
    """Load all decoders, so that children need not, and let no child trace this process or another child."""
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS_OF_JPEG
    for name in FORMATS:
        tiny = BytesIO()
        Image.new("RGB", (1, 1)).save(tiny, name)
        paint(tiny.getvalue())
    gc.freeze()  # a collection in a child would copy all pages that hold objects
    os.nice(10)
    _call_system(_PR_SET_DUMPABLE, 0)


def main() -> None:
    """Serve the process that started this one, until it closes the pipe."""
    refuse_unconfined()
    prepare()
    serve(sys.stdin.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
