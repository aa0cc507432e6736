"""The errors of the front.

    SplitdError
    ├── NotFound                no file or collection has this name
    ├── ParentMissing           the collection that the name lies in does not exist
    ├── NameTaken               something has this name already and is not replaced
    ├── NotAFile                a collection has this name, and a file is needed
    ├── NotACollection          a file has this name, and a collection is needed
    ├── NotEmpty                something is in the collection, and an empty one is needed
    ├── BadName                 no file or collection can have this name
    ├── Forbidden               the user may see this, and may not do it
    │   └── AclsDisabled        a bucket of S3 does not allow ACLs
    ├── LoginRequired           somebody who has not logged in may not do it
    │   └── BadCredentials      the credentials are not good
    ├── TooManyLogins           too many logins have failed, or are in progress; a later one may succeed
    ├── LoginUnavailable        the credentials cannot be judged now
    ├── Entangled               a tree cannot be moved or copied onto itself, into itself, or onto what it lies in
    ├── PreconditionFailed      the client's condition does not hold
    ├── Protected               locks forbid the change
    │   ├── Locked              the change needs the token of a lock, and the client did not send it
    │   └── LockConflict        the requested lock conflicts with existing ones
    ├── LockUnknown             there is no such lock, or it does not cover the path
    ├── TooManyLocks            a path has the most locks that it can have
    ├── TooManyNames            a copy would make more names than the catalog can keep
    ├── PropertiesTooLarge      the properties of a file or collection would take too many bytes
    ├── DocumentChanged         a small document is not the expected revision
    ├── TooManyDocuments        a user has as many small documents of a kind as they may have
    ├── UploadFailed            an upload failed; nothing of it is visible
    │   ├── LengthMismatch      the client sent more or fewer bytes than it announced
    │   └── UploadAborted       the upload was aborted, or its collection asks for another layout by now
    ├── UploadUnknown           no upload with this id can be continued at this path
    ├── UploadTooLarge          a file would have more segments or bytes than it can have
    ├── SegmentsRefused         a file cannot be made of these segments of its upload
    ├── NotEnoughNodes          too few nodes can take a part now
    │   └── NotEnoughSpace      too few of them have room for a part
    ├── FileUnavailable         a node that holds a part of the file cannot be read now
    ├── FileDamaged             bytes of the file are wrong and cannot be rebuilt
    │   └── FileLost            more parts of the file are gone for good than it has parity
    ├── Overloaded              the server lacks file descriptors or memory of its own
    │   └── Busy                it works on as many requests as it may
    │       └── TooManyRequests the client has as many requests or uploads in progress as it may have
    ├── FileTooLarge            the file has more bytes than a file may have
    ├── QuotaExceeded           more would be stored than a quota allows
    ├── CatalogReadOnly         the journal failed; nothing can be changed until a restart
    │   └── CatalogSuspended    too few nodes confirm this front, or have a copy of its journal; that may pass
    │       └── CatalogAway     the database or the process that keeps the catalog does not answer; that may pass
    ├── CatalogOutdated         the database has another schema than this program needs, or is being copied
    ├── MoveRefused             a part cannot be moved to this node now
    │   └── RecentlyRemoved     the part was removed from the node so recently that the node does not take it yet
    ├── DoneElsewhere           another front that shares the catalog has the lease of this work
    ├── SweepInterrupted        an operator has ended the sweep
    ├── SweepUnderWay           another sweep has not ended yet
    ├── RebalanceUnderWay       another rebalance has not ended yet
    ├── ChecksUnderWay          as many checks as may run at once have not ended yet
    ├── LayoutRefused           the cluster has too few nodes for a layout, or a file cannot have it now
    ├── RelayoutUnderWay        stored files are being given other layouts already
    ├── NodeRefused             a server cannot become a node
    ├── RegistryRefused         a registry cannot replace the running one
    ├── FilesRefused            files that were read again cannot be used
    ├── UsersInvalid            a file of users cannot be used
    ├── UsersRefused            a file of users cannot replace the running one
    ├── LimitsInvalid           a file of limits cannot be used
    ├── RecoveryRefused         a journal cannot be made anew from its copies
    ├── JournalDamaged          the journal is damaged; splitd does not start
    │   └── BackupDamaged       a backup of a journal is damaged, or not whole
    ├── JournalUnfinished       the front's journal is being made, or that was interrupted; splitd does not start
    ├── BackupUnderWay          another backup of the journal has not ended yet
    └── ConfigError             a configuration file or registry cannot be used

Each front door has one table that maps these errors to its own statuses; no code below it knows HTTP.
"""


