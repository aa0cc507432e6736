"""What can be asked for beside other things, by one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs


@attrs.frozen
class About:
    """Expressions that are the same for each row of a statement.

    :param columns: the expressions; there are `width` of them.
    :param take: takes their values.
    """

    columns: str
    width: int
    take: Callable[[Sequence[Any]], object]

    def take_from(self, row: Sequence[Any]) -> None:
        """Take the values at the end of a row."""
        self.take(row[-self.width :])

    def ask(self, cursor: Any) -> Callable[[], None]:
        """Ask for nothing else; return what takes the values."""
        found = cursor.execute(f"SELECT {self.columns}")
        return lambda: self.take_from(found.fetchone())

    def and_also(self, other: About) -> About:
        """Return what asks for both; the values of `other` are taken last."""

        def take(row: Sequence[Any]) -> None:
            self.take(row[: self.width])
            other.take(row[self.width :])

        return About(f"{self.columns}, {other.columns}", self.width + other.width, take)
