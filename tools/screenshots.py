"""Takes the pictures in docs/console.md, from a cluster of its own that it fills.

    .venv/bin/python tools/screenshots.py

It needs Chromium, Pillow, and the test requirements.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, expect

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE))

from tests.clients.browser import running_browser  # noqa: E402 - the tests are no installed package
from tests.live.clients import ask  # noqa: E402
from tests.live.local_cluster import LocalCluster  # noqa: E402
from tests.users import ROOT, WILMA, write_users  # noqa: E402

TARGET = HERE / "docs/console"
DESK = {"viewport": {"width": 1180, "height": 720}}
PHONE = {"viewport": {"width": 360, "height": 720}, "has_touch": True, "is_mobile": True}
MODES = {
    "light": {**DESK, "color_scheme": "light"},
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
}
MARKDOWN = """# Moving day

The cluster moves to the new rack on **Friday**. Nothing stops meanwhile.

| node | rack | disks |
|------|------|-------|
| n1   | A    | 4     |
| n2   | B    | 4     |

1. Drain `n3`, and wait until it is empty.
2. Move it, start it, and set it to *active* again.

> A file is readable all the time.
"""


def picture(number: int, width: int = 480, height: int = 320) -> bytes:
    """Draw a coast."""
    tones = [(52, 110, 78), (36, 92, 120), (120, 84, 50), (80, 100, 60), (40, 70, 110), (130, 60, 70), (60, 120, 110)]
    red, green, blue = tones[number % len(tones)]

    def pixel(x: float, y: float) -> tuple[int, int, int]:
        hill = 0.55 + 0.12 * math.sin(5 * x + number) + 0.05 * math.sin(17 * x + 2 * number)
        if y > hill:
            shade = 1 - (y - hill)
            return int(red * shade), int(green * shade), int(blue * shade)
        glow = max(0.0, 1 - math.hypot(x - 0.7, y - 0.2) * 6)
        return int(150 + 70 * y + 30 * glow), int(180 + 40 * y + 30 * glow), int(225 - 30 * y + 20 * glow)

    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x / width, y / height)) for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fill(url: str) -> None:
    """Store what the pictures show."""

    def store(path: str, data: bytes) -> None:
        assert ask(url + quote(path), "PUT", data, Authorization=ROOT).status in {201, 204}

    for path in (
        "/Archive 2024",
        "/Archive 2025",
        "/Backups",
        "/Photos",
        "/Photos/Coast",
        "/Projects",
        "/Projects/notes",
    ):
        assert ask(url + quote(path) + "/", "MKCOL", Authorization=ROOT).status == 201
    for number in range(11):
        store(f"/Photos/Coast/Day {number + 1}.png", picture(number))
    store("/Projects/Moving day.md", MARKDOWN.encode())
    store("/Projects/striping.py", (HERE / "splitd/model/striping.py").read_bytes())
    for name, size in (("budget 2026.xlsx", 48_211), ("contract.pdf", 184_300), ("inventory.csv", 21_004)):
        store(f"/Projects/{name}", bytes(size))
    for name, size in (("release-4.2.tar.gz", 7_400_000), ("walkthrough.mp4", 12_700_000), ("theme.flac", 3_100_000)):
        store(f"/Projects/{name}", bytes(size))


def call(url: str, name: str, document: dict[str, object], user: str = ROOT) -> dict[str, str]:
    """Post a document to the console's JSON."""
    headers = {"Authorization": user, "Content-Type": "application/json"}
    answered = ask(f"{url}/.splitd/api/{name}", "POST", json.dumps(document).encode(), **headers)
    assert answered.status == 201, answered.body
    made: dict[str, str] = json.loads(answered.body)
    return made


