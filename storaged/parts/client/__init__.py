"""A node at the other end of a connection: its store, `RemotePartStore`, and `look_first` for a server that is not yet
a node.
"""

from storaged.parts.client.first_look import look_first
from storaged.parts.client.store import RemotePartStore

__all__ = ["RemotePartStore", "look_first"]
