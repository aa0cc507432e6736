"""The journal as holders see it: its numbers, its epochs, its newest lines and its files."""

from __future__ import annotations

import attrs

from splitd.takeover.history import History
from splitd.takeover.recent import Recent
from storaged.system.interfaces import IFilesystem
from storaged.system.parallel import InThread


@attrs.define
class Tail:
    """The journal of a front that runs.

    :param folder: the journal's folder.
    :param in_thread: makes a blocking call.
    :param history: the epochs of its records; the last one is the front's.
    :param run: the id of this process.
    :param next: the number after that of the last record that may be sent to holders.
    :param written: all records before this number are in the files.
    :param durable: all records before this number are durable in the files.
    :param recent: the newest lines.
    """

    folder: str
    filesystem: IFilesystem
    in_thread: InThread
    history: History
    run: str
    next: int
    written: int
    durable: int
    recent: Recent = attrs.Factory(Recent)