def prepare(url: str) -> dict[str, str]:
    """Delete some things, and make keys and links.

    :return: the URLs of two links, by what they are for.
    """
    for path, user, size in (
        ("/Projects/draft of the offer.docx", WILMA, 61_440),
        ("/Photos/blurred.jpg", ROOT, 2_400_000),
        ("/Projects/old plans/east.dwg", WILMA, 5_100_000),
    ):
        if path.count("/") > 2:
            ask(url + quote(path.rpartition("/")[0]) + "/", "MKCOL", Authorization=ROOT)
        assert ask(url + quote(path), "PUT", bytes(size), Authorization=ROOT).status == 201
        call(url, "bin", {"path": path if path.count("/") == 2 else path.rpartition("/")[0]}, user)
    for document in (
        {"kind": "key", "label": "backup of the laptop", "allow": ["read", "write"], "path": "/Backups", "days": 90},
        {"kind": "token", "label": "dashboard", "allow": ["read"]},
        {"kind": "token", "label": "camera upload", "allow": ["read", "write"], "path": "/Photos", "days": 365},
    ):
        call(url, "keys", document)
    call(url, "shares", {"path": "/Projects/contract.pdf", "mode": "read", "days": 7, "password": "x", "downloads": 3})
    return {
        "read": call(url, "shares", {"path": "/Photos/Coast", "mode": "read", "days": 30})["url"],
        "upload": call(url, "shares", {"path": "/Projects/notes", "mode": "upload"})["url"],
    }


def offer_sign_in(running: LocalCluster, users: Path) -> None:
    """Let users log in at an issuer, too."""
    (users.parent / "secret").write_text("secret")
    oidc = {
        "issuer": "http://127.0.0.1:9",
        "audience": "splitd",
        "user_claim": "email",
        "sign_in": {"client": "splitd", "secret_file": str(users.parent / "secret"), "name": "Example Inc."},
    }
    users.write_text(users.read_text() + yaml.safe_dump({"oidc": oidc}))
    assert ask(f"{running.admin}/reload", "POST", Authorization=ROOT).status == 200