class SplitdError(Exception):
    """The base class of all errors that splitd raises on purpose."""


class NotFound(SplitdError):
    """No file or collection has this name."""


class ParentMissing(SplitdError):
    """The collection that the name lies in does not exist, or is a file."""


class NameTaken(SplitdError):
    """A file or collection has this name already and is not replaced."""


class NotAFile(SplitdError):
    """A collection has this name."""


class NotACollection(SplitdError):
    """A file has this name."""


class NotEmpty(SplitdError):
    """Something is in the collection, and an empty one is needed."""


class BadName(SplitdError):
    """No file or collection can have this name."""


class Forbidden(SplitdError):
    """The user may see this, and may not do it."""


class AclsDisabled(Forbidden):
    """A bucket of S3 does not allow ACLs, whoever asks."""


class LoginRequired(SplitdError):
    """Somebody who has not logged in may not do this; a user might."""


class BadCredentials(LoginRequired):
    """The name, the password or the token is not good; which of them is not told."""


class TooManyLogins(SplitdError):
    """Too many logins have failed, or are in progress.  The credentials were not looked at.

    :param retry_after_s: after how many seconds to try again.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LoginUnavailable(SplitdError):
    """The credentials cannot be judged now, because the issuer of the token does not answer.

    :param retry_after_s: after how many seconds to try again.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PreconditionFailed(SplitdError):
    """The condition that the client sent does not hold."""


class Entangled(SplitdError):
    """The source and the target of a move or a copy are the same, or one lies inside the other."""


class Protected(SplitdError):
    """Locks forbid the change.

    :param paths: the paths that the locks were taken on.
    """

    def __init__(self, message: str, paths: tuple[str, ...]) -> None:
        super().__init__(message)
        self.paths = paths


class Locked(Protected):
    """Locks protect the resource that should be changed, and the client sent none of their tokens."""


class LockConflict(Protected):
    """The requested lock conflicts with existing ones."""


class LockUnknown(SplitdError):
    """The lock does not exist any more, or does not cover the path it was used for."""


class TooManyLocks(SplitdError):
    """The path, or one below it, is protected by the most locks that it can have."""


class TooManyNames(SplitdError):
    """A copy would make more names than may be held in memory."""


class PropertiesTooLarge(SplitdError):
    """The properties of one file or collection would take too much memory."""


class DocumentChanged(SplitdError):
    """There is another revision of a small document than the expected one, or none.  Nothing has changed."""


class TooManyDocuments(SplitdError):
    """A user has as many small documents of a kind as they may have.  Nothing has changed."""


class UploadUnknown(SplitdError):
    """No upload with this id can be continued at this path: it was completed or aborted, or never begun."""


class UploadTooLarge(SplitdError):
    """A file would have more segments, or more bytes, than a file with segments can have."""


class SegmentsRefused(SplitdError):
    """A file cannot be made of these segments: the upload does not have one of them, or their order is wrong."""


class UploadFailed(SplitdError):
    """An upload failed.  The version before it, if any, is untouched."""


class LengthMismatch(UploadFailed):
    """The client sent more or fewer bytes than it announced."""


class UploadAborted(UploadFailed):
    """The upload was aborted before its end: its client left, the server stops, or the catalog has lost it.  Or its
    file was cut by a layout that was only assumed, and files at its path get another one by now: see `Commit.asked`.
    """


