"""A daemon's settings: a YAML file and the command line, checked against one frozen, typed description.

Used by both daemons.  The description is a `msgspec.Struct` whose fields carry their help text as
`Annotated[type, msgspec.Meta(description=…)]`; each field is a key of the file and an option of the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import yaml
from twisted.python import usage

from storaged.system.keys import parse_cluster_keys
from storaged.system.sizes import Size, parse_size
from storaged.system.words import Words, parse_words

Config = TypeVar("Config", bound=msgspec.Struct)


class SettingsError(Exception):
    """A setting cannot be used as it is; the message names the file or option, and the key."""


def _decode(kind: type, value: Any) -> Any:
    if kind is Words:
        return parse_words(value)
    if kind is not Size:
        raise NotImplementedError(kind)
    if isinstance(value, int) and not isinstance(value, bool):
        return Size(value)
    if isinstance(value, str):
        return parse_size(value)
    raise ValueError(f"not a size: {value!r}")


def read_text(path: str) -> str:
    """Read a text file.

    :raise SettingsError: the file cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{path}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise SettingsError(f"{path}: {problem}") from problem


def read_yaml(path: str) -> Any:
    """Read a YAML file.

    :raise SettingsError: the file cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as problem:
        raise SettingsError(f"{path}: {problem}") from problem


def load_settings(kind: type[Config], path: str | None, options: dict[str, str]) -> Config:
    """Load a daemon's settings.

    :param kind: the description of the settings.
    :param path: the path of the YAML file, or None for none.
    :param options: the values on the command line, by key; they override the file.
    :raise SettingsError: a key is unknown or missing, or a value cannot be used.
    """
    keys = read_yaml(path) if path else {}
    if keys is None:
        keys = {}
    if not isinstance(keys, dict):
        raise SettingsError(f"{path}: should hold keys and values, holds a {type(keys).__name__}")
    try:
        # Values on the command line are text, converted to each key's type ("8" to a number); text in YAML stays text.
        texts = {key: _of_several(key, text) if key in _groups(kind) else text for key, text in options.items()}
        typed = msgspec.convert(texts, _partial(kind), strict=False, dec_hook=_decode)
        return msgspec.convert({**keys, **{key: getattr(typed, key) for key in options}}, kind, dec_hook=_decode)
    except msgspec.ValidationError as problem:
        raise SettingsError(f"{path or 'command line'}: {problem}") from problem


def _groups(kind: type[msgspec.Struct]) -> set[str]:
    """Return the keys that hold keys of their own."""
    return {
        name
        for name, hint in get_type_hints(kind).items()
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct)
    }


def _of_several(key: str, text: str) -> Any:
    """Read the value of a key that holds keys of its own: YAML, such as {keep_days: 30}."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise SettingsError(f"command line: {key}: {problem}") from problem


def _partial(kind: type[Config]) -> type[msgspec.Struct]:
    """Return the same description with every key optional."""
    hints = get_type_hints(kind, include_extras=True)
    fields = [(name, hint | msgspec.UnsetType, msgspec.UNSET) for name, hint in hints.items()]
    return msgspec.defstruct("Options", fields, forbid_unknown_fields=True)


def option_flags(kind: type[msgspec.Struct]) -> list[list[str | None]]:
    """Return the `optFlags` of `twisted.python.usage` for a daemon's settings: those that are either on or off.

    The flag of a setting that is on by default switches it off, and begins with "no-".
    """
    flags: list[list[str | None]] = []
    on = {field.name for field in msgspec.structs.fields(kind) if field.default is True}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if get_origin(hint) is Annotated and get_args(hint)[0] is bool:
            flag, described = name.replace("_", "-"), get_args(hint)[1].description
            flags.append(
                [f"no-{flag}", None, f"Set {name} to false. {described}"] if name in on else [flag, None, described]
            )
    return flags


def option_parameters(kind: type[msgspec.Struct]) -> list[list[str | None]]:
    """Return the `optParameters` of `twisted.python.usage` for a daemon's other settings."""
    out: list[list[str | None]] = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        described = hint if get_origin(hint) is not None and hasattr(hint, "__metadata__") else None
        if described is None or not name.islower() or get_args(described)[0] is bool:
            continue
        meta = get_args(described)[1]
        out.append([name.replace("_", "-"), None, None, meta.description])
    return out


class SettingsOptions(usage.Options, Generic[Config]):
    """A daemon's command line: `--config FILE`, and every key of the file as an option.

    After parsing, `settings` holds the settings.
    """

    kind: ClassVar[type[msgspec.Struct]]
    settings: Config
    optParameters: ClassVar[list[list[str | None]]]
    optFlags: ClassVar[list[list[str | None]]]

    def __init_subclass__(cls) -> None:
        # usage.Options collects the attributes of these names from each class.
        cls.optFlags = option_flags(cls.kind)
        cls.optParameters = [["config", "c", None, "YAML file with these settings."], *option_parameters(cls.kind)]

    def postOptions(self) -> None:
        """Load the settings; an error in them is reported like that of a wrong option."""
        flags = {str(flag) for flag, *_ in self.optFlags}
        given: dict[str, str] = {}
        for name in self.kind.__struct_fields__:
            option = name.replace("_", "-")
            flag, word = (option, "true") if option in flags else (f"no-{option}", "false")
            if flag not in flags and self[option] is not None:
                given[name] = self[option]
            elif flag in flags and self[flag]:  # one that is not there says nothing: the file may have it
                given[name] = word
        try:
            self.settings = load_settings(self.kind, self["config"], given)  # type: ignore[assignment]
        except SettingsError as problem:
            raise usage.UsageError(str(problem)) from problem


def read_cluster_keys(path: str) -> tuple[str, ...]:
    """Read the cluster key from its file, or two keys, each on a line, while the key is being changed.

    :return: the keys; the first one is preferred.
    :raise SettingsError: the file cannot be read, or does not hold one or two keys; see `parse_cluster_keys`.
    """
    try:
        return parse_cluster_keys(read_text(path))
    except ValueError as problem:
        raise SettingsError(f"{path}: {problem}") from problem


def read_cluster_key(path: str) -> str:
    """Read the preferred cluster key; see `read_cluster_keys`."""
    return read_cluster_keys(path)[0]
