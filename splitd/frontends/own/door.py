"""The collaborators of keys and tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from splitd.access.grants import Principal
from splitd.access.own import OwnCredentials
from storaged.system.clocks import WallClock

API = "/.splitd/api/keys"
"""Where keys and tokens are made, listed and taken back."""


@attrs.frozen
class OwnDoor:
    """What keys and tokens need from the rest of the front.

    :param own: keeps them.
    :param keep: notes by what somebody may do what they make here; see `Identities.keep`.
    :param has_s3: whether keys are good for something here.
    :param clock: schedules calls.
    :param wall: tells what time it is.
    :param base: what all URLs begin with.
    """

    own: OwnCredentials
    keep: Callable[[Principal], Awaitable[bool]]
    has_s3: bool
    clock: IReactorTime
    wall: WallClock
    base: str = ""
