"""The rules for paths.  Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from splitd.model.branch import MAX_SEGMENT

MAX_PATH = 4096
"""The most bytes of a path."""

_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[ -.0-~]+)+\Z")
"""A path of printable ASCII characters, as nearly all are; it may be too long."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=256)  # a path is checked at each of the steps that a change of it takes
def fault_of(path: str) -> str:
    """Say why a text is not a path; empty if it is one.  See `splitd.model.tree.check_path`."""
    if len(path) <= MAX_SEGMENT and _PLAIN.match(path):
        return ""
    try:
        size = len(path.encode())
    except UnicodeEncodeError as problem:
        return f"a lone surrogate at character {problem.start}"
    control = _CONTROL.search(path)
    if size > MAX_PATH:
        return f"{size} bytes, {MAX_PATH} are allowed"
    if control is not None:
        return f"the control character U+{ord(control[0]):04X} at character {control.start()}"
    if not path.startswith("/"):
        return "does not begin with a slash"
    return "" if path == "/" else _segment_fault(path)


def _segment_fault(path: str) -> str:
    for segment in path.split("/")[1:]:
        if segment in ("", ".", ".."):
            return f'a segment that is "{segment}"' if segment else "an empty segment, or a slash at the end"
        size = len(segment.encode())
        if size > MAX_SEGMENT:
            return f"a segment of {size} bytes, {MAX_SEGMENT} are allowed"
    return ""
