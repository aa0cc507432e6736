import pytest

# The contract is imported by the modules that run it.  Without this call, its asserts would not show the values that
# they compared.
pytest.register_assert_rewrite(
    "tests.contract.parts", "tests.contract.part_store_reading", "tests.contract.part_store_writing"
)
