"""Prints figures for people, and writes them for programs."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Cell = str | float | None


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table in Markdown that is readable as plain text: the first column is aligned to the left, the others to
    the right.
    """
    texts = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "| " + " | ".join(text.rjust(width) if index else text.ljust(width) for index, (text, width) in
                          enumerate(zip(line, widths, strict=True))) + " |"
        for line in texts
    ]  # fmt: skip
    rule = "|" + "|".join("-" * (width + 1) + (":" if index else "-") for index, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    digits = 0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2
    return f"{cell:,.{digits}f}"


def describe_machine() -> dict[str, Any]:
    """Return what figures depend on: the machine, its kernel and Python."""
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


def write_json(path: str, **figures: Any) -> None:
    """Write figures to a file, with a description of the machine."""
    Path(path).write_text(json.dumps({"machine": describe_machine(), **figures}, indent=1) + "\n")


def say(text: str) -> None:
    """Print a message about the progress."""
    print(text, file=sys.stderr, flush=True)


def end_well() -> None:
    """Make SIGTERM end this program as Ctrl-C does: everything that it has started is stopped, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
