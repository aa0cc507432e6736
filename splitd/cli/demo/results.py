"""The results of the steps.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

PASSED = "passed"
FAILED = "failed"
LEFT_OUT = "left out"


@attrs.frozen
class Check:
    """A promise, and the observed value.

    :param what: the promise, as a sentence.
    """

    what: str
    passed: bool
    expected: str
    found: str


@attrs.frozen
class Measure:
    """A measurement."""

    name: str
    value: float
    unit: str

    def __str__(self) -> str:
        digits = 0 if self.value >= 100 or self.value == int(self.value) else 1
        return f"{self.value:.{digits}f} {self.unit}"


@attrs.define
class StepResult:
    """The result of one step.

    :param left_out: why it was not run; empty if it was.
    :param problem: what ended it early; empty if nothing did.
    """

    number: int
    title: str
    checks: list[Check] = attrs.Factory(list)
    measures: list[Measure] = attrs.Factory(list)
    left_out: str = ""
    problem: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """Whether the step passed.  A step that checked nothing has failed."""
        if self.left_out:
            return LEFT_OUT
        good = bool(self.checks) and not self.problem and all(check.passed for check in self.checks)
        return PASSED if good else FAILED

    def document(self) -> dict[str, Any]:
        """Return the result as values that JSON has."""
        return {
            "number": self.number,
            "title": self.title,
            "result": self.verdict,
            "left_out": self.left_out,
            "problem": self.problem,
            "seconds": round(self.seconds, 3),
            "checks": [attrs.asdict(check) for check in self.checks],
            "measures": [{**attrs.asdict(each), "value": round(each.value, 3)} for each in self.measures],
        }


def all_passed(results: Sequence[StepResult]) -> bool:
    """Return whether at least one step was run, and none failed."""
    verdicts = {result.verdict for result in results}
    return PASSED in verdicts and FAILED not in verdicts
