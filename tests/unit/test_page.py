"""The text of the page about a collection."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape

from twisted.internet.task import Clock

from splitd.frontends.webdav.members import Members
from splitd.frontends.webdav.page import FOOT, POLICY, format_head, format_row
from splitd.model.manifest import Manifest
from splitd.model.tree import Collection, Member
from storaged.system.budget import Budget

EVIL = """'"><img src=x onerror=alert(1)>&amp;</title><script>alert(1)</script>"""


def members() -> Members:
    made = Members(None, "/", Budget(0), Clock())  # type: ignore[arg-type]
    made.is_sorted = True
    return made


def test_the_policy_allows_the_script_and_the_style_of_the_page_and_no_others() -> None:
    page = format_head("/", "", members()) + FOOT
    for tag in ("style", "script"):
        [text] = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert not re.search(r"\s(on\w+|style)=", page.partition("<script>")[0].partition("</style>")[2])


def test_names_are_text_wherever_they_stand() -> None:
    head = format_head(f"/a/{EVIL.replace('/', '_')}", "", members())
    rows = format_row(Member(EVIL, Manifest("0" * 32, 1234, 0, 6, 0, 1, ())), "/a/")
    rows += format_row(Member(EVIL, Collection(1, 1)), "/a/")
    for text in (head.partition("</style>")[2], rows):
        assert not re.search(r"<(img|script|title)", text)
    assert [unescape(name) for name in re.findall(r'<a href="[^"]*">(.*?)</a>', rows)] == [EVIL, EVIL + "/"]


def test_a_deep_path_has_links_to_the_nearest_collections() -> None:
    assert re.findall(' href="(/[^"]*)"', format_head("/a/b c/d", "", members())) == [
        "/",
        "/a/",
        "/a/b%20c/",
        "/a/b%20c/",
    ]
    deep = format_head("/a" * 2000, "", members())
    links = re.findall("<h1>.*</h1>", deep)[0].count("<a ")
    assert links == 16
    assert f'href="{"/a" * 1999}/"' in deep
    assert len(deep) < 200_000


def test_a_row_has_a_readable_size_and_time_with_the_exact_ones_beside_them() -> None:
    row = format_row(Member("f", Manifest("0" * 32, 1_234_567, 1_700_000_000_999, 6, 0, 1, ())), "/")
    assert '<td title="1,234,567 bytes">1.2 MiB' in row
    assert '<time datetime="2023-11-14T22:13:20Z">2023-11-14 22:13</time>' in row


def test_what_there_is_stands_above_the_list() -> None:
    made = members()
    assert "Nothing is here yet" in format_head("/", "", made)
    made.collections, made.files, made.size = 1, 1200, 5 * 2**20
    assert "1 collection and 1,200 files, 5.0 MiB" in format_head("/", "", made)
    made.is_sorted = False
    assert "too many names" in format_head("/", "", made)
