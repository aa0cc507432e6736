"""The text of a file of cluster keys.  Pure."""

from __future__ import annotations

_LEAST = 16


def parse_cluster_keys(text: str) -> tuple[str, ...]:
    """Read a cluster key, or two keys, each on a line, while the key is being changed.

    :return: the keys; the first one is preferred.
    :raise ValueError: the text is not one or two keys that can be sent in a header; the message does not tell them.
    """
    keys = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not 1 <= len(keys) <= 2 or not all(map(_is_key, keys)):
        raise ValueError(
            f"the cluster key should be one line of at least {_LEAST} printable characters, no spaces; a second line "
            "may hold another valid key"
        )
    return keys


def _is_key(key: str) -> bool:
    return len(key) >= _LEAST and key.isascii() and key.isprintable() and " " not in key
