"""What every catalog promises.  `places` has the catalogs that there are; each test runs over all of them."""

import pytest

pytest.register_assert_rewrite("tests.contract.catalogs.front")
