"""The file of the only key for S3 of a store without users: its id and its secret, on a line each.  Pure."""

from __future__ import annotations


def parse_key_file(text: str) -> tuple[str, str]:
    """Return the id and the secret.

    :raise ValueError: it holds something else.
    """
    words = text.split()
    if len(words) != 2 or not all(word.isascii() and word.isprintable() for word in words):
        raise ValueError("it should hold an access key and a secret key, on a line each")
    return words[0], words[1]


def format_key_file(access_key: str, secret: str) -> str:
    """Return the content of the file of the only key."""
    return f"{access_key}\n{secret}\n"
