"""Prints the tour while it runs, and keeps the measurements and the results of checks."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import attrs
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from splitd.cli.demo.results import FAILED, LEFT_OUT, PASSED, Check, Measure, StepResult

_WIDTH = 100
_INDENT = 4
_STYLES = {PASSED: "green", FAILED: "bold red", LEFT_OUT: "yellow"}


@attrs.frozen
class Report:
    """The report of one step.

    :param console: where it is printed.
    :param result: the results that are kept.
    """

    console: Console
    result: StepResult

    def begin(self, why: str) -> None:
        """Print what the step does, and why it matters."""
        self.console.print()
        self.console.print(Text(f"{self.result.number}. {self.result.title}", style="bold"))
        self._paragraph(why, 3)

    def command(self, text: str) -> None:
        """Print the command that a user would type."""
        self._line(Text(f"$ {text}", style="cyan"))

    def say(self, text: str) -> None:
        """Print what happened."""
        self._paragraph(text, _INDENT)

    def quote(self, lines: Sequence[str]) -> None:
        """Print lines as they stand in a file."""
        for line in lines:
            self._line(Text(line, style="dim"))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table."""
        table = Table(box=None, pad_edge=False)
        for heading, column in zip(headings, zip(*rows, strict=True), strict=True):
            numbers = all(isinstance(cell, int) for cell in column)
            table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(str, row))
        self.console.print(Padding(table, (0, 0, 0, _INDENT), expand=False))

    def measure(self, name: str, value: float, unit: str) -> None:
        """Print and keep a measurement."""
        measured = Measure(name, value, unit)
        self.result.measures.append(measured)
        self._line(Text(f"{name}: {measured}"))

    def check(self, what: str, passed: bool, expected: object = "yes", found: object = None) -> None:
        """Print and keep whether a promise holds.

        :param what: the promise, as a sentence.
        :param found: the observed value; None stands for "yes" or "no".
        """
        seen = ("yes" if passed else "no") if found is None else str(found)
        check = Check(what, passed, str(expected), seen)
        self.result.checks.append(check)
        detail = "" if passed else f": expected {check.expected}, found {check.found}"
        self._line(Text(f"{_mark(self.console, PASSED if passed else FAILED)} {what}{detail}", _style(passed)))

    def equal(self, what: str, expected: object, found: object) -> None:
        """Check that two values are equal."""
        self.check(what, expected == found, expected, found)

    def problem(self, text: str) -> None:
        """Print and keep what ended the step early."""
        self.result.problem = text
        self._line(Text(f"{_mark(self.console, FAILED)} {text}", _style(passed=False)))

    def leave_out(self, why: str) -> None:
        """Print and keep why the step is not run."""
        self.result.left_out = why
        self._line(Text(f"{_mark(self.console, LEFT_OUT)} left out: {why}", _STYLES[LEFT_OUT]))

    def _paragraph(self, text: str, indent: int) -> None:
        for line in wrap(text, min(self.console.width, _WIDTH) - indent):
            self.console.print(Text(" " * indent + line))

    def _line(self, text: Text) -> None:
        self.console.print(Text(" " * _INDENT).append_text(text), soft_wrap=True)


def show_summary(console: Console, results: Sequence[StepResult]) -> None:
    """Print the results of all steps."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "", "step", "result"):
        table.add_column(heading)
    for heading in ("checks", "time"):
        table.add_column(heading, justify="right")
    table.add_column("measured")
    for result in results:
        passed = sum(check.passed for check in result.checks)
        table.add_row(
            Text(_mark(console, result.verdict), _STYLES[result.verdict]),
            f"{result.number}.",
            result.title,
            Text(result.verdict, _STYLES[result.verdict]),
            f"{passed}/{len(result.checks)}" if result.checks else "",
            "" if result.left_out else f"{result.seconds:.1f} s",
            ", ".join(f"{measure.name} {measure}" for measure in result.measures),
        )
    console.print()
    console.print(Text("Summary", style="bold"))
    console.print(table)


def _style(passed: bool) -> str:
    return _STYLES[PASSED if passed else FAILED]


def _mark(console: Console, verdict: str) -> str:
    marks = {PASSED: ("✓", "ok"), FAILED: ("✗", "FAILED"), LEFT_OUT: ("-", "-")}[verdict]
    try:
        marks[0].encode(console.encoding)
    except UnicodeEncodeError:
        return marks[1]
    return marks[0]
