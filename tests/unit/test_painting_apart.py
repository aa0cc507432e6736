"""The program that makes thumbnails, with decoders that an image has taken over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from splitd.frontends.console.thumbnails.painting import HEAD, LENGTH, SIGNALS_SINCE, landlock_version

PROGRAM = """
import ctypes, json, os, resource, signal, socket, tempfile
from splitd.frontends.console.thumbnails.painting import prepare, serve
seen = []
FRONT = os.getppid()
NAME = tempfile.mkdtemp()

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def read_memory():
    # Where nothing is at this address, the call fails in another way than if it is forbidden.
    here = ctypes.create_string_buffer(1)
    own, there = Vector(ctypes.addressof(here), 1), Vector(1, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.process_vm_readv(FRONT, ctypes.byref(own), 1, ctypes.byref(there), 1, 0)
    if ctypes.get_errno() == 1:
        raise PermissionError

def tries(what):
    try:
        what()
    except OSError:
        return False
    return True

def rename():
    os.rename(NAME, NAME + "2")
    os.rename(NAME + "2", NAME)

def decode(data):
    seen.append(data.decode())
    if data == b"dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"lies":
        os.write(OUT, b"x" * 10)
        os._exit(0)
    if data == b"floods":
        while True:
            os.write(OUT, bytes(65536))
    can = {
        "read what others send": tries(lambda: os.read(0, 1)),
        "answer for others": tries(lambda: os.write(1, b"x")),
        "write to the log": tries(lambda: os.write(2, b"x")),
        "open a file": tries(lambda: os.open("/dev/null", os.O_RDONLY)),
        "open a connection": tries(lambda: socket.socket()),
        "be traced": bool(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)),
        "signal the front": tries(lambda: os.kill(FRONT, 0)),
        "signal the parent": tries(lambda: os.kill(os.getppid(), 0)),
        "read the memory of the front": tries(read_memory),
        "rename what is stored": tries(rename),
        "start processes": resource.getrlimit(resource.RLIMIT_NPROC) != (0, 0),
    }
    return json.dumps([seen, [name for name, may in can.items() if may]]).encode()

OUT = 4  # what a child has left: its parent made a pipe of the descriptors 3 and 4
prepare()
serve(0, 1, decode)
os.rmdir(NAME)
"""


def answers(images: Sequence[bytes]) -> list[tuple[bool, bytes]]:
    """Return the answers of the program for images."""
    return answers_of(PROGRAM, images)


def answers_of(program: str, images: Sequence[bytes]) -> list[tuple[bool, bytes]]:
    """Return the answers of a program for images."""
    sent = b"".join(LENGTH.pack(len(each)) + each for each in images)
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    found, said = [], done.stdout
    while said:
        is_made, length = HEAD.unpack_from(said)
        found.append((is_made, said[HEAD.size : HEAD.size + length]))
        said = said[HEAD.size + length :]
    return found


def unbound() -> list[str]:
    """Return what this kernel cannot forbid to a decoder."""
    version = landlock_version()
    signals = ["signal the front", "signal the parent"] if version < SIGNALS_SINCE else []
    return signals + ([] if version >= 1 else ["read the memory of the front", "rename what is stored"])


def test_a_decoder_knows_no_other_image_and_can_do_nothing_but_answer_its_own() -> None:
    found: list[Any] = [json.loads(body) for _, body in answers([b"one", b"two", b"three"])]
    assert found == [[["one"], unbound()], [["two"], unbound()], [["three"], unbound()]]


CONFINED = """
from splitd.frontends.console.thumbnails.painting import _confine, refuse_unconfined

for _ in range(16):  # as often as the kernel allows
    _confine()
refuse_unconfined()
"""


def test_a_program_that_cannot_confine_decoders_says_so_and_ends() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, check=False)
    can = landlock_version() >= 1
    assert (done.returncode, b"Landlock cannot be used: Argument list too long" in done.stderr) == (int(can), can)


def test_a_decoder_that_breaks_or_gives_no_answer_harms_no_other_image() -> None:
    dead, lie, flood, good = answers([b"dies", b"lies", b"floods", b"good"])
    for is_made, why in (dead, lie, flood):
        assert (is_made, b"breaks the decoder" in why) == (False, True)
    assert json.loads(good[1])[0] == ["good"]


SPY = """
import ctypes, os, re
from splitd.frontends.console.thumbnails.painting import prepare, serve

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def looked(start, stop):
    # By a call that fails where nothing is any more, in place of the process.
    size = stop - start
    here, there = ctypes.create_string_buffer(size), Vector(start, size)
    own = Vector(ctypes.addressof(here), size)
    count = ctypes.CDLL(None).process_vm_readv(os.getpid(), ctypes.byref(own), 1, ctypes.byref(there), 1, 0)
    return here.raw[:max(count, 0)]

def memory():
    with open("/proc/self/maps") as maps:
        lines = [line.split() for line in maps if " rw-p " in line]
    return [[int(each, 16) for each in line[0].split("-")] for line in lines]

def decode(data):
    if data == b"spies":
        found = {name for place in places for name in re.findall(rb"of ([a-z ]+)>", looked(*place))}
        return b" ".join(sorted(found))
    return data  # as the thumbnail of it would stay

prepare()
own = b"".join([b"<image", b" of the program>"])  # which it finds
places = memory()
serve(0, 1, decode)
"""


def test_a_decoder_finds_nothing_of_images_before_in_its_memory() -> None:
    sizes = {"tiny": 1, "small": 200, "middle": 3_000, "large": 20_000}
    images = [f"<image of {name}>".encode() * count for name, count in sizes.items()]
    assert answers_of(SPY, [*images, b"spies"])[-1] == (True, b"the program")
