"""Tags in conditions of S3: one that is not UTF-8 matches nothing, and can be told to another process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from splitd.frontends.s3.conditions import delete_condition, read_condition, write_condition
from splitd.frontends.s3.errors import S3Error
from splitd.frontends.s3.forms.body import Form
from splitd.frontends.s3.forms.post import FormFields
from splitd.model.conditions import Condition
from splitd.model.manifest import Manifest
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
        (read_condition, request, "if-match"),
        (read_condition, request, "if-none-match"),
        (partial(read_condition, prefix="x-amz-copy-source-"), request, "x-amz-copy-source-if-match"),
    ],
)
def test_a_tag_that_is_not_utf_8_matches_nothing(
    read: Callable[[Any], Condition], headers: Callable[[str, str], Any], name: str
) -> None:
    for value in ('"\udcff"', '"a", "\udcff"', "\udc80"):
        condition = read(headers(name, value))
        tags = condition.none_match if "none" in name else condition.match
        assert tags
        for tag in tags:
            assert tag.encode()
        assert bool(condition.failed('"0123"')) == ("none" not in name)


def test_a_deletion_under_such_a_tag_fails() -> None:
    file = Manifest("a" * 32, 1, 1, 6, 0, 4, tuple("abcdef"))
    with pytest.raises(S3Error) as caught:
        delete_condition(fields("if-match", '"\udcff"')).check(file)
    assert caught.value.code == "PreconditionFailed"
