"""A node at the other end of a connection, as a part store: `store.RemotePartStore`."""

from storaged.parts.client.store import RemotePartStore

__all__ = ["RemotePartStore"]
