"""The part store of a node that was declared lost: nothing is asked of the node, whatever is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from storaged.parts.client.journal import JournalLink
from storaged.parts.errors import NodeUnavailable
from storaged.parts.interfaces import IJournalHolder, IPartReader, IPartWriter, IRemoteStore
from storaged.parts.journals import Claim, Standing
from storaged.parts.values import NodeInfo, PartInfo, RottenPart, Scrub
from storaged.system.ranges import Span


@implementer(IRemoteStore, IJournalHolder)
class LostStore:
    """A store of which each call fails at once with `NodeUnavailable`; one for several parts, with one for each part.

    :param node_id: the node.
    """

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id

    def _fail(self) -> Deferred[Any]:
        return execute(self._refuse)

    def _refuse(self) -> NoReturn:
        raise self._problem()

    def _problem(self) -> NodeUnavailable:
        return NodeUnavailable("it was declared lost").on(self._node_id)

    def create(self, part_id: str, stored_size: int | None) -> Deferred[IPartWriter]:  # noqa: ARG002 - the interface's
        """Fail."""
        return self._fail()

    def open(self, part_id: str, span: Span | None) -> Deferred[IPartReader]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def stat(self, part_id: str) -> Deferred[PartInfo]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def remove(self, part_id: str) -> Deferred[bool]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def trash(self, part_id: str) -> Deferred[bool]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def list_parts(self, after: str, limit: int) -> Deferred[list[PartInfo]]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def info(self) -> Deferred[NodeInfo]:
        """Fail."""
        return self._fail()

    def put_all(self, parts: Sequence[tuple[str, bytes]]) -> Deferred[list[Any]]:
        """Return a failure for each part."""
        return succeed([self._problem() for _ in parts])

    def get_all(self, part_ids: Sequence[str]) -> Deferred[list[Any]]:
        """Return a failure for each part."""
        return succeed([self._problem() for _ in part_ids])

    def remove_all(self, part_ids: Sequence[str]) -> Deferred[list[Any]]:
        """Return a failure for each part."""
        return succeed([self._problem() for _ in part_ids])

    def look_all(self, part_ids: Sequence[str]) -> Deferred[list[Any]]:
        """Return a failure for each part."""
        return succeed([self._problem() for _ in part_ids])

    def rotten(self, after: str, limit: int) -> Deferred[list[RottenPart]]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def pause_scrub(self, *, paused: bool) -> Deferred[Scrub]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def claim(self, claim: Claim) -> Deferred[Standing]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def connect_journal(self, link: JournalLink) -> Deferred[None]:  # noqa: ARG002
        """Fail."""
        return self._fail()

    def retire(self) -> None:
        """Do nothing: there is no connection."""

    def end_waits(self, since: float, problem: NodeUnavailable) -> None:
        """Do nothing: nothing waits."""
