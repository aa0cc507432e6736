"""Figures for people and for programs."""

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
    """A table in Markdown that can be read as it is: the first column to the left, the others to the right."""
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


def write_json(path: str, **figures: Any) -> None:
    """Keep figures, and what machine they are of."""
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    Path(path).write_text(json.dumps({"machine": machine, **figures}, indent=1) + "\n")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def end_well() -> None:
    """Let SIGTERM end this program as Ctrl-C does: with all that it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
