"""The `If` header: a client's conditions on locks and versions (RFC 4918 section 10.4).  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Collection as SetOf

import attrs

_SPACE = r"[ \t\r\n]*"
_PIECE = re.compile(
    _SPACE + r'(?:(\()|(\))|(not)(?=[\s<\[])|<([^<>\s]+)>|\[((?:W/)?"[^"\x00-\x1f\x7f]*")\])',
    re.IGNORECASE | re.ASCII,  # a name in a URI may have white space of Unicode
)
_OPEN, _CLOSE, _NOT, _URI, _ETAG = range(1, 6)


@attrs.frozen
class Standing:
    """The present state of a path, as far as conditions can ask for it.

    :param etag: the entity tag of the file there; "" for a collection; None if nothing is there.
    :param tokens: the tokens of the locks that cover the path.
    """

    etag: str | None
    tokens: SetOf[str]


@attrs.frozen
class Term:
    """One condition on a resource.

    :param token: the URI of a lock that covers it, or None.
    :param etag: its entity tag, or None.
    """

    negated: bool
    token: str | None = None
    etag: str | None = None

    def holds(self, standing: Standing) -> bool:
        """Whether the condition is true in this state."""
        found = standing.etag == self.etag if self.token is None else self.token in standing.tokens
        return found is not self.negated


@attrs.frozen
class TermList:
    """Terms that must all hold of one resource.

    :param path: the resource; None for one of a different server, which counts as missing and not locked.
    """

    path: str | None
    terms: tuple[Term, ...]


@attrs.frozen
class IfHeader:
    """The lists of terms; at least one of them must hold."""

    lists: tuple[TermList, ...]

    def holds(self, standing_of: Callable[[str], Standing]) -> bool:
        """Whether one of the lists holds.

        :param standing_of: returns the present state of a path.
        """
        standings: dict[str | None, Standing] = {None: _NOTHING}
        for each in self.lists:
            # Looked up once, however many lists are about one path.
            standing = standings.get(each.path)
            if standing is None:
                assert each.path is not None
                standing = standings[each.path] = standing_of(each.path)
            if all(term.holds(standing) for term in each.terms):
                return True
        return False

    def tokens(self) -> frozenset[str]:
        """Return all tokens of locks in the header: each of them is submitted, whatever its term says."""
        return frozenset(term.token for each in self.lists for term in each.terms if term.token is not None)

    def paths(self) -> set[str]:
        """Return all paths that the header has terms for."""
        return {each.path for each in self.lists if each.path is not None}


_NOTHING = Standing(None, frozenset())


def parse_if(value: str, path: str, resolve: Callable[[str], str | None]) -> IfHeader:
    """Read an `If` header.

    :param path: the request's path, which lists without a tag are about.
    :param resolve: returns the path of a tag's URI; None for a URI of a different server.
    :raise ValueError: the header is not well formed.
    """
    lists = list(_Reader(value, path, resolve).lists())
    if not lists:
        raise ValueError("it is empty")
    return IfHeader(tuple(lists))


class _Reader:
    """Goes through the pieces of a header."""

    def __init__(self, value: str, path: str, resolve: Callable[[str], str | None]) -> None:
        self._value = value.rstrip(" \t\r\n")
        self._path = path
        self._resolve = resolve
        self._position = 0

    def lists(self) -> Iterator[TermList]:
        resource: str | None = self._path
        tagged: bool | None = None
        wants_list = False
        while self._position < len(self._value):
            kind, text = self._next()
            if kind == _URI and tagged is not False and not wants_list:
                resource, tagged, wants_list = self._resolve(text), True, True
            elif kind == _OPEN:
                tagged = bool(tagged)
                wants_list = False
                yield TermList(resource, self._terms())
            else:
                raise ValueError(f"{text!r} has no place at character {self._position}")
        if wants_list:
            raise ValueError("a tag without a list")

    def _terms(self) -> tuple[Term, ...]:
        terms: list[Term] = []
        negated = False
        while True:
            kind, text = self._next()
            if kind == _NOT and not negated:
                negated = True
            elif kind == _URI:
                terms.append(Term(negated, token=text))
                negated = False
            elif kind == _ETAG:
                terms.append(Term(negated, etag=text))
                negated = False
            elif kind == _CLOSE and terms and not negated:
                return tuple(terms)
            else:
                raise ValueError(f"{text!r} has no place at character {self._position}")

    def _next(self) -> tuple[int, str]:
        match = _PIECE.match(self._value, self._position)
        if match is None:
            raise ValueError(f"cannot be read from character {self._position} on")
        self._position = match.end()
        assert match.lastindex is not None
        return match.lastindex, match[match.lastindex]
