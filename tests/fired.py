"""Deferreds that have fired already."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred

_Result = TypeVar("_Result")


def fired(deferred: Deferred[_Result]) -> _Result:
    """The result of a Deferred that has fired with one."""
    results: list[_Result] = []
    deferred.addCallback(results.append)
    [result] = results
    return result


def failed(deferred: Deferred[_Result]) -> BaseException:
    """The error of a Deferred that has failed."""
    problems: list[BaseException] = []
    deferred.addErrback(lambda failure: problems.append(failure.value))
    [problem] = problems
    return problem
