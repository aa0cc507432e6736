"""The text of users.yaml: what it means, and that a wrong one is refused whole, with its line."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from splitd.access.entries import read_users
from splitd.access.secrets import Seal, hash_token, new_key
from splitd.errors import UsersInvalid
from tests.users import TOKEN, hashed, write_users

HASH = hashed("x")
TOKEN_HASH = hash_token(b"t")

WRONG = [
    ("- anna\n", "line 1: should hold users, groups, anonymous and oidc"),
    ("users:\n  anna: {}\nldap: {}\n", "line 3: 'ldap' is not known, these are: users, groups, anonymous, oidc"),
    ("users: {}\noidc: {}\n", "line 2: .*required field `issuer`"),
    ("oidc: {issuer: 'http://login.example', audience: a, user_claim: sub}\n", "line 1: issuer: .*is not https"),
    ("oidc: {issuer: 'https://a.example/?x', audience: a, user_claim: sub}\n", "line 1: issuer: .*has a query"),
    ("oidc: {issuer: 'https://u@a.example', audience: a, user_claim: sub}\n", "line 1: issuer: .*like https"),
    ("oidc: {issuer: a.example, audience: a, user_claim: sub}\n", "line 1: issuer: .*like https"),
    ("oidc:\n  issuer: https://a.example\n  audience: ''\n  user_claim: sub\n", "line 3: audience"),
    ("users: [anna]\n", "line 1: users should hold names"),
    ("users:\n  7: {}\n", "line 2: the name should be text"),
    ("users:\n  'a:b': {}\n", "line 2: 'a:b' cannot be a name"),
    ("users:\n  ' a': {}\n", "line 2: ' a' cannot be a name"),
    ("users:\n  anna: {}\n  anna: {}\n", "line 3: anna stands there twice"),
    ("users:\n  anna:\n    pasword: x\n", "line 2|line 3: .*unknown field `pasword`"),
    ("users:\n  anna:\n    password: secret\n", "line 3: the password should be an argon2id hash"),
    (f"users:\n  anna:\n    password: '{HASH.replace('argon2id', 'argon2i')}'\n", "line 3: the password"),
    ("users:\n  anna:\n    grants:\n    - {path: /a, allow: [reed]}\n", r"line 4: grants\[0\].allow\[0\]: Invalid"),
    ("users:\n  anna:\n    grants:\n    - {path: /a}\n", r"line 4: grants\[0\]: .*`allow`"),
    ("users:\n  anna:\n    grants:\n    - {path: a, allow: [read]}\n", "line 4: path 'a'"),
    ("users:\n  anna:\n    grants:\n    - {path: /a/, allow: [read]}\n", "line 4: path '/a/'"),
    ("users:\n  anna:\n    grants:\n    - {path: /a/../b, allow: [read]}\n", "line 4: path"),
    (
        "users:\n  anna:\n    grants:\n    - {path: /a, allow: []}\n    - {path: /a, allow: []}\n",
        "line 5: /a has a grant",
    ),
    ("users:\n  anna: {groups: [staff]}\n", "line 2: user anna is in the group 'staff', which is not there"),
    ("users:\n  anna: {tokens: [{id: t, hash: abc}]}\n", r"line 2: tokens\[0\].hash"),
    (
        "users:\n" + "".join(f"  {name}: {{tokens: [{{id: t, hash: '{TOKEN_HASH}'}}]}}\n" for name in "ab"),
        "line 3: token t stands on line 2 already",
    ),
    ("users:\n  anna: {keys: [{id: k, secret: v1.abcd}]}\n", "line 2: key k of anna: its secret was not sealed"),
    ("users:\n  anna: &a {}\n  bert: *a\n", "line 2: aliases"),
    ("users:\n  anna: {\n", "line 3: "),
    ("anonymous: {password: x}\n", "line 1: .*unknown field"),
    ("users: {anna: !!python/object:os.system {}}\n", "line 1: could not determine a constructor"),
    ("users:\n  \x1f: {}\n", "unacceptable character"),
    ("users: " + "[" * 5000 + "\n", "line 1: "),
]


@pytest.mark.parametrize(("text", "reason"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_file_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(UsersInvalid) as caught:
        read_users("u.yaml", text, Seal("cluster key of 16").open)
    assert re.match(f"u.yaml: (?:{reason})", str(caught.value))


def test_no_message_repeats_a_secret() -> None:
    with pytest.raises(UsersInvalid) as caught:
        read_users("u.yaml", "users:\n  anna:\n    password: my-secret\n")
    assert "my-secret" not in str(caught.value)


def test_an_empty_file_has_nobody() -> None:
    for text in ("", "# nobody yet\n", "users:\n"):
        assert not read_users("u.yaml", text).users


def test_the_grants_of_groups_and_everybody_are_a_users_too() -> None:
    users = read_users(
        "u.yaml",
        "users:\n"
        "  anna: {groups: [staff], grants: [{path: /anna, allow: [read, write]}, {path: /off, allow: []}]}\n"
        "groups: {staff: {grants: [{path: /, allow: [read]}, {path: /off, allow: [read]}]}}\n"
        "anonymous: {grants: [{path: /public, allow: [write]}]}\n",
    )
    anna, everybody = users.grants_of("anna"), users.grants_of("")
    assert anna.rights("/x") == {"read"}
    assert anna.rights("/anna/x") == {"read", "write"}
    assert anna.rights("/public/x") == {"read", "write"}
    assert anna.rights("/off") == set()
    assert everybody.rights("/x") == set()
    assert everybody.rights("/public") == {"write"}


def test_a_date_is_read_as_a_day(tmp_path: Path) -> None:
    text = f"users: {{a: {{tokens: [{{id: t, hash: '{TOKEN_HASH}', expires: 2027-01-02}}]}}}}"
    assert read_users("u.yaml", text).users["a"].tokens[0].expires == date(2027, 1, 2)
    write_users(tmp_path / "u.yaml")
    assert read_users("u.yaml", (tmp_path / "u.yaml").read_text()).users["nora"].tokens[0].hash == hash_token(
        TOKEN.encode()
    )


def test_the_secret_of_a_key_opens_under_its_own_key_only() -> None:
    key_id, secret = new_key()
    sealed = Seal("one cluster key 1").seal(key_id, secret)
    assert secret not in sealed
    assert Seal("another cluster key", "one cluster key 1").open(key_id, sealed) == secret
    for seal, name, text in [
        (Seal("another cluster key"), key_id, sealed),
        (Seal("one cluster key 1"), "other", sealed),
        (Seal("one cluster key 1"), key_id, sealed[:-4] + "AAAA"),
        (Seal("one cluster key 1"), key_id, "v2." + sealed[3:]),
        (Seal("one cluster key 1"), key_id, ""),
    ]:
        with pytest.raises(ValueError, match="not sealed"):
            seal.open(name, text)
