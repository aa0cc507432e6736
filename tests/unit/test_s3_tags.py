"""Tags, however they come: none is kept that the catalog or an answer could not hold."""

from __future__ import annotations

import pytest

from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import Form
from splitd.frontends.s3.forms.post import FormFields
from splitd.frontends.s3.headers import check_tags, read_media
from tests.s3 import FakeRequest


@pytest.mark.parametrize("tags", ["a=\udcff", "\udcff=a", "a=b&c=\udc80d", "a=%FF"])
def test_tags_that_are_not_utf_8_are_refused_in_a_header_and_in_a_form(tags: str) -> None:
    for headers in (
        FakeRequest("PUT", "/bucket/key", [("x-amz-tagging", tags)]),
        FormFields(Form({"x-amz-tagging": tags}, "", "")),
    ):
        with pytest.raises(S3Error) as caught:
            read_media(headers)  # type: ignore[arg-type]
        assert caught.value.status == 400


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\uffff", "\x01"])
def test_tags_that_no_document_can_hold_are_refused(text: str) -> None:
    for tag in ((text, "a"), ("a", text)):
        with pytest.raises(S3Error) as caught:
            check_tags([tag])
        assert caught.value.code == "InvalidTag"
