"""Reads the text of `users.yaml`.  All that it may hold is described here; anything else refuses the whole file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Annotated, Literal, TypeVar

import msgspec
import yaml
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError

from splitd.access.grants import WRITE, Grants
from splitd.access.oidc.urls import check_issuer
from splitd.errors import BadName, UsersInvalid
from splitd.model.quotas import Quota, topmost
from splitd.model.tree import check_path
from storaged.system.documents import convert, is_null, line_at, line_of, read_document, refuse_repeated
from storaged.system.sizes import Size

_NAME = re.compile(
    r"\A[^\x00-\x20\x7f:/\ud800-\udfff](?:[^\x00-\x1f\x7f:/\ud800-\udfff]{0,62}[^\x00-\x20\x7f:/\ud800-\udfff])?\Z"
)
_MOST_MEMORY = 1024 * 1024  # KiB, that the hash of a password may ask for

Word = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,200}\Z")]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class GrantEntry(_Entry, frozen=True):
    """A grant: what may be done at a path and below it; nothing if `allow` is empty."""

    path: str
    allow: tuple[Literal["read", "write", "admin"], ...]


class TokenEntry(_Entry, frozen=True):
    """A token of a user.

    :param hash: "sha256:" and the SHA-256 of the token, in hexadecimal digits.
    :param expires: the day on which the token is not good any more, from 0:00 UTC on.
    """

    id: Word
    hash: Annotated[str, msgspec.Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
    expires: date | None = None


class KeyEntry(_Entry, frozen=True):
    """A pair of keys of a user, for requests that are signed.

    :param secret: sealed under the cluster key; see `splitd.access.seal`.
    """

    id: Word
    secret: Word


class UserQuota(_Entry, frozen=True):
    """How much may be stored in all; None for no limit."""

    bytes: Size | None = None
    files: Annotated[int, msgspec.Meta(ge=0)] | None = None


class UserEntry(_Entry, frozen=True):
    """A user.

    :param password: the argon2id hash; None for a user who has tokens or keys only.
    :param quota: how much may be stored where the user's own grants allow to write; None for any amount.
    """

    password: str | None = None
    groups: tuple[str, ...] = ()
    grants: tuple[GrantEntry, ...] = ()
    tokens: tuple[TokenEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()
    quota: UserQuota | None = None


class GroupEntry(_Entry, frozen=True):
    """A group, or everybody."""

    grants: tuple[GrantEntry, ...] = ()


class SignInEntry(_Entry, frozen=True):
    """How people log in to the console at the issuer.

    :param client: the id by which the issuer knows the console.
    :param secret_file: the file of its secret; empty for none.
    :param secret_env: the environment variable that has its secret; empty for none.
    :param scopes: what the issuer is asked for.
    :param name: what the button says; empty for the issuer's host.
    :param hours: how long a session lasts at most.
    """

    client: Word
    secret_file: str = ""
    secret_env: str = ""
    scopes: tuple[Word, ...] = ("openid", "profile", "email")
    name: Annotated[str, msgspec.Meta(max_length=40)] = ""
    hours: Annotated[float, msgspec.Meta(gt=0, le=720)] = 8.0


class OidcEntry(_Entry, frozen=True):
    """The issuer of OpenID Connect whose tokens are believed.

    :param issuer: its URL, as it stands in its tokens.
    :param audience: for whom the tokens must be.
    :param user_claim: the claim that names the user.
    :param groups_claim: the claim that names their groups; empty for none.
    :param known_days: for how many days after a login links and keys go on of somebody whom only the issuer names.
    :param sign_in: how people log in to the console; None if they cannot.
    """

    issuer: Word
    audience: Word
    user_claim: Word
    groups_claim: Word | Literal[""] = ""
    known_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 30
    sign_in: SignInEntry | None = None


class UsersEntries(_Entry, frozen=True):
    """All of `users.yaml`."""

    users: dict[str, UserEntry] = {}
    groups: dict[str, GroupEntry] = {}
    anonymous: GroupEntry = GroupEntry()
    oidc: OidcEntry | None = None

    def grants_of(self, name: str, more_groups: Iterable[str] = ()) -> Grants:
        """Return what a user may do; what everybody may do if the name is empty.

        :param name: a user, or somebody who is only in `more_groups`.
        :param more_groups: groups that they are in besides those that the file says.
        """
        everybody = _grants(self.anonymous.grants)
        if not name:
            return everybody
        user = self.users.get(name, UserEntry())
        groups = dict.fromkeys([*user.groups, *sorted(more_groups)])
        own = [*user.grants, *(each for group in groups for each in self.groups[group].grants)]
        return _grants(own).joined(everybody)

    def quotas(self) -> list[Quota]:
        """Return the quotas of the users."""
        return [
            Quota(f"user {name}", paths_of(user), user.quota.bytes, user.quota.files)
            for name, user in self.users.items()
            if user.quota is not None
        ]


def paths_of(user: UserEntry) -> tuple[str, ...]:
    """Return the paths where a user's own grants allow to write; all below them counts for the user's quota."""
    return topmost(grant.path for grant in user.grants if WRITE in grant.allow)


def _grants(entries: Iterable[GrantEntry]) -> Grants:
    return Grants((entry.path, frozenset(entry.allow)) for entry in entries)


def check_user_name(name: str) -> None:
    """Refuse a text that cannot be the name of a user or a group.

    :raise ValueError: it is empty, has more than 64 characters, begins or ends with a space, or has a colon, a slash or
        a control character.
    """
    if not _NAME.match(name):
        raise ValueError(
            f"{name[:80]!r} cannot be a name: 1 to 64 characters, no colon, slash or control character, and no space "
            "at its ends"
        )


def read_users(path: str, text: str, unseal: Callable[[str, str], str] | None = None) -> UsersEntries:
    """Read the users.

    :param path: the file's name, for messages.
    :param text: the file's content.
    :param unseal: returns the secret of a key, given the key's id and the sealed secret, or raises `ValueError`; None
        if the cluster key is not known here.
    :raise UsersInvalid: the file cannot be used; the message names file and line.
    """

    def read(loader: yaml.SafeLoader, root: yaml.Node | None) -> UsersEntries:
        return UsersEntries() if root is None else _Reader(loader, unseal).read(root)

    return read_document(path, text, read, UsersInvalid)


_Kind = TypeVar("_Kind", UserEntry, GroupEntry, OidcEntry)


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, unseal: Callable[[str, str], str] | None) -> None:
        self._loader = loader
        self._unseal = unseal
        self._seen: dict[str, int] = {}

    def read(self, root: yaml.Node) -> UsersEntries:
        refuse_repeated(root, UsersInvalid)
        sections = _members(root, "should hold users, groups, anonymous and oidc")
        known = UsersEntries.__struct_fields__
        for name, node in sections.items():
            if name not in known:
                raise UsersInvalid(f"line {line_of(node)}: {name!r} is not known, these are: {', '.join(known)}")
        users = {name: self._user(name, node) for name, node in self._named(sections.get("users"), "users")}
        groups = {name: self._group(node) for name, node in self._named(sections.get("groups"), "groups")}
        anonymous = self._group(sections["anonymous"]) if "anonymous" in sections else GroupEntry()
        for (name, user), (_, node) in zip(users.items(), self._named(sections.get("users"), "users"), strict=True):
            for group in user.groups:
                if group not in groups:
                    raise UsersInvalid(
                        f"line {line_of(node)}: user {name} is in the group {group!r}, which is not there"
                    )
        return UsersEntries(users, groups, anonymous, self._oidc(sections.get("oidc")))

    def _named(self, node: yaml.Node | None, what: str) -> Iterator[tuple[str, yaml.Node]]:
        if node is None or is_null(node):
            return
        for name, each in _members(node, f"{what} should hold names").items():
            try:
                check_user_name(name)
            except ValueError as problem:
                raise UsersInvalid(f"line {line_of(each)}: {problem}") from problem
            yield name, each

    def _user(self, name: str, node: yaml.Node) -> UserEntry:
        user = self._convert(node, UserEntry)
        if user.password is not None:
            _check_password(user.password, line_at(node, "$.password"))
        self._check_grants(user.grants, node)
        self._check_quota(user, node)
        for number, token in enumerate(user.tokens):
            line = line_at(node, f"$.tokens[{number}]")
            self._once(f"token {token.id}", line)
            self._once(f"the hash {token.hash}", line)
        for number, key in enumerate(user.keys):
            line = line_at(node, f"$.keys[{number}]")
            self._once(f"key {key.id}", line)
            if self._unseal is not None:
                try:
                    self._unseal(key.id, key.secret)
                except ValueError as problem:
                    raise UsersInvalid(f"line {line}: key {key.id} of {name}: {problem}") from problem
        return user

    def _group(self, node: yaml.Node) -> GroupEntry:
        group = self._convert(node, GroupEntry)
        self._check_grants(group.grants, node)
        return group

    def _oidc(self, node: yaml.Node | None) -> OidcEntry | None:
        if node is None or is_null(node):
            return None
        entry = self._convert(node, OidcEntry)
        try:
            check_issuer(entry.issuer)
        except ValueError as problem:
            raise UsersInvalid(f"line {line_at(node, '$.issuer')}: issuer: {problem}") from problem
        if entry.sign_in is not None:
            self._check_sign_in(entry.sign_in, line_at(node, "$.sign_in"))
        return entry

    @staticmethod
    def _check_sign_in(entry: SignInEntry, line: int) -> None:
        if entry.secret_file and entry.secret_env:
            raise UsersInvalid(f"line {line}: sign_in: the secret is in secret_file or in secret_env, not in both")
        if "openid" not in entry.scopes:
            raise UsersInvalid(f"line {line}: sign_in: the scopes lack openid, without which nobody is named")
        if not entry.name.isprintable():
            raise UsersInvalid(f"line {line}: sign_in: the name has a character that cannot be shown")

    def _convert(self, node: yaml.Node, kind: type[_Kind]) -> _Kind:
        return convert(self._loader, node, kind, UsersInvalid)  # `anna:` alone is a user without anything

    def _check_grants(self, grants: tuple[GrantEntry, ...], node: yaml.Node) -> None:
        seen: set[str] = set()
        for number, grant in enumerate(grants):
            line = line_at(node, f"$.grants[{number}]")
            try:
                check_path(grant.path)
            except BadName as problem:
                raise UsersInvalid(f"line {line}: path {problem}") from problem
            if grant.path in seen:
                raise UsersInvalid(f"line {line}: {grant.path} has a grant already")
            seen.add(grant.path)

    @staticmethod
    def _check_quota(user: UserEntry, node: yaml.Node) -> None:
        if user.quota is None:
            return
        line = line_at(node, "$.quota")
        if user.quota.bytes is None and user.quota.files is None:
            raise UsersInvalid(f"line {line}: the quota limits nothing: give it bytes or files")
        if not paths_of(user):
            raise UsersInvalid(
                f"line {line}: the quota counts what lies below the grants of the user's own that allow to write, and "
                "there is none"
            )

    def _once(self, what: str, line: int) -> None:
        if what in self._seen:
            raise UsersInvalid(f"line {line}: {what} stands on line {self._seen[what]} already")
        self._seen[what] = line


def _check_password(password: str, line: int) -> None:
    try:
        parameters = extract_parameters(password)
        good = password.startswith("$argon2id$") and parameters.memory_cost <= _MOST_MEMORY
    except (InvalidHashError, ValueError):
        good = False
    if not good:
        raise UsersInvalid(
            f"line {line}: the password should be an argon2id hash ($argon2id$…), as `splitctl user passwd` writes it"
        )


def _members(node: yaml.Node, otherwise: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise UsersInvalid(f"line {line_of(node)}: {otherwise}")
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise UsersInvalid(f"line {line_of(key)}: the name should be text; put it in quotes")
    return {key.value: value for key, value in node.value}
