"""What can go wrong with files.

    SplitdError
    ├── NotFound                no file or collection of this name
    ├── ParentMissing           the collection the name lies in is missing
    ├── NameTaken               something of this name is there that cannot be replaced
    ├── NotAFile                the name is a collection's, and a file is needed
    ├── NotACollection          the name is a file's, and a collection is needed
    ├── BadName                 no file or collection can have this name
    ├── Entangled               a tree cannot be moved or copied onto itself, into itself, or onto what it lies in
    ├── PreconditionFailed      the condition the client set does not hold
    ├── Protected               locks are in the way
    │   ├── Locked              what they protect should be changed, and their tokens were not sent along
    │   └── LockConflict        they do not go with the one that is wanted
    ├── LockUnknown             there is no such lock, or it does not cover what it was named for
    ├── TooManyLocks            a path has as many locks as it can have
    ├── TooManyNames            a copy would make more names than the catalog can keep
    ├── PropertiesTooLarge      a file or collection cannot keep so many properties, or so long ones
    ├── UploadFailed            an upload did not end well; nothing of it is visible
    │   ├── LengthMismatch      the client sent more or fewer bytes than it announced
    │   └── UploadAborted       it was given up: the client left, or the server stops
    ├── NotEnoughNodes          too few nodes can take a part now
    │   └── NotEnoughSpace      they could, had they room
    ├── FileUnavailable         a node that holds a part of the file cannot be read now
    ├── FileDamaged             bytes of the file are wrong and cannot be rebuilt
    ├── CatalogReadOnly         the journal failed; nothing can be changed until a restart
    ├── MoveRefused             a part cannot be moved as it was asked
    │   └── RecentlyRemoved     the node had it removed a moment ago, and does not take it yet
    ├── SweepUnderWay           another sweep has not ended yet
    ├── RebalanceUnderWay       another rebalance has not ended yet
    ├── NodeRefused             a server cannot become a node
    ├── RegistryRefused         a registry cannot take the place of the running one
    ├── JournalDamaged          the journal is not what was written; splitd does not start
    └── ConfigError             a configuration file or registry says what it cannot mean

Each front door has one table from these to its own statuses; nothing below it knows HTTP.
"""


class SplitdError(Exception):
    """The root of everything splitd raises on purpose."""


class NotFound(SplitdError):
    """There is no file or collection of this name."""


class ParentMissing(SplitdError):
    """The collection that the name should lie in is not there, or is a file."""


class NameTaken(SplitdError):
    """Something of this name is there already and is not replaced."""


class NotAFile(SplitdError):
    """The name is a collection's."""


class NotACollection(SplitdError):
    """The name is a file's."""


class BadName(SplitdError):
    """No file or collection can have this name."""


class PreconditionFailed(SplitdError):
    """The condition under which the client wanted this does not hold."""


class Entangled(SplitdError):
    """The source and the target of a move or a copy are the same, or one lies inside the other."""


class Protected(SplitdError):
    """Locks are in the way.

    :param paths: what they were taken on.
    """

    def __init__(self, message: str, paths: tuple[str, ...]) -> None:
        super().__init__(message)
        self.paths = paths


class Locked(Protected):
    """Locks protect what should be changed, and none of their tokens was sent along."""


class LockConflict(Protected):
    """Locks that are there already do not go with the one that is wanted."""


class LockUnknown(SplitdError):
    """There is no such lock any more, or it does not cover what it was named for."""


class TooManyLocks(SplitdError):
    """As many locks as there may be protect the path, or something below it."""


class TooManyNames(SplitdError):
    """A copy would make more names than the memory should hold."""


class PropertiesTooLarge(SplitdError):
    """The properties of one file or collection would take too much memory."""


class UploadFailed(SplitdError):
    """An upload did not end well.  The version before it, if any, is untouched."""


class LengthMismatch(UploadFailed):
    """The client sent more or fewer bytes than it announced."""


class UploadAborted(UploadFailed):
    """The upload was given up before its end."""


class NotEnoughNodes(SplitdError):
    """Fewer nodes than the layout needs can take a part now."""


class NotEnoughSpace(NotEnoughNodes):
    """Fewer nodes than the layout needs have room for a part."""


class FileUnavailable(SplitdError):
    """A node that holds a part of the file cannot be read now."""


class FileDamaged(SplitdError):
    """Stored bytes of the file are wrong.  They were not given out."""


class CatalogReadOnly(SplitdError):
    """Writing the journal failed once: nothing is changed any more until splitd was started again."""


class MoveRefused(SplitdError):
    """The part is not of the file any more, or a copy of it cannot lie where it should go."""


class RecentlyRemoved(MoveRefused):
    """A node takes no part that was removed from it a moment ago: it may be one that came late."""


class NodeRefused(SplitdError):
    """The server that answers is not the node it should be, or belongs to somebody else."""


class RegistryRefused(SplitdError):
    """The registry cannot be used as it is; the running one stays.  The message names file and line."""


class RebalanceUnderWay(SplitdError):
    """Another rebalance has not ended yet."""


class SweepUnderWay(SplitdError):
    """Another sweep has not ended yet."""


class JournalDamaged(SplitdError):
    """The journal has damage that a crash does not explain.  The message names file and line."""


class ConfigError(SplitdError):
    """A configuration file or registry cannot be used as it is.  The message names file, line and key."""
