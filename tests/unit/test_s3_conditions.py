"""Tags in conditions of S3: one that is not UTF-8 is refused in each request, whoever judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from splitd.frontends.s3.conditions import delete_condition, read_condition, write_condition
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import Form
from splitd.frontends.s3.forms.post import FormFields
from tests.s3 import FakeRequest


def fields(name: str, value: str) -> Any:
    return FormFields(Form({name: value}, "", ""))


def request(name: str, value: str) -> Any:
    return FakeRequest("GET", "/bucket/key", [(name, value)])


@pytest.mark.parametrize(
    ("read", "headers", "name"),
    [
        (write_condition, fields, "if-match"),
        (write_condition, fields, "if-none-match"),
        (delete_condition, fields, "if-match"),
        (read_condition, request, "if-match"),
        (read_condition, request, "if-none-match"),
    ],
)
def test_a_tag_that_is_not_utf_8_is_refused(
    read: Callable[[Any], object], headers: Callable[[str, str], Any], name: str
) -> None:
    assert read(headers(name, '"grün"'))
    for value in ('"\udcff"', '"a", "\udcff"', "\udc80"):
        with pytest.raises(S3Error) as caught:
            read(headers(name, value))
        assert (caught.value.code, caught.value.status) == ("InvalidArgument", 400)


def test_a_tag_of_a_source_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(S3Error):
        read_condition(request("x-amz-copy-source-if-match", '"\udcff"'), "x-amz-copy-source-")