class NotEnoughNodes(SplitdError):
    """Fewer nodes than the layout needs can take a part now.

    :param others: why each node that has not been tried cannot take a part, a clause each.
    """

    def __init__(self, message: str, others: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.others = others


class NotEnoughSpace(NotEnoughNodes):
    """Fewer nodes than the layout needs have room for a part."""


class FileUnavailable(SplitdError):
    """A node that holds a part of the file cannot be read now."""


class FileDamaged(SplitdError):
    """Stored bytes of the file are wrong.  They were not sent to the client."""


class FileLost(FileDamaged):
    """More parts of the file are gone for good than it has parity: it will never be read again."""


class Overloaded(SplitdError):
    """The server lacks file descriptors or memory to ask the nodes; no node is at fault.

    :ivar retry_after_s: after how many seconds to try again.
    """

    retry_after_s = 5


class Busy(Overloaded):
    """The server works on as many requests as it may.  Nothing was begun."""

    retry_after_s = 1


class TooManyRequests(Busy):
    """The client has as many requests or uploads in progress as it may have.  Nothing was begun."""


class FileTooLarge(SplitdError):
    """The file has more bytes than a file may have.  Nothing was stored."""


TOO_LARGE = "a file may have at most {} bytes"


class QuotaExceeded(SplitdError):
    """More bytes or files would be stored than a quota allows, which the message names.  Nothing has changed."""


class CatalogReadOnly(SplitdError):
    """Writing the journal failed once: nothing can be changed until splitd is restarted."""


class CatalogSuspended(CatalogReadOnly):
    """Too few nodes confirm this front, or have a copy of its journal: nothing can be changed until more answer."""


class CatalogAway(CatalogSuspended):
    """The database or the process that keeps the catalog does not answer: nothing can be looked up or changed until it
    does.  A change that was on its way to it may have been made or not.

    :ivar retry_after_s: after how many seconds to try again.
    """

    retry_after_s = 2


class CatalogOutdated(SplitdError):
    """The database of the catalog has a schema that is older or newer than this program needs."""


class MoveRefused(SplitdError):
    """The part does not belong to the file any more, or the target node cannot take a copy of it."""


class RecentlyRemoved(MoveRefused):
    """A node refuses a part that was removed from it recently, because the request may be a late one."""


class LayoutRefused(SplitdError):
    """A layout has more parts than there are nodes that may take parts, or a file of which parts are missing shall have
    fewer of them.
    """


class RelayoutUnderWay(SplitdError):
    """Stored files are being given other layouts already."""


class NodeRefused(SplitdError):
    """The server that answers is not the expected node, or it belongs to another cluster."""


class FilesRefused(SplitdError):
    """Files that were read again, such as certificates, cannot be used.  What they held before stays in use."""


class UsersInvalid(SplitdError):
    """A file of users cannot be used; the message names file and line."""


class LimitsInvalid(SplitdError):
    """A file of limits cannot be used; the message names file and line."""


class UsersRefused(SplitdError):
    """A file of users cannot replace the running one, which stays."""


class RegistryRefused(SplitdError):
    """The registry cannot be used; the running one stays.  The message names file and line."""


class DoneElsewhere(SplitdError):
    """Another front that shares the catalog has the lease of this work."""


class RebalanceUnderWay(SplitdError):
    """Another rebalance has not ended yet."""


class ChecksUnderWay(SplitdError):
    """As many checks as may run at once have not ended yet."""


class SweepInterrupted(SplitdError):
    """An operator has ended the sweep.  What it has moved to the trash stays there."""


class SweepUnderWay(SplitdError):
    """Another sweep has not ended yet."""


class RecoveryRefused(SplitdError):
    """The journal cannot be made anew from its copies on the nodes; the message says why."""


class JournalDamaged(SplitdError):
    """The journal has damage that a crash cannot have caused.  The message names file and line."""


class BackupDamaged(JournalDamaged):
    """A backup of a journal is damaged, or not whole.  The message names file and line."""


class JournalUnfinished(SplitdError):
    """Another process makes a journal in the front's folder, or was interrupted.  The message names the command."""


class BackupUnderWay(SplitdError):
    """Another backup of the journal has not ended yet."""


class ConfigError(SplitdError):
    """A configuration file or registry cannot be used.  The message names file, line and key."""
