"""The step about what a browser gets: the console, and thumbnails of what is stored."""

from __future__ import annotations

import json
import re
import struct
import zlib

from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.errors import ServerRefused
from splitd.cli.server import read_pieces
from storaged.system.sizes import format_size

_PICTURE, _BOMB = "coast.png", "bomb.png"
_WIDTH, _HEIGHT = 1600, 1200
_HUGE = 60_000
_BROWSER = {"Accept": "text/html,application/xhtml+xml"}
_API = "/.splitd/api"


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _picture() -> bytes:
    """Return a picture in grey that is noisy enough not to compress away."""
    rows = b"".join(b"\0" + bytes((x * x + 7 * x * y + y) % 251 for x in range(_WIDTH)) for y in range(_HEIGHT))
    return _png(_WIDTH, _HEIGHT, rows)


def _browse(scene: Scene, report: Report) -> None:
    front, data = scene.files.front, _picture()
    scene.files.put(scene.path(_PICTURE), data)
    report.command(f"chromium {scene.url}{scene.collection}/   # as curl -H 'Accept: text/html'")
    with front.ask("GET", f"{scene.collection}/", headers=_BROWSER) as answer:
        page = b"".join(read_pieces(answer, "the page")).decode()
        policy = answer.headers["Content-Security-Policy"] or ""
    found = re.search(r'<script type="application/json" id="start">(.*?)</script>', page)
    names = [name for name, *_ in json.loads(found[1])["list"]["members"]] if found else []
    report.check("the page has the list already", _PICTURE in names, _PICTURE, names)
    report.check(
        "it runs only its own scripts", "script-src 'nonce-" in policy and "unsafe" not in policy, found=policy
    )
    _look(scene, report, len(data))


def _look(scene: Scene, report: Report, size: int) -> None:
    status, made = _thumbnail(scene, _PICTURE)
    report.check("a thumbnail is made: 200", (status, made[8:12]) == (200, b"WEBP"), "200, WebP", (status, made[:12]))
    report.say(f"{_WIDTH} by {_HEIGHT} pixels, {format_size(size)}; the browser loads {format_size(len(made))} of it.")
    bomb = _png(_HUGE, _HUGE, b"")
    scene.files.put(scene.path(_BOMB), bomb)
    report.say(f"An image of {len(bomb)} bytes says that it has {_HUGE:,} by {_HUGE:,} pixels.")
    status, _ = _thumbnail(scene, _BOMB)
    report.equal("no thumbnail is made of it: 415", 415, status)


def _thumbnail(scene: Scene, name: str) -> tuple[int, bytes]:
    query = {"path": scene.path(name)}
    try:
        with scene.files.front.ask("GET", f"{_API}/thumbnail", query=query) as answer:
            return answer.status, b"".join(read_pieces(answer, "the thumbnail"))
    except ServerRefused as refusal:
        return refusal.status, b""


BROWSE = Step(
    "A browser gets a page, and thumbnails",
    "The page comes from the front, and runs nothing that is stored. Thumbnails are made by processes apart from the "
    "front, because images come from strangers.",
    _browse,
)
