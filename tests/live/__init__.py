"""Promises that are tested with real processes."""

import pytest

# Without this call, the asserts of these modules would not show the values that they compared.
pytest.register_assert_rewrite(
    "tests.live.killed_cluster", "tests.live.load", "tests.live.remembering", "tests.live.workers"
)
