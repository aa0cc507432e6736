"""The XML of S3: what is too much for a document."""

from __future__ import annotations

import pytest

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.xml import parse


def test_a_document_has_no_more_elements_than_any_request_needs() -> None:
    part = b"<Part><PartNumber>1</PartNumber><ETag>x</ETag><ChecksumCRC32>x</ChecksumCRC32></Part>"
    assert len(parse(b"<List>" + 10_000 * part + b"</List>", "List")) == 10_000
    for content in (200_000 * b"<a/>", 100_000 * b"<a></a>", 200_000 * b"<!---->"):
        with pytest.raises(S3Error) as caught:
            parse(b"<List>" + content + b"</List>", "List")
        assert caught.value.code == "MalformedXML"
