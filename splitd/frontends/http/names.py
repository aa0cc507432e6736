"""Names that a URL cannot say, or that clients would not take, and the escape by which they are shown.  Pure.

Every escape begins with `MARK`.  docs/names.md describes them.
"""

from __future__ import annotations

import re

from splitd.errors import BadName

MARK = "\u2426"
"""The symbol for substitute form two, which names hardly have."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PICTURE = re.compile(rf"{MARK}(.?)", re.DOTALL)
_PICTURES = {chr(0x2400 + code): chr(code) for code in range(0x20)} | {"\u2421": "\x7f"}
"""The control characters by their pictures."""
_SHOWN = {control: MARK + picture for picture, control in _PICTURES.items()}
_DOTS = {f"{MARK}{dots}{MARK * len(end)}": dots + end for dots in (".", "..") for end in ("", "/")}
_ODD = re.compile(rf"[\x00-\x1f\x7f{MARK}]|/\.{{0,2}}(?:/|\Z)")
"""A part of a path that is shown under an escape; the root, which is not, has one too."""
_ODD_NAME = re.compile(rf"[\x00-\x1f\x7f{MARK}]|\A\.{{0,2}}\Z|/\Z")


def show_name(name: str) -> str:
    """Return what a member is called in answers.

    :param name: its name, or its entry name: with a slash at its end for a collection beside a file of this name.
    """
    if _ODD_NAME.search(name) is None:
        return name
    plain = name.removesuffix("/")
    shown = _CONTROL.sub(lambda match: _SHOWN[match[0]], plain.replace(MARK, MARK + MARK))
    if plain in (".", ".."):
        shown = MARK + plain
    return shown + MARK if plain is not name else shown


def show_path(path: str) -> str:
    """Return what a path is called in answers."""
    if path == "/" or _ODD.search(path) is None:
        return path
    *folders, name = path.removesuffix("/").split("/")[1:]
    # A name that is empty needs its mark; other collections on the way are not mistaken for files.
    shown = [show_name(folder or "/") for folder in folders]
    return "/" + "/".join([*shown, show_name(name + "/" if path.endswith("/") else name)])


def read_name(shown: str) -> str:
    """Return the name that is shown so, with a slash at its end if it is shown as a collection's.

    :raise BadName: nothing is shown so.
    """
    if MARK not in shown:
        return shown
    if shown in _DOTS:
        return _DOTS[shown]
    return _PICTURE.sub(_read_escape, shown)


def _read_escape(match: re.Match[str]) -> str:
    if match[1] == MARK:
        return MARK
    if match[1] in _PICTURES:
        return _PICTURES[match[1]]
    if match[1] or match.end() != len(match.string):
        raise BadName(f"{match[0]!r} is not an escape; in a name, {MARK!r} is written twice")
    return "/"


def read_path(shown: str) -> str:
    """Return the path that is shown so.

    :param shown: begins with a slash, and does not end with one.
    :raise BadName: nothing is shown so.
    """
    if MARK not in shown:
        return shown
    *folders, name = map(read_name, shown.split("/")[1:])
    return "".join(["/", *(folder.removesuffix("/") + "/" for folder in folders), name])
