"""What a user may do at a path.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as SetOf

import attrs

from splitd.model.paths import place_of

READ, WRITE, ADMIN = "read", "write", "admin"
RIGHTS = (READ, WRITE, ADMIN)

_NONE: frozenset[str] = frozenset()


class Grants:
    """The rights of one user.  The grant with the longest path that leads to a place decides.

    :param grants: (path, rights) of each grant that applies to the user.  Several at one path add up, but one without
        rights takes all of them away.
    """

    def __init__(self, grants: Iterable[tuple[str, SetOf[str]]]) -> None:
        at: dict[str, frozenset[str]] = {}
        for path, rights in grants:
            before = at.get(path)
            is_taken = not rights or (before is not None and not before)
            at[path] = _NONE if is_taken else frozenset(rights) | (before or _NONE)
        self._at: Mapping[str, frozenset[str]] = at
        # Most users have no rule inside of another one: then nothing below a place needs a look of its own.
        self._has_inner = any(other != path and other.startswith(_inside(path)) for path in at for other in at)
        self._root = at.get("/", _NONE)
        self._is_flat = set(at) <= {"/"}

    def joined(self, others: Grants) -> Grants:
        """Return the rights of somebody who may do whatever one or the other allows.

        What everybody may do is joined to what a user may do: a public place would otherwise take their own rights
        away.
        """
        return Grants((path, self.rights(path) | others.rights(path)) for path in {*self._at, *others._at})

    def narrowed(self, path: str, rights: SetOf[str]) -> Grants:
        """Return those of the rights that are among others, at a path and below it, and nothing elsewhere."""
        inside = _inside(path)
        below = {other: found & rights for other, found in self._at.items() if other.startswith(inside)}
        return Grants([*below.items(), (path, self.rights(path) & rights)])

    def is_same(self, others: Grants) -> bool:
        """Return whether the same grants are there."""
        return self._at == others._at

    def __repr__(self) -> str:
        return f"Grants({dict(self._at)!r})"

    def rights(self, path: str) -> frozenset[str]:
        """Return the rights at a path, whether anything has this path or not."""
        if self._is_flat:
            return self._root
        at = self._at
        while path:
            found = at.get(path)
            if found is not None:
                return found
            path = path[: path.rfind("/")]
        return self._root

    def everywhere(self, path: str, right: str) -> bool:
        """Return whether a right holds at a path and at all places below it."""
        if right not in self.rights(path):
            return False
        if self._is_flat:
            return True
        inside = _inside(path)
        return all(right in rights for other, rights in self._at.items() if other.startswith(inside))

    def allows_below(self, path: str) -> bool:
        """Return whether a place below a path has rights by a rule of its own."""
        inside = _inside(path)
        return any(rights and other != path and other.startswith(inside) for other, rights in self._at.items())

    def hidden_below(self, path: str) -> frozenset[str]:
        """Return the places below a path that cannot be read by a rule of their own."""
        inside = _inside(path)
        return frozenset(other for other, rights in self._at.items() if other.startswith(inside) and READ not in rights)

    def hides_below(self, path: str) -> bool:
        """Return whether there may be a place below a path, which can be read, that cannot be read."""
        if not self._has_inner:
            return False
        inside = _inside(path)
        return any(other.startswith(inside) and READ not in rights for other, rights in self._at.items())


def _inside(path: str) -> str:
    """Return what all paths below a path begin with; one slash at its end is that of a collection."""
    return place_of(path) + "/"


@attrs.frozen
class Claims:
    """Who somebody is by the word of an issuer of OpenID Connect.

    :param issuer: its URL.
    :param user: the name.
    :param groups: their groups, of those that the users' file knows.
    """

    issuer: str
    user: str
    groups: frozenset[str]


@attrs.frozen(eq=False)
class Principal:
    """The one who asks.  The same user is the same object until the users' file changes.

    :param name: the user's name; empty for somebody who has not logged in.
    :param grants: what they may do.
    :param claims: what an issuer says of them, if they may do more by that; None if the users' file says all.
    :param own: the id of the key or token by which they ask, if they have made it themselves; else empty.
    """

    name: str
    grants: Grants
    claims: Claims | None = None
    own: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether they have not logged in."""
        return not self.name

    @property
    def is_operator(self) -> bool:
        """Whether they may use the operators' port: they have `admin` on the root."""
        return ADMIN in self.grants.rights("/")
