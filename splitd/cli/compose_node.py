"""splitctl compose-node: adds a storage server to a docker compose project."""

from __future__ import annotations

import re
from pathlib import Path

import click
import yaml

from splitd.cli.errors import CommandFailed
from splitd.cli.local.text import add_member, members
from splitd.cli.registry_editor import RegistryEditor
from splitd.cli.session import Session, pass_session
from splitd.cli.writing import read_text, replace_file

_BASE = "docker-compose.yml"
_OTHERS = ("docker-compose.ha.yml", "docker-compose.tls.yml")
"""Files of the project that may be used together with the two others, now or later."""
_OVERRIDE = "docker-compose.override.yml"
_REGISTRY = "config/nodes.yaml"
_EXAMPLE = "config/nodes.example.yaml"
_MODEL = "n1"
_STORAGED = "storaged"
_PORT = 8090
_HOST_NAME = re.compile(r"\A[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_HEAD = """\
# Storage servers besides those of docker-compose.yml.  docker compose reads this file by itself; change it as you like.
"""


def _read_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    if name is not None and not _HOST_NAME.match(name):
        raise click.BadParameter(f"{name!r} is not a name like n7: small letters, digits and hyphens")
    return name


def _read_disk(context: click.Context, parameter: click.Parameter, disk: str | None) -> str | None:  # noqa: ARG001
    if disk is not None and not re.match(r"\A/[^:\s]+\Z", disk):
        raise click.BadParameter(f"{disk!r} is not the whole path of a folder, without colons and spaces")
    return disk


@click.command()
@click.argument("name", callback=_read_name, required=False)
@click.option(
    "--disk",
    metavar="FOLDER",
    callback=_read_disk,
    help="A folder of the host for its parts, owned by user 10001.  [default: a volume]",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder of docker-compose.yml.  [default: this one]",
)
@click.option(
    "--registry-only",
    is_flag=True,
    help="Only make config/nodes.yaml if it is missing, and add the servers of docker-compose.yml that it lacks.",
)
@pass_session
def compose_node(session: Session, name: str | None, disk: str | None, project: Path, registry_only: bool) -> None:
    """Add a storage server to a docker compose project.

    NAME is added to docker-compose.override.yml and to config/nodes.yaml; everything else in these files stays.  Then
    start it with `docker compose up --detach --wait`.  The front reads the changed registry by itself, and uses the new
    server at once.  To run this command in a container: docker compose run --rm add-node NAME

    If config/nodes.yaml is missing, it is made first, as a copy of config/nodes.example.yaml.
    """
    if (name is None) != registry_only:
        raise click.UsageError("give a NAME, or --registry-only")
    base, override = project / _BASE, project / _OVERRIDE
    text = _text(base)
    _make_registry(project)
    registry = RegistryEditor(project / _REGISTRY)
    if name is None:
        registry.add([_entry(each) for each in _servers(text) if each not in registry.urls()])
        return
    _refuse_taken(project, members(text, "services"), name)
    url = str(_entry(name)["url"])
    if registry.urls().get(name, url) != url:
        raise CommandFailed(f"{registry.path}: {name} is there already, elsewhere: {registry.urls()[name]}")
    old = _text(override) if override.exists() else _HEAD
    new = _described(override, old, name, disk)
    if new != old:
        try:
            replace_file(override, new, like=override if override.exists() else base)
        except OSError as problem:
            raise CommandFailed(f"{override}: {problem.strerror}") from problem
    registry.add([_entry(name)])
    if session.as_json:
        session.show({"id": name, "url": url, "files": [str(override), str(registry.path)]})
    else:
        click.echo(f"{name} is in {_OVERRIDE} and {_REGISTRY}.  Start it: docker compose up --detach --wait")


def _entry(name: str) -> dict[str, str]:
    return {"id": name, "url": f"http://{name}:{_PORT}"}


def _refuse_taken(project: Path, known: set[str], name: str) -> None:
    """Refuse a name that something else has.

    :param known: the services of docker-compose.yml.
    :raise CommandFailed: a file of the project has it, or the service is missing that is the model.
    """
    base = project / _BASE
    if _MODEL not in known:
        raise CommandFailed(f"{base}: there is no service {_MODEL} that could be the model")
    if name in known:
        raise CommandFailed(f"{base}: {name} is there already")
    for other in (project / each for each in _OTHERS):
        if other.exists() and name in _named(other):
            raise CommandFailed(f"{other}: {name} is there already, and means something else")


def _named(path: Path) -> set[str]:
    """Return the names of the services and volumes in a compose file."""
    text = _text(path)
    return {each for section in ("services", "volumes") for each in members(text, section)}


def _servers(text: str) -> list[str]:
    """Return the names of the storage servers in a compose file."""
    services = yaml.safe_load(text)["services"]
    commands = {name: service.get("command") or [] for name, service in services.items()}
    return [name for name, command in commands.items() if command[:1] == [_STORAGED] and command[-1] == name]


def _make_registry(project: Path) -> None:
    registry, example = project / _REGISTRY, project / _EXAMPLE
    if registry.exists():
        return
    try:
        replace_file(registry, _text_of(example), like=example)
    except OSError as problem:
        raise CommandFailed(f"{registry}: {problem.strerror}") from problem


def _described(path: Path, text: str, name: str, disk: str | None) -> str:
    lines = [
        f"extends: {{file: {_BASE}, service: {_MODEL}}}",
        f"command: [storaged, --config, /config/storaged.yaml, --node, {name}]",
        f'volumes: ["{disk or name}:/data"]',
    ]
    try:
        text = add_member(text, "services", name, lines)
        return text if disk else add_member(text, "volumes", name, [])
    except ValueError as problem:
        described = ["services:", f"  {name}:", *(f"    {line}" for line in lines)]
        described += [] if disk else ["volumes:", f"  {name}:"]
        by_hand = "\n".join(described)
        raise CommandFailed(f"{path}: {problem}.  Write this into it yourself:\n\n{by_hand}") from problem


def _text(path: Path) -> str:
    """Return the text of a compose file.

    :raise CommandFailed: the file cannot be read, or is not a compose file.
    """
    text = _text_of(path)
    try:
        members(text, "services")
    except ValueError as problem:
        raise CommandFailed(f"{path}: {problem}") from problem
    return text


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as problem:
        raise CommandFailed(f"{path}: {problem.strerror}") from problem
    except ValueError as problem:
        raise CommandFailed(f"{path}: {problem}") from problem
