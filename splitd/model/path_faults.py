"""The rules for paths.  Pure."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATH = 4096
"""The most bytes of a path."""
MAX_SEGMENT = 255
"""The most bytes of a name that WebDAV can give."""
MAX_NAME = 1024
"""The most bytes of a name that there can be: a key of S3 has no more."""

OWN = "/.splitd"
"""What the server has for itself, in URLs and in the tree: no client makes, changes or sees anything there."""

_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[ -.0-~]+)+\Z")
"""A path of printable ASCII characters, as nearly all are; it may be too long."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_own(path: str) -> bool:
    """Whether a path leads to what the server has for itself."""
    return path.startswith(OWN) and path[len(OWN) : len(OWN) + 1] in {"", "/"}


def catalog_fault_of(path: str) -> str:
    """Say why no client can give a path to anything in the catalog; empty if one can.

    See `splitd.model.paths.check_catalog_path`.
    """
    return _kept_catalog_fault(path) if len(path) <= MAX_SEGMENT else _catalog_fault(path)


def _catalog_fault(path: str) -> str:
    if is_own(path):
        return f"{OWN} is what the server needs for itself"
    if len(path) <= MAX_SEGMENT and _PLAIN.match(path):
        return ""
    try:
        size = len(path.encode())
    except UnicodeEncodeError as problem:
        return f"a lone surrogate at character {problem.start}"
    if size > MAX_PATH:
        return f"{size} bytes, {MAX_PATH} are allowed"
    if not path.startswith("/"):
        return "does not begin with a slash"
    return _too_long(path, MAX_NAME) if size > MAX_NAME else ""


def fault_of(path: str) -> str:
    """Say why WebDAV cannot give a path; empty if it can.  See `splitd.model.paths.check_path`."""
    return _kept_fault(path) if len(path) <= MAX_SEGMENT else _fault(path)


def _fault(path: str) -> str:
    if len(path) <= MAX_SEGMENT and not is_own(path) and _PLAIN.match(path):
        return ""
    return catalog_fault_of(path) or shape_fault_of(path) or _too_long(path, MAX_SEGMENT)


# A path is checked at each of the steps that a change of it takes.  Who asks for paths chooses them, so none is kept
# that is long.
_kept_catalog_fault = lru_cache(maxsize=256)(_catalog_fault)
_kept_fault = lru_cache(maxsize=256)(_fault)


def shape_fault_of(path: str) -> str:
    """Say why a text cannot be the path in a URL, however long it may be; empty if it can."""
    control = _CONTROL.search(path)
    if control is not None:
        return f"the control character U+{ord(control[0]):04X} at character {control.start()}"
    if not path.startswith("/"):
        return "does not begin with a slash"
    for segment in path.split("/")[1:] if path != "/" else ():
        if segment in ("", ".", ".."):
            return f'a segment that is "{segment}"' if segment else "an empty segment, or a slash at the end"
    return ""


def _too_long(path: str, limit: int) -> str:
    for segment in path.split("/"):
        size = len(segment.encode())
        if size > limit:
            return f"a segment of {size} bytes, {limit} are allowed"
    return ""
