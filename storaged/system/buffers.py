"""Bytes that need not be copied to be passed on in pieces."""

from __future__ import annotations

from typing import TypeAlias

Piece: TypeAlias = bytes | memoryview
"""Bytes, or a view of some, which costs no copy but keeps all of them in memory."""
