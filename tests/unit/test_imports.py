"""What a daemon or a command does not use, it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "load", ["import splitd.service", "from splitd.cli.main import main; list(main.commands.values())"]
)
def test_the_driver_of_a_database_is_loaded_only_for_one(load: str) -> None:
    code = f"import sys; {load}; print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_splitctl_loads_the_command_that_is_called_and_no_other() -> None:
    call = "main(['ls', '--help'], standalone_mode=False)"
    code = f"import sys; from splitd.cli.main import main; {call}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "splitd.cli.ls" in loaded
    assert not {"splitd.cli.put", "splitd.cli.status", "splitd.cli.up", "cryptography", "ruamel.yaml"} & set(loaded)
