import pytest

# The contract is imported by the modules that run it: without this its asserts would not tell what they saw.
pytest.register_assert_rewrite("tests.contract.part_store_contract")
