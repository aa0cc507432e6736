import pytest

# The contract is imported by the modules that run it: without this its asserts would not tell what they saw.
pytest.register_assert_rewrite(
    "tests.contract.parts", "tests.contract.part_store_reading", "tests.contract.part_store_writing"
)
