"""The errors of parts and nodes.

    StoragedError
    ├── PartError               an error of one part
    │   ├── PartMissing         no part of this node has this id
    │   ├── PartExists          a part of this id exists already
    │   ├── BadPart             the bytes sent are not one whole, valid part; nothing was kept
    │   └── PartDamaged         the stored bytes are not those that were written
    ├── BadRequest              a request that the part protocol does not know
    ├── BadSpan                 a span that does not lie inside the part
    ├── AccessDenied            the cluster key is missing or wrong
    ├── WrongNode               a different node, or a node of a different cluster, answered
    ├── TakenOver               a front with a higher epoch has taken over from the one that asks
    ├── NoSpace                 the node has no room for the part
    ├── NodeUnavailable         the node cannot be reached, or failed before its answer was complete
    └── NotAsked                the node was not asked: the asking process lacks file descriptors or memory

`storaged.parts.wire` maps each to its HTTP status and back, except `NotAsked`, which is never sent; nothing else here
knows HTTP.

A message names the part that it is about, and never the node.  The client that asked the node adds its id with `on`.
"""

from typing import Self


class StoragedError(Exception):
    """The base of all errors that storaged and its client raise on purpose.

    :ivar node: the id of the node that the error is about; empty until `on` has set it.
    """

    node = ""

    @property
    def reason(self) -> str:
        """The message without the node, for reports that show the node's id beside it."""
        return super().__str__()

    def on(self, node: str) -> Self:
        """Add the id of the node to the message, unless it has one.

        :return: this error.
        """
        self.node = self.node or node
        return self

    def __str__(self) -> str:
        return f"node {self.node}: {self.reason}" if self.node else self.reason


class PartError(StoragedError):
    """An error of one part."""


class PartMissing(PartError):
    """No part of this node has this id."""


class PartExists(PartError):
    """A part of this id exists already; it was not changed."""


class BadPart(PartError):
    """The bytes sent are not one whole, valid part; none of them was kept."""


class PartDamaged(PartError):
    """The stored bytes are not those that were written; they must not be used."""


class BadRequest(StoragedError):
    """The part protocol does not know this request."""


class BadSpan(StoragedError):
    """The requested span does not lie inside the part."""


class AccessDenied(StoragedError):
    """The cluster key is missing or wrong."""


class WrongNode(StoragedError):
    """The server that answers is not the requested node, or belongs to a different cluster."""


class TakenOver(StoragedError):
    """Another front has taken over with a higher epoch: the node refuses all changes of the one that asks, for good."""


class NoSpace(StoragedError):
    """The node has no room for the part; nothing of it was kept."""


class NodeUnavailable(StoragedError):
    """The node cannot be reached, or failed before its answer was complete."""


class NotAsked(StoragedError):
    """The process that should ask the node lacks file descriptors or memory; the node is not at fault."""