def put_in_zones(running: LocalCluster) -> None:
    """Spread the storage servers over three zones."""
    path = running.folder / "nodes.yaml"
    registry = yaml.safe_load(path.read_text())
    for number, node in enumerate(registry):
        node["zone"] = ("north", "east", "west")[number // 2]
    path.write_text(yaml.safe_dump(registry))
    assert ask(f"{running.admin}/reload", "POST", Authorization=ROOT).status == 200


def files(page: Page, url: str) -> None:
    """A folder, two of its files selected, and two uploads."""
    page.goto(f"{url}/Projects/")
    for name in ("inventory.csv", "striping.py"):
        row = page.locator(".row").filter(has_text=name)
        row.hover()
        row.locator(".pick").click()


def grid(page: Page, url: str) -> None:
    """Pictures."""
    page.goto(f"{url}/Photos/Coast/")
    page.get_by_role("button", name="Show as a grid").click()
    expect(page.locator(".thumb img").first).to_be_visible()
    page.wait_for_load_state("networkidle")


def uploads(page: Page, url: str) -> None:
    """Uploads, one of which asks."""
    ask(f"{url}/Projects/survey.txt", "DELETE", Authorization=ROOT)
    page.goto(f"{url}/Projects/")
    page.route("**/Projects/plans*", lambda _: None)  # these stay under way
    page.evaluate(
        """() => {
            const all = new DataTransfer();
            const files = [
                ['plans east.dwg', 3e6], ['plans west.dwg', 5e6], ['inventory.csv', 9e3], ['survey.txt', 2e5],
            ];
            for (const [name, size] of files) all.items.add(new File([new Uint8Array(size)], name));
            const drop = new DragEvent('drop', { dataTransfer: all, bubbles: true, cancelable: true });
            document.querySelector('.files').dispatchEvent(drop);
        }"""
    )
    expect(page.locator(".uploads li[data-state=asks]")).to_have_count(1)
    expect(page.locator(".uploads li[data-state=done]")).to_have_count(1)


def preview(page: Page, url: str) -> None:
    """Markdown."""
    page.goto(f"{url}/Projects/?show={quote('/Projects/Moving day.md', safe='')}")
    expect(page.frame_locator("iframe.markdown").locator("h1")).to_be_visible()


def cluster(page: Page, url: str) -> None:
    """The cluster, all of it."""
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": size["width"], "height": 1230 if size["width"] > 400 else 1100})
    page.goto(f"{url}/.splitd/cluster")
    expect(page.locator(".node")).to_have_count(6)


def share(page: Page, url: str) -> None:
    """The dialog that makes a link."""
    page.goto(f"{url}/Photos/")
    page.locator(".row").filter(has_text="Coast").get_by_role("button", name="Actions for Coast").click()
    page.get_by_role("menuitem", name="Share").click()
    expect(page.get_by_role("radio", name="Leave files")).to_be_visible()


def shared(page: Page, url: str) -> None:
    """One's own links."""
    page.goto(f"{url}/.splitd/shares")
    expect(page.locator(".share-list li")).to_have_count(3)


def keys(page: Page, url: str) -> None:
    """One's own keys and tokens."""
    page.goto(f"{url}/.splitd/keys")
    expect(page.locator(".share-list li")).to_have_count(3)


def deleted(page: Page, url: str) -> None:
    """What was deleted."""
    page.goto(f"{url}/.splitd/bin")
    expect(page.locator(".share-list li")).to_have_count(3)


def sign_in(page: Page, url: str) -> None:
    """The form, with an issuer."""
    page.goto(f"{url}/Photos/")
    expect(page.get_by_role("link", name="Sign in with Example Inc.")).to_be_visible()


def login(page: Page, url: str) -> None:
    """The form."""
    page.goto(f"{url}/Photos/")
    expect(page.get_by_label("Password")).to_be_visible()


VIEWS: list[Callable[[Page, str], None]] = [
    login,
    files,
    grid,
    preview,
    uploads,
    share,
    shared,
    keys,
    deleted,
    cluster,
]


def save(shot: bytes, path: Path, *, has_photographs: bool = False) -> None:
    """Write a picture with a palette: it takes a third of the room."""
    # One way keeps the colour of each icon, the other one the shades of a sky.
    how = Image.Quantize.MEDIANCUT if has_photographs else Image.Quantize.MAXCOVERAGE
    Image.open(BytesIO(shot)).convert("RGB").quantize(256, how, dither=Image.Dither.NONE).save(path, optimize=True)


def take(browser: Browser, url: str, mode: str) -> None:
    """Take the pictures of one mode."""
    context = browser.new_context(**MODES[mode], reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    for view in VIEWS:
        view(page, url)
        page.mouse.move(2, 2)
        save(page.screenshot(), TARGET / f"{view.__name__}-{mode}.png", has_photographs=view is grid)
        if view is login:
            page.get_by_label("User name").fill("root")
            page.get_by_label("Password").fill("root-pw")
            page.get_by_role("button", name="Log in").click()
            expect(page.locator("[data-list]")).to_be_visible()
        if view is grid:
            page.get_by_role("button", name="Show as a list").click()
    context.close()


def take_alone(browser: Browser, mode: str, views: dict[str, Callable[[Page], object]]) -> None:
    """Take pictures of what those see who have not logged in, by their names."""
    context = browser.new_context(**MODES[mode], reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    for name, view in views.items():
        view(page)
        save(page.screenshot(), TARGET / f"{name}-{mode}.png")
    context.close()


def main() -> None:
    """Start a cluster, fill it, and take all pictures."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        users = Path(folder) / "users.yaml"
        write_users(users)
        running = LocalCluster(Path(folder) / "cluster", users=str(users), layout="4+2", bin={"keep_days": 30})
        try:
            running.start()
            put_in_zones(running)
            fill(running.url)
            links = prepare(running.url)
            with running_browser() as browser:
                for mode in MODES:
                    take(browser, running.url, mode)
                offer_sign_in(running, users)
                for mode in MODES:
                    views: dict[str, Callable[[Page], object]] = {
                        "sign_in": lambda page: sign_in(page, running.url),
                        "link": lambda page: page.goto(running.url + links["read"] + "/"),
                        "request": lambda page: page.goto(running.url + links["upload"]),
                    }
                    take_alone(browser, mode, views)
        finally:
            running.remove()


if __name__ == "__main__":
    main()
