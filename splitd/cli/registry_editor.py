"""Adds nodes to the registry's file, or changes their state, and leaves everything else in it as it is."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from splitd.cli.errors import CommandFailed, ServerRefused
from splitd.cli.local.text import append_node, format_node, read_urls, write_state
from splitd.cli.server import Server
from splitd.cli.writing import locked_folder, read_text, replace_file, resolved

Entry = Mapping[str, str | float]
"""A node as it stands in the registry: `id`, `url`, and optionally other keys."""


class NotChanged(CommandFailed):
    """The file was not changed; the message says what to do."""


@attrs.frozen
class RegistryEditor:
    """The file of the registry that a front reads.

    :param path: the file.
    """

    path: Path = attrs.field(converter=resolved)

    def urls(self) -> dict[str, str]:
        """Return the URLs of the nodes, by their ids.

        :raise NotChanged: the file cannot be read.
        """
        return _urls(self.path, self._read())

    def add(self, entries: Sequence[Entry]) -> None:
        """Add nodes.  A node that is in the file already, with the same URL, is not added again.

        :raise NotChanged: the file cannot be read or changed.
        """
        with self._locked():
            self._add(entries)

    def join(self, entries: Sequence[Entry], admin: Server) -> dict[str, Any]:
        """Add nodes, and make the front read the file.

        If the front refuses the file, the old one is restored.  If this is interrupted, the next run finishes it.

        :return: what has changed, as the front reports it.
        :raise NotChanged: the file cannot be read or changed.
        :raise ServerRefused: the front refused the file.  The old file is restored, unless another program changed it
            meanwhile or restoring failed; the message says which.
        :raise CommandFailed: the front cannot be reached; the file has the change.
        """
        with self._locked():
            old, new = self._add(entries)
            changes = self._tell(old, new, admin)
        if new != old:
            # The front watches the file, and may have read it already when it was told to.
            added = [str(entry["id"]) for entry in entries]
            changes["added"] = [*changes["added"], *(node for node in added if node not in changes["added"])]
        return changes

    def set_state(self, node_id: str, state: str, admin: Server) -> dict[str, Any]:
        """Set the state of a node, and make the front read the file; all else is as for `join`."""
        advice = f"Write `state: {state}` into the entry of {node_id} yourself, then run `splitctl reload`"
        by_hand = f"it is as it was.  {advice}"
        with self._locked():
            old = self._read()
            try:
                new = write_state(old, node_id, state)
            except ValueError as problem:
                raise NotChanged(f"{self.path}: {problem}; {by_hand}") from problem
            if new != old:
                try:
                    replace_file(self.path, new)
                except OSError as problem:
                    raise NotChanged(f"{self.path}: {_why(problem)}; {by_hand}") from problem
            return self._tell(old, new, admin)

    def _tell(self, old: str, new: str, admin: Server) -> dict[str, Any]:
        try:
            return dict(admin.document("/reload", method="POST"))
        except ServerRefused as refusal:
            if new != old:
                self._put_back(old, new, refusal)
            raise ServerRefused(f"{refusal.message}; {self.path} is as it was", refusal.status) from refusal
        except CommandFailed as failure:
            reason = f"{failure.message}; {self.path} has the change: `splitctl reload` tells the front"
            raise type(failure)(reason) from failure

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other commands away."""
        with ExitStack() as stack:
            try:
                stack.enter_context(locked_folder(self.path.parent))
            except OSError as problem:
                raise NotChanged(f"{self.path.parent}: {problem.strerror}") from problem
            yield

    def _read(self) -> str:
        try:
            return read_text(self.path)
        except OSError as problem:
            raise NotChanged(f"{self.path}: {problem.strerror}") from problem
        except ValueError as problem:
            raise NotChanged(f"{self.path}: {problem}") from problem

    def _add(self, entries: Sequence[Entry]) -> tuple[str, str]:
        old = self._read()
        new = self._grown(old, entries)
        if new != old:
            try:
                replace_file(self.path, new)
            except OSError as problem:
                raise NotChanged(f"{self.path}: {_why(problem)}{_by_hand(entries)}") from problem
        return old, new

    def _grown(self, text: str, entries: Sequence[Entry]) -> str:
        there = _urls(self.path, text)
        for entry in entries:
            url = there.get(str(entry["id"]))
            if url is not None and url.rstrip("/") != str(entry["url"]).rstrip("/"):
                raise NotChanged(f"{self.path}: {entry['id']} stands there already, with the url {url}")
            if url is None:
                try:
                    text = append_node(text, entry)
                except ValueError as problem:
                    raise NotChanged(f"{self.path}: {problem}{_by_hand(entries)}") from problem
        return text

    def _put_back(self, old: str, new: str, refusal: ServerRefused) -> None:
        if self._read() != new:  # a change that another program made meanwhile is kept
            raise ServerRefused(f"{refusal.message}; {self.path} was changed meanwhile and stays so", refusal.status)
        try:
            replace_file(self.path, old)
        except OSError as problem:
            reason = f"the old {self.path} could not be put back: {problem.strerror}"
            raise ServerRefused(f"{refusal.message}; {reason}", refusal.status) from problem


def find_registry(given: Path | None, found: Mapping[str, Any], by_hand: str) -> RegistryEditor:
    """Find the registry that a front reads.

    :param given: the file that the user named; None for the one that the front names.
    :param found: the front's status.
    :param by_hand: what to do without this command, as a clause.
    :raise NotChanged: it is not on this machine.
    """
    path = Path(found["registry"]["path"]) if given is None else given
    advice = f"Run this on the front's machine, or name the file with --registry, or {by_hand}."
    if not path.exists():
        raise NotChanged(f"there is no {path} on this machine.  {advice}")
    file = RegistryEditor(path)
    unknown = [node["id"] for node in found["nodes"] if node["id"] not in file.urls()]
    if unknown:
        raise NotChanged(f"{path} is not what this front reads, it lacks {', '.join(unknown)}.  {advice}")
    return file


def _why(problem: OSError) -> str:
    if problem.errno == errno.EBUSY:
        return "it is a mount point of its own and cannot be replaced; better mount its folder"
    return str(problem.strerror)


def _by_hand(entries: Sequence[Entry]) -> str:
    lines = "".join(format_node(entry) for entry in entries)
    return f"\nIt is as it was.  Add these lines to it yourself, then run `splitctl reload`:\n\n{lines}"


def _urls(path: Path, text: str) -> dict[str, str]:
    try:
        return read_urls(text)
    except ValueError as problem:
        raise NotChanged(f"{path}: {problem}") from problem
