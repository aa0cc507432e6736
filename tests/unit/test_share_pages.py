"""The pages of links: no name becomes HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from splitd.frontends.shares.pages import listing, password_form, single, upload_form


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
        found = _Attributes(listing(url, [("x", 1), ("d", None)], following="x", can_zip=True))
        assert found.urls == [f"{url}/x", f"{url}/d/", f"{url}/?after=x", f"{url}/?zip"]
        assert "img" not in found.tags
        for page in (single(url, "f", 1), upload_form(url, None), password_form(url, wrong=False)):
            [led] = _Attributes(page).urls
            assert led in {url, f"{url}/f"}
