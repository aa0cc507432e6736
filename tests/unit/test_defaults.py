"""The help of each setting names its default: the value that is taken if nobody sets it."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from splitd.config import Config as FrontConfig
from splitd.model.cors import EXPOSED, HEADERS, METHODS
from splitd.model.workers import AUTO, choose_workers
from storaged.config import Config as NodeConfig
from storaged.system.sizes import Size, parse_size
from storaged.system.words import Words

NOTHING = {"none", "nowhere"}

PROSE: dict[str, tuple[str, object]] = {
    "node_ca": ("those that the system trusts", ""),
    "cors_methods": ("all", Words(METHODS)),
    "cors_headers": ("those that the store reads", Words(HEADERS)),
    "cors_exposed": ("those that the store sends", Words(EXPOSED)),
    "trusted_proxies": ("127.0.0.0/8,::1", Words(["127.0.0.0/8", "::1"])),
    "workers": (
        f"auto: 1 with one or two cores, else half as many as there are cores, at most {choose_workers(10**6)}",
        AUTO,
    ),
}
"""What the help says of defaults that are neither a number, a word, a switch nor nothing, and what they are."""


def read_default(text: str, default: Any) -> object:
    """Return the value that a help names, of the kind of a default."""
    word = re.split(r"[,:]? ", text)[0]
    if not isinstance(default, bool | Size | int | float):
        return type(default)() if word in NOTHING else text
    if isinstance(default, bool):
        return {"true": True, "false": False}[word]
    return parse_size(word) if isinstance(default, Size) else type(default)(word)


@pytest.mark.parametrize("kind", [FrontConfig, NodeConfig], ids=["splitd", "storaged"])
def test_the_help_names_the_default_of_each_setting(kind: type[msgspec.Struct]) -> None:
    hints, compared = get_type_hints(kind, include_extras=True), 0
    for field in msgspec.structs.fields(kind):
        if field.default is msgspec.NODEFAULT:
            continue
        if isinstance(field.default, msgspec.Struct):  # a group of settings, each with a default of its own
            groups, inner = (
                get_type_hints(type(field.default), include_extras=True),
                msgspec.structs.asdict(field.default),
            )
            described = {name: (groups[name], value) for name, value in inner.items()}
        else:
            described = {field.name: (hints[field.name], field.default)}
        for name, (hint, default) in described.items():
            said = re.search(r"\[default: ([^]]*)\]", get_args(hint)[1].description)
            assert said is not None, f"the help of {name} names no default"
            if name in PROSE:
                assert (said[1], default) == PROSE[name]
            else:
                assert (name, read_default(said[1], default)) == (name, default)
            compared += 1
    assert compared
