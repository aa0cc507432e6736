"""The documents of the repository: where their links lead is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT) for folder in ("*.md", "bench/*.md", "docs/**/*.md") for path in ROOT.glob(folder)
)

CODE = re.compile(r"^ *(```|~~~).*?^ *\1[^\n]*$", re.MULTILINE | re.DOTALL)
WORD_OF_CODE = re.compile(r"`[^`]*`")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(CODE.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def broken(document: Path, text: str) -> list[str]:
    """Return the links of a document that lead nowhere in the repository."""
    prose = WORD_OF_CODE.sub("`", CODE.sub("", text))
    wrong = []
    for link in LINK.findall(prose):
        if ELSEWHERE.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = ROOT / document.parent / name
        if not target.exists() or (
            anchor and anchor not in anchors(target.read_text(encoding="utf-8") if name else text)
        ):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_each_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert broken(document, (ROOT / document).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_no_link_stands_in_code_that_shows_it_as_it_is(document: Path) -> None:
    code = [found.group() for found in CODE.finditer((ROOT / document).read_text(encoding="utf-8"))]
    assert [link for block in code for link in re.findall(r"\[[^\]]+\]\([^)\s]+\.md[^)]*\)", block)] == []


def test_links_that_lead_nowhere_are_found() -> None:
    links = "[a](CHANGELOG.md) [b](nowhere.md) [c](#here) [d](#there) [e](https://x.example/y) `[f](shown.md)`"
    text = f"{links}\n\n## Here\n\n```\n## There\n```\n"
    assert broken(Path("README.md"), text) == ["nowhere.md", "#there"]


def test_a_heading_that_is_there_twice_has_two_anchors() -> None:
    assert anchors("# `splitctl` and more: [A](b.md)\n## Same\n## Same\n") == {"splitctl-and-more-a", "same", "same-1"}
