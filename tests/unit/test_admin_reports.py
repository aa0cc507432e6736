"""The answers of the operators' port have a published schema."""

from __future__ import annotations

from pathlib import Path

from splitd.frontends.admin.reports import schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "operators-http.schema.json"


def test_the_published_schema_is_that_of_the_answers() -> None:
    assert PUBLISHED.read_bytes() == schema(), (
        "python -m splitd.frontends.admin.reports > docs/operators-http.schema.json"
    )
