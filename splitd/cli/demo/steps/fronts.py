"""The step about several fronts that share their names in PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import yaml

from splitd.cli.demo.database import OwnDatabase, find_programs
from splitd.cli.demo.files import Files
from splitd.cli.demo.own_cluster import OwnCluster, free_ports
from splitd.cli.demo.report import Report
from splitd.cli.demo.scene import PLAIN, Scene, Step
from splitd.cli.demo.signals import undisturbed
from splitd.cli.demo.waiting import wait_until
from splitd.cli.errors import CommandFailed
from splitd.cli.local.daemon import DaemonProcess
from splitd.cli.local.plan import FRONT, FRONT_CONFIG, HOST, LEAST_NODES
from splitd.cli.server import Server

_FILES = 5
_SIZE = 300_000
_STARTED_S = 60.0
_STOPPED_S = 60.0
_WORKERS = 2
_SILENT_S = 6
_AGAIN_S = 60.0


class _TwoFronts:
    """A cluster whose names are in a database of its own, and a second front on it, with workers.

    :param folder: a temporary folder.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._database = OwnDatabase(folder / "database", programs)
        self._second: DaemonProcess | None = None
        self._port = 0
        self.cluster = OwnCluster(folder / "cluster", None, PLAIN)

    def start(self) -> None:
        """Start it, and wait until both fronts are ready.

        :raise CommandFailed: something did not start.
        """
        self._database.start()
        self.cluster.catalog = self._database.url
        self.cluster.start(LEAST_NODES)
        settings = yaml.safe_load((self.cluster.front / FRONT_CONFIG).read_text(encoding="utf-8"))
        self._port = free_ports(lambda first: range(first, first + 3))
        for key, port in zip(("listen", "admin", "s3"), range(self._port, self._port + 3), strict=True):
            settings[key] = f"tcp:{port}:interface={HOST}"
        config = self._folder / "front2.yaml"
        settings |= {"data": str(self._folder / "front2"), "workers": _WORKERS}
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        config.chmod(0o600)  # the database's password is in it
        watched = {"WATCHDOG_USEC": str(_SILENT_S * 1_000_000)}  # as from systemd
        command = ["splitd", "--config", str(config)]
        self._second = DaemonProcess("front2", command, self._folder / "front2.log", watched)
        self._second.start()
        wait_until(self._is_ready, "the second front ready", _STARTED_S)

    def _is_ready(self) -> bool:
        try:
            return bool(self.operators.document("/status")["ready"])
        except CommandFailed:
            return False

    @property
    def operators(self) -> Server:
        """The operators' HTTP of the second front."""
        return Server(f"http://{HOST}:{self._port + 1}", 5.0, 5.0)

    def workers(self) -> list[int]:
        """Return the processes of the second front that serve clients; none while it does not answer."""
        try:
            return list(self.operators.document("/status")["workers"])
        except CommandFailed:
            return []

    def files(self) -> tuple[Files, Files]:
        """Return the files as the first and as the second front have them."""
        return Files(Server(self.cluster.url)), Files(Server(f"http://{HOST}:{self._port}"))

    def stop(self) -> None:
        """Stop whatever of it was started."""
        with ExitStack() as last_first:
            last_first.callback(self._database.stop)
            last_first.callback(self.cluster.stop)
            if self._second is not None:
                self._second.send(signal.SIGTERM)
                self._second.wait(_STOPPED_S)


@contextmanager
def _two_fronts(programs: Path) -> Iterator[_TwoFronts]:
    folder = Path(mkdtemp(prefix="splitd-demo-fronts-"))
    fronts = _TwoFronts(folder, programs)
    try:
        fronts.start()
        yield fronts
    finally:
        with undisturbed():
            fronts.stop()
            shutil.rmtree(folder)


def _kill_one(_scene: Scene, report: Report) -> None:
    programs = find_programs()
    if programs is None:
        report.leave_out("no PostgreSQL server is installed here (apt-get install postgresql)")
        return
    with _two_fronts(programs) as fronts:
        first, second = fronts.files()
        report.command(
            "splitctl up --catalog postgresql://…   # and a second front with the same settings, and workers"
        )
        data = os.urandom(_SIZE)
        first.put("/one", data)
        report.equal("what one front stored, the other one reads", sha256(data).hexdigest(), second.digest("/one"))
        workers = fronts.workers()
        report.equal("processes of the second one serve clients", _WORKERS, len(workers))
        hung = workers[0]
        report.command(f"kill -STOP {hung}   # one of them hangs; for systemd, WatchdogSec={_SILENT_S}")
        os.kill(hung, signal.SIGSTOP)
        pid = fronts.cluster.kill(FRONT)
        report.command(f"kill -9 {pid}   # the first front")
        same = 0
        for number in range(_FILES):
            more = os.urandom(_SIZE)
            second.put(f"/more-{number}", more)
            same += second.digest(f"/more-{number}") == sha256(more).hexdigest()
        report.equal("files stored and read by the second one meanwhile", _FILES, same)
        fronts.cluster.wait_recovered(FRONT, pid)
        report.equal("the first one is back, and has them", sha256(more).hexdigest(), first.digest(f"/more-{number}"))
        wait_until(
            lambda: len({*fronts.workers()} - {hung}) == _WORKERS, "another one for the one that hangs", _AGAIN_S
        )
        report.check("the process that hangs was killed, and another one serves", hung not in fronts.workers())
        found = fronts.operators.document("/status")["fronts"]
        report.command("splitctl status   # asked of either front")
        addresses = {each["address"].partition(" ")[0] for each in found}
        report.check("both are in the status of either", len(addresses) == 2)


KILL_ONE_FRONT = Step(
    "Two fronts on PostgreSQL: one is killed",
    "Names may live in PostgreSQL instead of the front's journal. Then any number of fronts serve the same files, on "
    "any number of machines, and any of them may die. The second one has workers, each of which asks the database "
    "itself, and one of them hangs. This step starts a database and a cluster of its own.",
    _kill_one,
    needs="a cluster of its own",
)
