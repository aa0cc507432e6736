"""A transaction on a database has all that its base classes have, whose constructors it skips."""

from __future__ import annotations

from typing import Any

from splitd.catalog.doomed import DoomedParts
from splitd.catalog.part_moves import PartMoves
from splitd.catalog.sql.state import Common, StoredState
from splitd.catalog.state import State
from splitd.model.packing import Packing

_WORK = {"_released", "_work"}
"""What a state in memory needs to forget files little by little; here they are rows."""


def lacks(made: Any, base: Any) -> set[str]:
    """What an object of the base class has, and the other one has not."""
    return {name for name in vars(base) if name not in vars(made) and not hasattr(type(made), name)}


def test_nothing_is_missing_that_a_base_class_makes() -> None:
    stored = StoredState(None, Packing(), Common(), 0, locks=True)
    assert lacks(stored, State()) == _WORK
    assert lacks(stored.doomed, DoomedParts()) == set()
    assert lacks(stored.moves, PartMoves(DoomedParts())) == set()
