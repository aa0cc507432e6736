"""Thumbnails, as the front makes them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import pytest_twisted
from PIL import Image
from twisted.internet.defer import DeferredList, ensureDeferred

from splitd.frontends.console.thumbnails.thumbnails import MOST_BYTES
from storaged.system.sizes import Size
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import eventually
from tests.users import ANNA, RITA, ROOT


def image(colour: str = "red", kind: str = "PNG") -> bytes:
    out = BytesIO()
    Image.new("RGB", (900, 600), colour).save(out, kind)
    return out.getvalue()


def url(path: str, **more: object) -> str:
    return f"/.splitd/api/thumbnail?{urlencode({'path': path, **more})}"


def colour_of(answer: Answer) -> tuple[int, ...]:
    with Image.open(BytesIO(answer.body)) as made:
        assert (made.format, made.size) == ("WEBP", (320, 213))
        found = made.convert("RGB").getpixel((9, 9))
    assert isinstance(found, tuple)
    return tuple(round(each / 255) for each in found)


def children() -> list[int]:
    """The processes that this one has started and that are alive."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(each) for each in found if b"painting" in Path(f"/proc/{each}/cmdline").read_bytes()]


def unread() -> int:
    """The bytes that this process has sent by pipes, and that nobody has read.

    It looks at its own end: what makes thumbnails lets nobody look at it.
    """
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is closed by now: the descriptor of the folder
            if str(each.readlink()).startswith("pipe:"):
                found += int.from_bytes(fcntl.ioctl(int(each.name), termios.FIONREAD, bytes(4)), sys.byteorder)
    return found


@pytest_twisted.ensureDeferred
async def test_a_browser_keeps_a_thumbnail_for_as_long_as_its_file_is_the_same(cluster: Cluster) -> None:
    await cluster.put("/a b.png", image())
    *_, changed, _ = json.loads((await cluster.get("/.splitd/api/list?path=/")).body)["members"][0]
    made = await cluster.get(url("/a b.png", v=changed))
    assert (made.code, made.header("Content-Type"), colour_of(made)) == (200, "image/webp", (1, 0, 0))
    assert made.header("Cache-Control") == "private, max-age=31536000, immutable"
    assert made.header("X-Content-Type-Options") == "nosniff"
    assert made.header("Content-Security-Policy") == "sandbox"
    assert made.header("Cross-Origin-Resource-Policy") == "same-origin"
    etag = made.header("ETag")
    assert etag is not None
    assert (await cluster.get(url("/a b.png"), If_None_Match=etag)).code == 304
    await cluster.put("/a b.png", image("blue"))
    later = await cluster.get(url("/a b.png", v=changed), If_None_Match=etag)
    assert (later.code, later.header("Cache-Control"), colour_of(later)) == (200, "private, no-cache", (0, 0, 1))


@pytest_twisted.ensureDeferred
async def test_a_thumbnail_is_made_once_and_shared_by_copies(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(cache=Size(0))
    await cluster.start()
    await cluster.put("/a.png", image())
    assert (await cluster.get(url("/a.png"))).code == 200
    await cluster.ask("COPY", "/a.png", Destination="/b.png")
    for node in cluster.nodes:
        await node.stop()  # nothing can be read again
    for path in ("/a.png", "/b.png"):
        assert colour_of(await cluster.get(url(path))) == (1, 0, 0)
        assert (await cluster.get(path)).code == 503


@pytest_twisted.ensureDeferred
async def test_many_are_made_by_few_processes_which_end_with_the_front(cluster: Cluster) -> None:
    for number in range(20):
        await cluster.put(f"/{number}.jpg", image(kind="JPEG"))
    answers = await DeferredList([ensureDeferred(cluster.get(url(f"/{number}.jpg"))) for number in range(20)])
    assert [answer.code for _, answer in answers] == [200] * 20
    assert 1 <= len(children()) <= 2
    await cluster.stop_front()
    assert children() == []


@pytest_twisted.ensureDeferred
async def test_what_has_no_thumbnail_is_refused_in_words(cluster: Cluster) -> None:
    await cluster.ask("MKCOL", "/folder")
    await cluster.put("/text.png", b"text")
    await cluster.put("/empty.png", b"")
    await cluster.put("/cut.png", image()[:100])
    await cluster.put("/large.png", bytes(MOST_BYTES + 1))
    for path, code, why in (
        ("/nothing.png", 404, "does not exist"),
        ("/folder", 409, "is a collection"),
        ("/text.png", 415, "no image of a known format"),
        ("/empty.png", 415, "no image of a known format"),
        ("/cut.png", 415, "is damaged"),
        ("/large.png", 415, "more than 32 MiB"),
    ):
        for _ in range(2):  # the second time it is known
            answer = await cluster.get(url(path))
            assert (path, answer.code, why in answer.text) == (path, code, True)
            assert answer.header("Cache-Control") == "no-store"


@pytest_twisted.ensureDeferred
async def test_a_process_that_breaks_is_followed_by_another(cluster: Cluster) -> None:
    await cluster.put("/a.png", image())
    assert (await cluster.get(url("/a.png"))).code == 200
    (first,) = children()
    os.kill(first, signal.SIGSTOP)
    await cluster.put("/b.png", image("blue"))
    waiting = ensureDeferred(cluster.get(url("/b.png")))
    await eventually(lambda: unread() > 0)
    os.kill(first, signal.SIGKILL)
    assert colour_of(await waiting) == (0, 0, 1)
    assert first not in children()


@pytest_twisted.ensureDeferred
async def test_one_who_leaves_takes_nobody_elses_turn(cluster: Cluster) -> None:
    for number in range(4):
        await cluster.put(f"/{number}.png", image())
    assert (await cluster.get(url("/0.png"))).code == 200
    clients = [await cluster.connect() for _ in range(8)]
    for client in clients:
        client.send(f"GET {url('/1.png')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client.leave()
    assert (await cluster.get(url("/3.png"))).code == 200
    assert (await cluster.get(url("/1.png"))).code == 200


@pytest_twisted.async_yield_fixture
async def guarded(make_guarded: Callable[..., Awaitable[Cluster]]) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`."""
    yield await make_guarded("/anna", "/anna/secret")


@pytest_twisted.ensureDeferred
async def test_only_those_who_may_read_a_file_see_its_thumbnail(guarded: Cluster) -> None:
    assert (await guarded.put("/anna/secret/a.png", image(), Authorization=ROOT)).code == 201
    made = await guarded.get(url("/anna/secret/a.png"), Authorization=ROOT)
    assert (made.code, made.header("Vary")) == (200, "Cookie, Authorization")
    etag = made.header("ETag")
    assert etag is not None
    for who, code in ((ANNA, 404), (RITA, 200)):
        assert (await guarded.get(url("/anna/secret/a.png"), Authorization=who)).code == code
    assert (await guarded.get(url("/anna/secret/a.png"), Authorization=ANNA, If_None_Match=etag)).code == 404
    assert (await guarded.get(url("/anna/secret/a.png"))).code == 401
