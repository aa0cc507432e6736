"""A node at the other end of a connection: as a part store, `RemotePartStore`, and before it is one, `look_first`."""

from storaged.parts.client.first_look import look_first
from storaged.parts.client.store import RemotePartStore

__all__ = ["RemotePartStore", "look_first"]
