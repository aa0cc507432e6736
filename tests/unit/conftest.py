from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.front_double import FrontDouble, running_front


@pytest.fixture
def front() -> Iterator[FrontDouble]:
    """A front for splitctl, which has no files yet."""
    with running_front() as running:
        yield running
