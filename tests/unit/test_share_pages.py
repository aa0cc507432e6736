"""The pages of links: no name becomes HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from splitd.frontends.shares.pages import heading, listing, password_form, refusal, single, upload_form
from splitd.frontends.shares.texts import Texts, language_of

ENGLISH = Texts("en")


class _Attributes(HTMLParser):
    """Collects the tags and the URLs of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.urls: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the beginning of an element."""
        self.tags.add(tag)
        self.urls += [value for name, value in attrs if name in {"href", "action"}]


def test_the_url_of_a_collection_leads_there_whatever_its_name_is() -> None:
    for url in ("/s/t/a&lt/b", "/s/t/a&copy", '/s/t/a"><img src=x>', "/s/t/it's"):
        found = _Attributes(listing(url, [("x", 1), ("d", None)], ENGLISH, following="x", can_zip=True))
        assert found.urls == [f"{url}/x", f"{url}/d/", f"{url}/?after=x", f"{url}/?zip"]
        assert "img" not in found.tags
        for page in (
            single(url, "f", 1, ENGLISH),
            upload_form(url, None, ENGLISH),
            password_form(url, ENGLISH, wrong=False),
            refusal(url, 507, ENGLISH),
            heading("<b>", [("<i>", url)]),
        ):
            found = _Attributes(page)
            assert found.urls in ([url], [f"{url}/f"])
            assert found.tags.isdisjoint({"b", "i", "img"})


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("RU-ru;q=0.8, en-US;q=0.7", "ru"),
        ("en, ru", "en"),
        ("de, fr;q=0.9, ru;q=0.1", "ru"),
        ("ru;q=0", "en"),
        ("ru;q=x, *;q=0.1, ;;,", "en"),
        ("ru;q=nan", "en"),
    ],
)
def test_the_language_is_the_one_that_is_read_best(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
