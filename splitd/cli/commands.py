"""The commands of splitctl by their names.  A command's module is loaded when the command is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class Commands(MutableMapping[str, click.Command]):
    """Commands that are loaded one by one, because loading all takes longer than what most of them do.

    :param places: where each command is, as "module:name", by its name.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            found = getattr(import_module(module), attribute)
            assert isinstance(found, click.Command)
            self._loaded[name] = found
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name], self._loaded[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


COMMANDS = Commands(
    {
        "bin": "splitd.cli.bin:bin_",
        "catalog": "splitd.cli.catalog:catalog",
        "check": "splitd.cli.check:check",
        "completion": "splitd.cli.completion:completion",
        "compose-node": "splitd.cli.compose_node:compose_node",
        "cp": "splitd.cli.transfer:cp",
        "demo": "splitd.cli.demo.command:demo",
        "du": "splitd.cli.du:du",
        "find": "splitd.cli.find:find",
        "get": "splitd.cli.get:get",
        "grow": "splitd.cli.grow:grow",
        "heal": "splitd.cli.heal:heal",
        "journal": "splitd.cli.journal:journal",
        "key": "splitd.cli.key:key",
        "layout": "splitd.cli.layout:layout",
        "ls": "splitd.cli.ls:ls",
        "mkdir": "splitd.cli.mkdir:mkdir",
        "mv": "splitd.cli.transfer:mv",
        "nodes": "splitd.cli.nodes:nodes",
        "put": "splitd.cli.put:put",
        "quota": "splitd.cli.quota:quota",
        "rebalance": "splitd.cli.rebalance:rebalance",
        "reload": "splitd.cli.reload:reload",
        "rm": "splitd.cli.rm:rm",
        "scrub": "splitd.cli.scrub:scrub",
        "share": "splitd.cli.share:share",
        "status": "splitd.cli.status:status",
        "sweep": "splitd.cli.sweep:sweep",
        "sync": "splitd.cli.sync.command:sync",
        "tls": "splitd.cli.certificates.command:tls",
        "up": "splitd.cli.up:up",
        "user": "splitd.cli.user:user",
    }
)
"""All commands, as `Commands` finds them."""
