"""The head of a front with workers: listens, starts the other processes, and starts those again that end."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from splitd.config import Config
from splitd.workers.child import Child
from splitd.workers.counters import SIZE, make_shared
from splitd.workers.post import Post
from splitd.workers.watchdog import Notices, Watchdog, patience_of
from storaged.http.handover import Handover
from storaged.http.listening import bind
from storaged.system.daemon import IServer
from storaged.system.parallel import settled
from storaged.system.settings import SettingsError
from storaged.system.sizes import Size
from storaged.system.stages import Stages

_RUN = "from twisted.scripts.twistd import run; run()"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_CALM_S = 10.0
"""A process that has run for so long is started again at once when it ends."""

_READY = b"READY=1"

_CATALOG = "catalog"


@implementer(IServer)
class Head:
    """The process that users start.  It serves nobody itself, and keeps nothing that the end of another could harm.

    :param count: how many workers there shall be.
    :param handover: has the sockets of the program before this one, and passes them on to the next.
    :param with_s3: whether anybody can have a key for S3.
    """

    _log = Logger()

    def __init__(self, config: Config, count: int, handover: Handover, reactor: Any, *, with_s3: bool) -> None:
        self._count = count
        self._with_s3 = with_s3
        self._config = config
        self._handover = handover
        self._reactor = reactor
        self._stages = Stages()
        self._ports: list[Any] = []
        self._descriptors: dict[str, int] = {}
        self._listener: socket.socket | None = None
        self._address = ""
        self._children: dict[str, Child] = {}
        self._fronts: dict[int, str] = {}
        self._pauses: dict[str, float] = {}
        self._patience_s = patience_of(os.environ)
        self._watchdogs: dict[str, Watchdog] = {}
        self._notices: list[Any] = []
        self._stopping = False
        self._ready: Deferred[None] = Deferred()

    def start(self) -> Deferred[None]:
        """Start to serve; see `IServer.start`.

        :raise SettingsError: an endpoint of the settings cannot be listened on, or the catalog's process cannot start.
        """
        return self._stages.start(self._start)

    async def _start(self) -> None:
        enter = self._stages.enter
        await enter(self._share, self._close_shared)
        await enter(_nothing, self._stop_catalog)
        await enter(_nothing, self._stop_workers)
        await enter(self._bind, self._unbind)
        await enter(self._run, interrupt=self._interrupted)

    def _share(self) -> None:
        """Make what the processes share: the counters, the settings, and the socket at which workers are let in."""
        self._descriptors["counters"] = make_shared("splitd-counters", SIZE)
        settings = self._descriptors["settings"] = os.memfd_create("splitd-settings")
        os.write(settings, msgspec.json.encode(_plain(self._config)))
        # The kernel chooses a name that no file has; who connects must be of the same user.
        listener = self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind("")
        listener.listen(128)
        self._address = listener.getsockname()[1:].decode()
        for name in (_CATALOG, *map(_name_of, range(self._count))):
            self._watchdogs[name] = Watchdog(self._patience_s, partial(self._silent, name), self._reactor)
            told = Notices(partial(self._told, name))
            self._notices.append(self._reactor.listenUNIXDatagram(f"\0{self._told_at(name)}", told))

    def _told_at(self, name: str) -> str:
        return f"{self._address}-{name.replace(' ', '-')}"

    async def _close_shared(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        if self._listener is not None:
            self._listener.close()
        for watchdog in self._watchdogs.values():
            watchdog.end()
        await settled([port.stopListening() for port in self._notices])

    async def _bind(self) -> None:
        config = self._config
        s3 = config.s3 if self._with_s3 else ""
        endpoints = [each for each in (config.listen, config.listen_tls, s3, config.redirect) if each]
        # The program before this one may have had no workers.  Operators are served by the catalog's process now, which
        # cannot listen for them while their socket is open here.
        self._handover.drop_others(endpoints)
        for endpoint in endpoints:
            self._ports.append(await bind(self._reactor, endpoint, self._handover))

    async def _unbind(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            # A private name: workers that have not been stopped yet accept connections at the same socket.
            port._shouldShutdown = False
        await settled([port.stopListening() for port in ports])

    def _run(self) -> Deferred[None]:
        self._begin_catalog()
        for number in range(self._count):
            self._begin_worker(number)
        return self._ready

    def _interrupted(self) -> None:
        if not self._ready.called:
            self._ready.callback(None)

    def _told(self, name: str, message: bytes) -> None:
        self._watchdogs[name].heard(message)
        if name == _CATALOG and _READY in message and not self._ready.called:
            self._ready.callback(None)

    def _silent(self, name: str) -> None:
        self._log.error("the process {name} has been silent for {seconds:g} s; it is killed",
                        name=name, seconds=self._patience_s)  # fmt: skip
        child = self._children[name]
        if not child.ended.called:
            child.send("KILL")

    # The processes

    def _post(self, **more: Any) -> Post:
        return Post(
            head=os.getpid(),
            counters=self._descriptors["counters"],
            address=self._address,
            workers=self._count,
            **more,
        )

    def _environment(self, name: str) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "WATCHDOG_"))
        }
        own = {"PYTHONUNBUFFERED": "1", "NOTIFY_SOCKET": f"@{self._told_at(name)}"}
        if self._patience_s:
            own["WATCHDOG_USEC"] = str(round(self._patience_s * 1e6))
        return {**environment, **own}

    def _command(self) -> list[str]:
        settings = f"/proc/self/fd/{self._descriptors['settings']}"
        return [sys.executable, "-P", "-c", _RUN, "-n", "--pidfile=", "splitd", "--config", settings]

    def _begin_catalog(self) -> None:
        assert self._listener is not None
        post = self._post(kind="catalog", socket=self._listener.fileno())
        child = self._children[_CATALOG] = Child(_CATALOG)
        inherited = [*self._descriptors.values(), self._listener.fileno()]
        child.start(self._reactor, self._command(), post.environment(self._environment(_CATALOG)), inherited)
        self._watch(child, self._begin_catalog)

    def _begin_worker(self, number: int) -> None:
        environment, lent = self._handover.lend(self._environment(_name_of(number)))
        child = self._children[_name_of(number)] = Child(_name_of(number))
        before, front = self._fronts.get(number, ""), os.urandom(8).hex()
        post = self._post(kind="worker", number=number, front=front, before=before)
        inherited = [*self._descriptors.values(), *lent]
        child.start(self._reactor, self._command(), post.environment(environment), inherited)
        if not child.ended.called:
            self._fronts[number] = front
        self._watch(child, lambda: self._begin_worker(number))

    def _watch(self, child: Child, again: Callable[[], None]) -> None:
        began_s = self._reactor.seconds()

        def ended(how: str) -> None:
            self._watchdogs[child.name].end()
            if self._stopping:
                return
            if not self._ready.called:
                self._stopping = True  # none is started again while the others are stopped
                self._ready.errback(
                    SettingsError(f"the process {child.name} cannot start ({how}); see its lines above")
                )
                return
            if self._reactor.seconds() - began_s > _CALM_S:
                self._pauses.pop(child.name, None)
            pause_s = self._pauses.get(child.name, _FIRST_PAUSE_S)
            self._pauses[child.name] = min(2 * pause_s, _LONGEST_PAUSE_S)
            self._log.error("the process {name} has ended: {how}; it is started again", name=child.name, how=how)
            self._reactor.callLater(pause_s, self._begin_again, again)

        child.ended.addCallback(ended)

    def _begin_again(self, again: Callable[[], None]) -> None:
        if not self._stopping:
            again()

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes, by name."""
        return {name: child.pid for name, child in self._children.items() if not child.ended.called}

    def hang_up(self) -> None:
        """Have the registry, the users, the certificates, the limits and the cluster keys read again."""
        if _CATALOG in self._children:
            self._children[_CATALOG].send("HUP")

    def _stop_workers(self) -> Deferred[None]:
        """Stop the workers, which finish what is in progress; the catalog goes on meanwhile."""
        return self._end([child for name, child in self._children.items() if name != _CATALOG])

    def _stop_catalog(self) -> Deferred[None]:
        return self._end([child for name, child in self._children.items() if name == _CATALOG])

    def _end(self, children: list[Child]) -> Deferred[None]:
        ends: list[Deferred[None]] = []
        for child in children:
            if child.ended.called:
                continue
            end: Deferred[None] = Deferred()
            child.ended.addCallback(_then(end))
            ends.append(end)
            child.send("TERM")
        return settled(ends)

    def stop(self) -> Deferred[None]:
        """Stop the workers, then the catalog's process; see `IServer.stop`."""
        self._stopping = True
        return self._stages.stop()


def _then(end: Deferred[None]) -> Callable[[str], None]:
    return lambda _: end.callback(None)


def _name_of(number: int) -> str:
    return f"worker {number}"


def _plain(config: Config) -> dict[str, Any]:
    """Return the settings as the file of them would have them."""
    return {name: _plain_value(getattr(config, name)) for name in config.__struct_fields__}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Size):
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _nothing() -> None:
    """Start nothing: this stage only has something to stop."""
