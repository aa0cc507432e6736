"""Runs the steps of the tour in order."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console

from splitd.cli.demo.report import Report
from splitd.cli.demo.results import PASSED, StepResult
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.steps.browsing import BROWSE
from splitd.cli.demo.steps.continuing import GO_ON
from splitd.cli.demo.steps.encryption import TLS
from splitd.cli.demo.steps.failures import KILL_FRONT, KILL_NODE, KILL_READ, LEAVE
from splitd.cli.demo.steps.fronts import KILL_ONE_FRONT
from splitd.cli.demo.steps.growth import GROW
from splitd.cli.demo.steps.many import AT_ONCE
from splitd.cli.demo.steps.names import BEHIND_A_PROXY, KEEP_HEADERS
from splitd.cli.demo.steps.parts import LOOK_AT_PARTS
from splitd.cli.demo.steps.redundancy import FLIPPED, KILL_TWO_READING, KILL_TWO_WRITING, LOSE, PARITY
from splitd.cli.demo.steps.s3 import S3
from splitd.cli.demo.steps.service import REPLACE_DISK, UPGRADE
from splitd.cli.demo.steps.start import START
from splitd.cli.demo.steps.takeover import LOSE_FRONT
from splitd.cli.demo.steps.transfer import OVERWRITE, PUT_KNOWN, PUT_PIPED, READ_BACK
from splitd.cli.demo.steps.undoing import UNDO
from splitd.cli.demo.steps.users import USERS
from splitd.cli.demo.steps.workers import WORKERS
from splitd.cli.errors import CommandFailed

STEPS = (
    START, PUT_KNOWN, PUT_PIPED, READ_BACK, LOOK_AT_PARTS, OVERWRITE, KEEP_HEADERS, BEHIND_A_PROXY, LEAVE, KILL_NODE,
    KILL_READ, KILL_FRONT, GO_ON, BROWSE, UNDO, AT_ONCE, USERS, S3, GROW, PARITY, FLIPPED, KILL_TWO_READING,
    KILL_TWO_WRITING, UPGRADE, WORKERS, TLS, LOSE_FRONT, REPLACE_DISK, LOSE,
    KILL_ONE_FRONT,
)  # fmt: skip


def run_tour(scene: Scene, console: Console, steps: Sequence[Step] = STEPS) -> list[StepResult]:
    """Run the steps, one after the other.

    If a step fails, the others still run, except after the first one: without a service there is no tour.

    :return: the result of each step that was run or left out.
    """
    results: list[StepResult] = []
    for number, step in enumerate(steps, 1):
        report = Report(console, StepResult(number, step.title))
        results.append(report.result)
        report.begin(step.why)
        if step.needs and scene.cluster is None:
            report.leave_out(f"it needs {step.needs}, and this cluster is not the tour's own")
        else:
            _run(scene, report, step)
        if number == 1 and report.result.verdict != PASSED:
            break
    return results


def _run(scene: Scene, report: Report, step: Step) -> None:
    begun = time.monotonic()
    try:
        step.run(scene, report)
    except CommandFailed as failure:
        report.problem(failure.message)
    except Exception as failure:  # reported and kept: the other steps are still worth seeing
        report.problem(f"{type(failure).__name__}: {failure}")
    finally:
        report.result.seconds = time.monotonic() - begun
