"""How many file descriptors a process has, and which errors mean that it lacks some."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import pytest
from twisted.internet.error import ConnectBindError, DNSLookupError, NoRouteError

from storaged.system.descriptors import Descriptors, present_descriptors, shortage_of
from tests.descriptors import no_descriptors

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize(("soft", "hard", "raised"), [(50, 200, 200), (200, 200, 200), (HARD, HARD, HARD)])
def test_the_limit_is_raised_to_what_it_may_be(soft: int, hard: int, raised: int) -> None:
    script = (
        "import resource, sys; from storaged.system.descriptors import raise_limit;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(raise_limit().limit, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    limit = raised if raised <= 65_536 else max(soft, 65_536)
    assert done.stdout.split() == [str(limit), str(limit), str(hard)]


def test_what_is_kept_is_not_divided() -> None:
    assert Descriptors(1024).divide(7, 288) == 105
    assert Descriptors(1024).divide(4, 176) == 212
    assert Descriptors(65_536).divide(7, 8352) == 8169
    assert Descriptors(100).divide(7, 288) == 1


def test_those_that_are_open_are_counted() -> None:
    descriptors = present_descriptors()
    before = descriptors.used()
    more = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    assert descriptors.used() == before + 10
    for each in more:
        os.close(each)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_an_error_of_ones_own_is_told_from_those_of_others(number: int) -> None:
    for problem in (OSError(number, os.strerror(number)), ConnectBindError(number, os.strerror(number))):
        assert shortage_of(problem).startswith("this ")


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, "full"),
        NoRouteError(errno.ENETUNREACH, "no route"),
        ConnectBindError(),
        OSError("no number"),
        ValueError("other"),
        DNSLookupError("no such name"),
        None,
    ],
)
def test_other_errors_are_no_shortage(problem: BaseException | None) -> None:
    assert shortage_of(problem) == ""


def test_a_name_that_cannot_be_resolved_for_want_of_descriptors_is_a_shortage() -> None:
    with no_descriptors():
        assert shortage_of(DNSLookupError("no answer")) == "this server has no free file descriptors (limit 0)"
