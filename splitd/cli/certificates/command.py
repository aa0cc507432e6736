"""splitctl tls: makes certificates for a try, and for the traffic between the front and its nodes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from splitd.cli.certificates.making import Pair, make_authority, make_self_signed, make_server, read_pair, write_secret
from splitd.cli.errors import CommandFailed
from splitd.cli.recover import read_entries
from splitd.cli.session import Session, pass_session
from splitd.model.nodes import LOST
from storaged.system.origin import parse_origin
from storaged.system.os_errors import os_reason

_HERE = ("localhost", "127.0.0.1", "::1")
_AUTHORITY_DAYS = 3650
_SOON = timedelta(days=30)
_DAYS = click.IntRange(1, _AUTHORITY_DAYS)
_FOLDER = click.Path(file_okay=False, path_type=Path)


class NotMade(CommandFailed):
    """No certificate was made; the message says why."""


@click.group()
def tls() -> None:
    """Make certificates.

    For names that browsers should trust, use those of a public authority: docs/tls.md says how.
    """


@tls.command("self-signed")
@click.option("--dir", "folder", type=_FOLDER, default="tls", show_default=True, help="The folder for the file.")
@click.option("--name", "names", multiple=True, help="A name or address of the front.  [default: those of this host]")
@click.option("--days", type=_DAYS, default=365, show_default=True, help="For how many days it is valid.")
@pass_session
def self_signed(session: Session, folder: Path, names: Sequence[str], days: int) -> None:
    """Make a self-signed certificate, to try TLS.

    No program trusts it by itself.  A running front that has the folder as an endpoint uses the new certificate at
    once.
    """
    names = names or list(dict.fromkeys([*_HERE, socket.gethostname()]))
    file = folder / "self-signed.pem"
    try:
        pair = make_self_signed(names, datetime.now(UTC), days)
        _write(file, pair.pem())
    except ValueError as problem:
        raise NotMade(f"{', '.join(names)}: {problem}") from problem
    if session.as_json:
        session.show({"file": str(file), "names": list(names)})
        return
    click.echo(
        f"{file} is valid for {', '.join(names)}, for {days} days.  Try:\n\n"
        f"  twistd -n splitd … --listen-tls tls:{folder.absolute()}:8443\n"
        f"  curl --cacert {file} https://{names[0]}:8443/"
    )


@tls.command()
@click.option(
    "--dir",
    "folder",
    type=_FOLDER,
    default="tls-cluster",
    show_default=True,
    help="The folder for authority and nodes.",
)
@click.option(
    "--registry",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Make certificates for all nodes of this registry, for the hosts of their URLs.",
)
@click.option(
    "--node", "nodes", multiple=True, metavar="ID=HOST[,HOST…]", help="A node, and the names and addresses of its host."
)
@click.option("--days", type=_DAYS, default=730, show_default=True, help="For how many days the nodes' are valid.")
@click.option("--renew", is_flag=True, help="Make all of them anew, also those that are valid for another month.")
@pass_session
def cluster(
    session: Session, folder: Path, registry: Path | None, nodes: Sequence[str], days: int, renew: bool
) -> None:
    """Make an authority of the cluster's own, and a certificate for each node.

    \b
    DIR/ca.pem           for the front: node_ca: DIR/ca.pem
    DIR/authority.pem    the authority with its key: keep it where no daemon runs
    DIR/ID/node.pem      for node ID: listen: tls:DIR/ID:8090

    Run it again for more nodes, or to renew; nodes take a new file at once.  Afterwards change the URLs in the registry
    to https.
    """  # noqa: D301 - click's mark for lines to keep
    hosts = _hosts_of(registry) if registry is not None else {}
    hosts |= dict(map(_parse_node, nodes))
    if not hosts:
        raise click.UsageError("name the nodes: --registry FILE, or --node ID=HOST")
    now = datetime.now(UTC)
    made = []
    try:
        authority = _open_authority(folder, now)
        for node, names in hosts.items():
            file = folder / node / "node.pem"
            if renew or not _still_good(file, names, authority, now):
                _write(file, make_server(authority, names, now, days).pem())
                made.append(node)
    except ValueError as problem:
        raise NotMade(f"{folder}: {problem}") from problem
    if session.as_json:
        session.show({"ca": str(folder / "ca.pem"), "nodes": sorted(hosts), "made": sorted(made)})
        return
    for node in sorted(hosts):
        state = "is new" if node in made else "stays"
        click.echo(f"{folder / node / 'node.pem'} {state}: {', '.join(hosts[node])}")
    click.echo(f"The front trusts them by: node_ca: {folder.absolute() / 'ca.pem'}")


def _open_authority(folder: Path, now: datetime) -> Pair:
    file = folder / "authority.pem"
    if file.exists():
        authority = read_pair(file)
    else:
        authority = make_authority("splitd cluster", now, _AUTHORITY_DAYS)
        _write(file, authority.pem())
    _write(folder / "ca.pem", authority.certificate.public_bytes(Encoding.PEM))
    (folder / "ca.pem").chmod(0o644)
    return authority


def _still_good(file: Path, names: Sequence[str], authority: Pair, now: datetime) -> bool:
    try:
        found = read_pair(file).certificate
        found.verify_directly_issued_by(authority.certificate)
        kept = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # it is missing or damaged, or of another authority: in any case a new one is needed
        return False
    valid_for = {*kept.get_values_for_type(x509.DNSName), *map(str, kept.get_values_for_type(x509.IPAddress))}
    return valid_for >= set(names) and found.not_valid_after_utc - now > _SOON


def _hosts_of(registry: Path) -> dict[str, list[str]]:
    entries = [entry for entry in read_entries(registry) if entry.state != LOST]
    return {entry.id: [parse_origin(entry.url).host.partition("%")[0]] for entry in entries}


def _parse_node(text: str) -> tuple[str, list[str]]:
    node, mark, hosts = text.partition("=")
    if not node or not mark or not hosts or "/" in node or node.startswith("."):
        raise click.UsageError(f"--node {text}: should be ID=HOST, or ID=HOST,HOST")
    return node, hosts.split(",")


def _write(file: Path, data: bytes) -> None:
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_secret(file, data)
    except OSError as problem:
        raise NotMade(f"{problem.filename or file}: {os_reason(problem)}") from problem
