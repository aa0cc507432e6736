"""Profiles: which service to use, and how to log in, kept in a file under a name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

_PATHS = ("password_file", "token_file", "ca")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A profile: options of splitctl, each as on the command line.  Passwords and tokens lie in files of their own."""

    url: str | None = None
    admin: str | None = None
    user: str | None = None
    password_file: str | None = None
    token_file: str | None = None
    ca: str | None = None


class Profiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All profiles of a user.

    :param default: the name of the one that is used if none is named.
    """

    profiles: dict[str, Profile] = {}
    default: str | None = None


def profiles_file() -> Path:
    """Return the path of the file: `splitctl.yaml` in the user's folder of settings."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "splitctl.yaml"


def read_profile(path: Path, name: str | None) -> dict[str, str]:
    """Return the options of a profile; none if no name is given, and there is no default.

    :param name: the profile's name; None for the default one.
    :raise ValueError: the file cannot be used, or has no profile of this name.
    """
    try:
        found = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, Profiles)
    except FileNotFoundError:
        if name is None:
            return {}
        raise ValueError(f"{path} does not exist") from None
    except OSError as problem:
        raise ValueError(f"{path}: {problem.strerror}") from problem
    except (UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as problem:
        raise ValueError(f"{path}: {' '.join(str(problem).split())}") from problem
    wanted = name or found.default
    if wanted is None:
        return {}
    if wanted not in found.profiles:
        known = ", ".join(sorted(found.profiles)) or "none"
        raise ValueError(f"{path} has no profile {wanted!r}; it has: {known}")
    options = {key: value for key, value in msgspec.to_builtins(found.profiles[wanted]).items() if value is not None}
    for key in _PATHS:
        if key in options:  # beside the file of profiles, unless it is absolute
            options[key] = str(path.parent / Path(options[key]).expanduser())
    return options


def take_profile(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    """Make the options of a profile the defaults of the command.  Options and variables that are given go before them.

    :raise click.BadParameter: the file cannot be used, or has no profile of this name.
    """
    try:
        options: dict[str, Any] = dict(read_profile(profiles_file(), name))
    except ValueError as problem:
        if context.resilient_parsing:  # the shell asks for completions, and has no place for errors
            return name
        raise click.BadParameter(str(problem)) from problem
    context.default_map = {**(context.default_map or {}), **options}
    return name
