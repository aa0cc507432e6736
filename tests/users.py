"""A file of users for tests, and the credentials of its users."""

from __future__ import annotations

import base64
from pathlib import Path

from argon2 import PasswordHasher

from splitd.access.secrets import hash_token

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Its hashes are as good for a test, and take no time."""

TOKEN = "splitd_" + "t" * 43


def hashed(password: str) -> str:
    """Return a hash of a password that takes no time to prove."""
    return _QUICK.hash(password)


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str = TOKEN) -> str:
    """Return the value of an Authorization header."""
    return f"Bearer {token}"


def write_users(path: Path) -> None:
    """Write a file of five users.  Each one's password is the name and "-pw".

    anna may read everything and write below /anna, but not below /anna/fixed; /anna/secret is hidden from her.
    rita may read everything, wilma may read and write everything, root is an operator too, nora has no grant.
    Everybody may read /public.
    """
    grants = {
        "anna": "{path: /, allow: [read]}, {path: /anna, allow: [read, write]}, {path: /anna/fixed, allow: [read]}, "
        "{path: /anna/secret, allow: []}",
        "rita": "{path: /, allow: [read]}",
        "wilma": "{path: /, allow: [read, write]}",
        "root": "{path: /, allow: [read, write, admin]}",
        "nora": "",
    }
    lines = ["users:"]
    for name, each in grants.items():
        lines += [f"  {name}:", f"    password: {hashed(name + '-pw')}", f"    grants: [{each}]"]
    lines += [f"    tokens: [{{id: t1, hash: '{hash_token(TOKEN.encode())}'}}]"]  # nora's
    lines += ["anonymous:", "  grants: [{path: /public, allow: [read]}]", ""]
    path.write_text("\n".join(lines))


ANNA, RITA, WILMA, ROOT, NORA = (basic(name, f"{name}-pw") for name in ("anna", "rita", "wilma", "root", "nora"))
