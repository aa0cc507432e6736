"""Fixtures for every test: a reactor that must be left as it was found, and a pool of threads on request."""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet.task import deferLater
from twisted.python.threadpool import ThreadPool

from storaged.system.clocks import measure_monotonically
from tests.tally import EFFORT, MEASURED, TALLY

_CLOSING_S = 30.0
"""How long a connection that was closed at the end of a test may take to disappear; usually it takes a few turns."""
_SLOW = "tests/live/", "tests/crash/"
"""What the names of tests that take long begin with."""


def pytest_configure() -> None:
    """Make the process the same for all tests, however it was started."""
    from twisted.internet import reactor

    measure_monotonically(reactor)
    # Of a shell's background job, SIGINT is ignored, and so it would be of the daemons that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes depends on what else the machine does.  The same examples in each run, except with
    # `make crash`: a change that is refused must have a fault of its own.
    settings.register_profile(
        "splitd", deadline=None, derandomize=EFFORT == 1, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("splitd")


def pytest_collection(session: pytest.Session) -> None:
    """Where the tests run in several processes, import the modules in another order in each one.

    pytest compiles a module of tests where it is imported first, and keeps the result in a file.  That takes longer
    than all else of the collection.  In the same order, all processes would compile each module at the same time.
    """
    gc.disable()  # the modules stay: a fifth of the time would go into searches for garbage among them
    own = getattr(session.config, "workerinput", None)
    if own is None or sys.dont_write_bytecode:
        return
    modules = _modules_of(session.config)
    first = int(own["workerid"].removeprefix("gw")) % own["workercount"] * len(modules) // own["workercount"]
    for module in [*modules[first:], *modules[:first]]:
        with suppress(Exception, pytest.skip.Exception):  # the collection meets it again, and tells it
            import_module(module)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where the tests run in several processes, let each begin with its share of those that take long.

    At first each process gets as many tests of the list as the others, and one that has none left takes some from the
    end of what another one has.  So what comes at the end should be short.
    """
    own = getattr(config, "workerinput", None)
    if own is None:
        return
    count, slow, quick = own["workercount"], dict[Path, list[pytest.Item]](), list[pytest.Item]()
    for item in items:
        if item.nodeid.startswith(_SLOW):
            slow.setdefault(item.path, []).append(item)  # those of a module stay together: they may share a cluster
        else:
            quick.append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(count)]
    for number, module in enumerate(slow.values()):
        shares[number % count] += module
    left, ends = iter(quick), [len(items) * (number + 1) // count for number in range(count)]
    for share, (start, end) in zip(shares, pairwise([0, *ends]), strict=True):
        share.extend(islice(left, max(0, end - start - len(share))))
    items[:] = [item for share in shares for item in share] + list(left)


def pytest_collection_finish() -> None:
    """Collect garbage again, but not among what was imported."""
    gc.freeze()
    gc.enable()


def _modules_of(config: pytest.Config) -> list[str]:
    """Return the names of the modules in which the tests are that were asked for."""
    left_out = set(config.getini("norecursedirs"))
    files: set[Path] = set()
    for argument in config.args:
        path = config.invocation_params.dir / argument.partition("::")[0]
        found = [path] if path.is_file() else path.rglob("test_*.py")
        files.update(file for file in found if left_out.isdisjoint(file.relative_to(path).parts))
    return [".".join(file.relative_to(config.rootpath).with_suffix("").parts) for file in sorted(files)]


def _at_work(reactor: Any) -> set[Any]:
    readers = {*reactor.getReaders(), *reactor.getWriters()} - reactor._internalReaders  # without its own waker
    return readers | {call for call in reactor.getDelayedCalls() if call.active()}


@pytest.fixture(autouse=True)
def clean_reactor() -> Iterator[None]:
    """Fail a test that leaves delayed calls, readers or writers behind."""
    from twisted.internet import reactor

    before = _at_work(reactor)
    yield
    deadline = reactor.seconds() + _CLOSING_S  # type: ignore[attr-defined]
    while left := _at_work(reactor) - before:
        assert reactor.seconds() < deadline, f"left in the reactor: {left}"  # type: ignore[attr-defined]
        pytest_twisted.blockon(deferLater(reactor, 0))


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """A running pool of threads."""
    threads = ThreadPool(1, 4, name="test")
    threads.start()
    yield threads
    threads.stop()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where the tests run in several processes, hand over what this one has counted."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = dict(TALLY)
        output["measured"] = MEASURED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what another process has counted."""
    output = getattr(node, "workeroutput", {})
    TALLY.update(output.get("tally", {}))
    MEASURED.extend(output.get("measured", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cases were tried by the tests that try many."""
    if TALLY:
        terminalreporter.section("what was tried")
        for what, count in sorted(TALLY.items()):
            terminalreporter.write_line(f"{count:>15,}  {what}")
    if MEASURED:
        terminalreporter.section("what was measured")
        for line in MEASURED:
            terminalreporter.write_line(line)
