"""What a daemon or a command does not use, it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["splitd.service", "splitd.cli.main"])
def test_the_driver_of_a_database_is_loaded_only_for_one(module: str) -> None:
    code = f"import sys, {module}; print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
