"""Judges what one user may do, by their grants."""

from __future__ import annotations

import attrs

from splitd.access.grants import ADMIN, READ, WRITE, Principal
from splitd.errors import Forbidden, LoginRequired, NotFound, PreconditionFailed, SplitdError
from splitd.model.conditions import Condition


class Judge:
    """What one user may do, as the errors that refuse the rest.  Each method returns None if nothing is refused.

    :raise LoginRequired: (returned) somebody who has not logged in may not do it.
    :raise NotFound: (returned) the user may not see the path.
    :raise Forbidden: (returned) the user may see the path, and may not do it.
    """

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.grants = principal.grants

    def refuse(self, path: str, right: str, *, everywhere: bool = False) -> SplitdError | None:
        """Refuse what needs a right at a path.

        :param everywhere: whether it needs the right below the path, too.
        """
        if self.grants.everywhere(path, right) if everywhere else right in self.grants.rights(path):
            return None
        return self.refusal(path, right, everywhere=everywhere)

    def refusal(self, path: str, right: str, *, everywhere: bool = False) -> SplitdError:
        """Return the error that refuses what needs a right, which the user does not have."""
        if self.principal.is_anonymous:
            return LoginRequired(f"{path}: log in to do this")
        if READ not in self.grants.rights(path):
            return NotFound(f"{path} does not exist")
        where = " and for all that is in it" if everywhere else ""
        return Forbidden(f"{path}: {self.principal.name} has no {right} grant for it{where}")

    def refuse_change(self, path: str, condition: Condition, *, everywhere: bool = False) -> SplitdError | None:
        """Refuse a change of a path, or below it, too."""
        return self.refuse(path, WRITE, everywhere=everywhere) or self.refuse_condition(path, condition)

    def refuse_condition(self, path: str, condition: Condition) -> SplitdError | None:
        """Refuse a condition about another place that the user may not read: whether it holds would tell what is
        there.

        :param path: the path that the request itself is about.
        """
        if condition.if_header is None:
            return None
        hidden = [each for each in condition.paths() if each != path and READ not in self.grants.rights(each)]
        return PreconditionFailed(f"{path}: If does not hold") if hidden else None

    def own(self, path: str, condition: Condition) -> Condition:
        """Return the condition with only the tokens of the user's own locks; with all of them for an admin."""
        if condition.if_header is None or ADMIN in self.grants.rights(path):
            return condition
        return attrs.evolve(condition, user=self.principal.name)
