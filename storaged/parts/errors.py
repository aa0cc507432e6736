"""What can go wrong with parts and nodes.

    StoragedError
    ├── PartError               one part is the matter
    │   ├── PartMissing         no such part here
    │   ├── PartExists          a part of this id is here already
    │   ├── BadPart             the bytes sent are not one whole, good part; nothing was kept
    │   └── PartDamaged         the bytes stored are not what was written
    ├── BadRequest              a request that the part protocol does not know
    ├── BadSpan                 a span that does not lie inside the part
    ├── AccessDenied            the cluster key is missing or wrong
    ├── WrongNode               another node, or another cluster's node, answered
    ├── NoSpace                 the node has no room for the part
    └── NodeUnavailable         the node cannot be reached, or broke off

`storaged.parts.wire` maps each to its HTTP status and back; nothing else here knows HTTP.
"""


class StoragedError(Exception):
    """The root of everything storaged and its client raise on purpose."""


class PartError(StoragedError):
    """Something is the matter with one part."""


class PartMissing(PartError):
    """There is no such part on this node."""


class PartExists(PartError):
    """A part of this id is there already; it was left as it is."""


class BadPart(PartError):
    """The bytes sent do not make one whole, good part; nothing of them was kept."""


class PartDamaged(PartError):
    """The bytes stored are not the bytes that were written; they must not be used."""


class BadRequest(StoragedError):
    """The request is not one the part protocol knows."""


class BadSpan(StoragedError):
    """The span asked for does not lie inside the part."""


class AccessDenied(StoragedError):
    """The cluster key is missing or wrong."""


class WrongNode(StoragedError):
    """The one that answers is not the node asked for, or belongs to another cluster."""


class NoSpace(StoragedError):
    """The node has no room for the part; nothing of it was kept."""


class NodeUnavailable(StoragedError):
    """The node cannot be reached, or broke off in the middle."""
