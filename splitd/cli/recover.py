"""splitctl journal recover: makes a lost journal anew from the copies on the nodes."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import click

from splitd.cli.errors import CommandFailed
from splitd.cli.session import Session, pass_session
from splitd.errors import RecoveryRefused
from splitd.model.nodes import NodeEntry, RegistryInvalid
from splitd.nodes.entries import read_registry
from splitd.takeover.recovery import NodeGone, Recovered, Recovery
from storaged.parts import proofs, wire
from storaged.parts.errors import StoragedError
from storaged.parts.journals import Claim, Standing, decode_standing, encode_json
from storaged.parts.proofs import ClusterKeys
from storaged.parts.values import PartInfo
from storaged.system.filesystem import OSFilesystem
from storaged.system.keys import parse_cluster_keys
from storaged.system.os_errors import os_reason

_TIMEOUT_S = 10.0

registry_option = click.option(
    "--registry", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The front's registry."
)
key_option = click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file with the cluster key."
)
ca_option = click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The front's setting node_ca, if the nodes have TLS.",
)
data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="The data folder to make; empty."
)


class NotRecovered(CommandFailed):
    """The journal was not made; the message says why."""

    exit_code = 1


@attrs.frozen
class Node:
    """A node, asked over HTTP; an `INode`.

    :param keys: the cluster keys.
    :param trust: verifies its certificate, if its URL is https; None for the authorities that the system trusts.
    """

    entry: NodeEntry
    keys: ClusterKeys
    trust: ssl.SSLContext | None = None

    @property
    def id(self) -> str:
        """The id of the node."""
        return self.entry.id

    def look(self) -> Standing:
        """Return what the node has accepted, and its copy."""
        return self._standing("GET", f"{wire.EPOCH_PATH}?look=1", {})

    def claim(self, claim: Claim) -> Standing:
        """Claim an epoch."""
        return self._standing("POST", wire.EPOCH_PATH, {wire.CLAIM_HEADER: encode_json(claim).decode("ascii")})

    def read(self, first: int) -> bytes:
        """Read blocks of the copy."""
        return self._ask("GET", f"{wire.JOURNAL_PATH}?from={first}", {})

    def read_snapshot(self, offset: int) -> bytes:
        """Read bytes of the copy's snapshot."""
        return self._ask("GET", f"{wire.SNAPSHOT_PATH}?offset={offset}", {})

    def list_parts(self, after: str, limit: int) -> Sequence[PartInfo]:
        """List parts."""
        try:
            return wire.decode_parts(self._ask("GET", wire.list_path(quote(after, safe=""), limit), {}))
        except StoragedError as problem:
            raise NodeGone(str(problem)) from problem

    def _standing(self, method: str, target: str, headers: dict[str, str]) -> Standing:
        try:
            return decode_standing(self._ask(method, target, headers))
        except StoragedError as problem:
            raise NodeGone(str(problem)) from problem

    def _connect(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self.trust)
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)

    def _greet(self, connection: http.client.HTTPConnection) -> None:
        """Prove the key to the node, and have it prove it: neither sends it."""
        front_nonce = os.urandom(proofs.NONCE_BYTES).hex()
        connection.request("GET", wire.PROOF_PATH, headers={wire.NONCE_HEADER: front_nonce})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise wire.parse_error(answer.status, answer.getheader(wire.ERROR_HEADER))
        given = wire.decode_proof(body)
        challenge = proofs.Challenge(front_nonce, given.nonce)
        key = proofs.check_node(self.keys, challenge, given.node, given.proofs)
        header = proofs.format_proof(key, challenge, self.id, "")
        connection.request("POST", wire.SESSION_PATH, headers={"Authorization": header, wire.NODE_HEADER: self.id})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise wire.parse_error(answer.status, answer.getheader(wire.ERROR_HEADER))

    def _ask(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        place = urlsplit(self.entry.url)
        connection = self._connect(place.scheme, place.hostname or "", place.port)
        try:
            self._greet(connection)
            connection.request(method, target, headers={wire.NODE_HEADER: self.id, **headers})
            answer = connection.getresponse()
            body = answer.read()
        except StoragedError as problem:
            raise NodeGone(f"{self.entry.url}: {problem}") from problem
        except OSError as problem:
            raise NodeGone(f"{self.entry.url}: {os_reason(problem)}") from problem
        except http.client.HTTPException as problem:
            raise NodeGone(f"{self.entry.url}: {type(problem).__name__}") from problem
        finally:
            connection.close()
        if answer.status != 200:
            raise NodeGone(str(wire.parse_error(answer.status, answer.getheader(wire.ERROR_HEADER))))
        return body


@click.command()
@registry_option
@key_option
@ca_option
@data_option
@click.option(
    "--accept-loss", is_flag=True, help="Take the best copy there is, though acknowledged changes may be missing."
)
@click.option("--lease-s", type=click.FloatRange(min=0), default=10.0, help="The setting lease_s of the old front.")
@pass_session
def recover(
    session: Session, registry: Path, key: Path, ca: Path | None, data: Path, accept_loss: bool, lease_s: float
) -> None:
    """Make the front's journal anew from its copies on the nodes, and take over from the old front.

    Run this on the machine of the new front, with the registry and the cluster key of the old one.  It claims the next
    epoch on the nodes: from then on they refuse all changes of the old front, if it still runs or comes back.  Then
    start a front on this data folder.  docs/takeover.md goes through it step by step.

    Exit code: 0 the folder is complete, 1 it is not made, and the message says what to do.
    """
    trust = read_trust(ca)
    keys = read_keys(key)
    nodes = [Node(entry, keys, trust) for entry in read_entries(registry) if str(entry.state) != "lost"]

    def say(sentence: str) -> None:
        if not session.as_json:
            click.echo(sentence, err=True)

    try:
        recovered = Recovery(nodes, data, OSFilesystem(), lambda: os.urandom(8).hex(), say).run(accept_loss=accept_loss)
    except RecoveryRefused as problem:
        raise NotRecovered(str(problem)) from problem
    except OSError as problem:
        raise NotRecovered(f"{problem.filename or data}: {os_reason(problem)}") from problem
    if recovered.plan.doubt:
        say(f"waiting {lease_s:g} s: an old front that still runs stops its changes by then")
        time.sleep(lease_s)
    report = describe(recovered, len(nodes))
    if session.as_json:
        session.show(report)
    else:
        click.echo(summarize(report, data))


def read_entries(registry: Path) -> tuple[NodeEntry, ...]:
    """Read a registry.

    :raise NotRecovered: it cannot be read.
    """
    try:
        return read_registry(str(registry), _read(registry))
    except RegistryInvalid as problem:
        raise NotRecovered(str(problem)) from problem


def read_trust(ca: Path | None) -> ssl.SSLContext:
    """Return a context that believes the authorities in a file; without a file, those that the system trusts.

    :raise NotRecovered: the file cannot be read, or has no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as problem:  # ssl.SSLError is one, too
        raise NotRecovered(f"{ca}: {problem.strerror or problem}") from problem


def read_keys(path: Path) -> ClusterKeys:
    """Read the cluster key, or the two that are valid.

    :raise NotRecovered: the file cannot be read, or holds none.
    """
    try:
        return ClusterKeys(parse_cluster_keys(_read(path)))
    except ValueError as problem:
        raise NotRecovered(f"{path}: {problem}") from problem


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise NotRecovered(f"{path}: {os_reason(problem)}") from problem
    except ValueError as problem:
        raise NotRecovered(f"{path}: it is not text") from problem


def describe(recovered: Recovered, nodes: int) -> dict[str, Any]:
    """Return the result as a JSON document."""
    plan = recovered.plan
    return {
        "cluster": recovered.cluster,
        "epoch": recovered.epoch,
        "front": recovered.front,
        "records": plan.copy.next - 1,
        "files": recovered.state.files,
        "bytes": recovered.state.bytes_stored,
        "source": plan.node,
        "copies": plan.roster.copies,
        "holders": list(plan.roster.holders),
        "seen": list(plan.seen),
        "accepted": recovered.answered,
        "nodes": nodes,
        "missing_from": plan.copy.next if plan.doubt else None,
        "doubt": plan.doubt,
    }


def summarize(report: dict[str, Any], data: Path) -> str:
    """Return the result in sentences."""
    lines = [
        f"{data} has the journal of cluster {report['cluster']}: {report['records']} records, {report['files']} files.",
        f"They come from node {report['source']}. {_tell_holders(report)}",
        f"{report['accepted']} of {report['nodes']} nodes have accepted epoch {report['epoch']} "
        f"of front {report['front']}.",
    ]
    if report["doubt"]:
        lines.append(
            f"Records from {report['missing_from']} on may have been acknowledged, and are not there: "
            f"{report['doubt']}."
        )
    lines.append(f"Start a front on it now: twistd splitd --data {json.dumps(str(data))} …")
    return "\n".join(lines)


def _tell_holders(report: dict[str, Any]) -> str:
    """Say how many copies there were, and which of them were read.

    A front that goes on with fewer copies than it wants has that written down by most nodes before it answers any
    change.  So a recovery knows that the nodes which it does not name here have nothing that counts.
    """
    holders, wanted = report["holders"], report["copies"]
    seen = f"{len(report['seen'])} of them could be read"
    if not holders:
        return f"The front wanted {wanted} copies, and had none when it ended."
    names = ", ".join(holders)
    if len(holders) < wanted:
        had = f"had gone on with {len(holders)}, on {names}, before it ended"
        return f"The front wanted {wanted} copies, and {had}; {seen}."
    return f"There were {len(holders)} copies, on {names}; {seen}."
