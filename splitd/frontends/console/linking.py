"""Links the modules that the page needs at once into one.  Pure.

A browser takes some milliseconds for each module, also for those it has.  The modules are written and read as files of
their own; the front links them when it starts.  It knows the forms of `import` and `export` that the page's modules
use, and refuses every other one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath, relpath

LINKED = "linked"
"""What the linked module exports: what each module in it exports, by its name."""

_IMPORT = re.compile(r'^import\s*(\{[^}]*\}|\* as \w+|\w+)\s*from\s*"(\.[^"]+)";', re.MULTILINE)
_DECLARED = re.compile(r"^export\s+((?:const|class|async function|function)\s+(\w+))", re.MULTILINE)
_LISTED = re.compile(r"(?:^|(?<=[;}]))export\s*\{([^}]*)\};?", re.MULTILINE)
_DEFAULT = re.compile(r"(?:^|(?<=[;}]))export default ", re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import\s*[\w{*\"']|export\b).*", re.MULTILINE)


def link(modules: Mapping[str, str], first: str) -> dict[str, str]:
    """Return the modules that are left when one has taken in all that it imports.

    A module that is imported by `import()` stays one of its own, and takes what it shares with the page from the linked
    one: there is one instance of each.

    :param modules: their sources, by their paths.
    :param first: the path of the module that the page begins with.
    :raise ValueError: a module has an `import` or `export` of a form that this does not know, or imports in a circle.
    """
    order: list[str] = []
    _visit(modules, first, [], order)
    linked = {name: _wrapped(name, modules[name]) for name in order}
    alone = {name: _joined(name, source, first, linked) for name, source in modules.items() if name not in linked}
    return {first: "\n".join([f"export const {LINKED} = {{}};", *linked.values()]), **alone}


def _visit(modules: Mapping[str, str], name: str, above: list[str], order: list[str]) -> None:
    if name in above:
        raise ValueError(f"modules import each other in a circle: {' > '.join([*above, name])}")
    if name in order:
        return
    for path in [found[2] for found in _IMPORT.finditer(modules[name])]:
        _visit(modules, _resolve(name, path), [*above, name], order)
    order.append(name)


def _resolve(importer: str, path: str) -> str:
    return normpath(join(dirname(importer), path))


def _wrapped(name: str, source: str) -> str:
    """Return a module as a function that is called at once."""
    exported: dict[str, str] = {}

    def declare(found: re.Match[str]) -> str:
        exported[found[2]] = found[2]
        return found[1]

    def export(found: re.Match[str]) -> str:
        for each in filter(None, map(str.strip, found[1].split(","))):
            own, _, outer = each.partition(" as ")
            exported[outer or own] = own
        return ""

    def default(_: re.Match[str]) -> str:
        exported["default"] = "default_"
        return "const default_ = "

    source = _IMPORT.sub(lambda found: _taken(found[1], _resolve(name, found[2])), source)
    source = _DEFAULT.sub(default, _LISTED.sub(export, _DECLARED.sub(declare, source)))
    left = _LEFT.search(source)
    if left is not None:
        raise ValueError(f"{name}: this cannot be linked: {left[0].strip()[:80]}")
    members = ", ".join(outer if outer == own else f"{outer}: {own}" for outer, own in exported.items())
    return f'// {name}\n(() => {{\n{source}\n;{LINKED}["{name}"] = {{ {members} }};\n}})();'


def _taken(what: str, module: str) -> str:
    """Return the statement that does what an `import` does, within the linked module."""
    whole = f'{LINKED}["{module}"]'
    if what.startswith("* as "):
        return f"const {what.removeprefix('* as ')} = {whole};"
    if what.startswith("{"):
        return f"const {what.replace(' as ', ': ')} = {whole};"
    return f"const {{ default: {what} }} = {whole};"


def _joined(name: str, source: str, first: str, linked: Mapping[str, str]) -> str:
    """Return a module that stays one of its own."""
    shares = False

    def take(found: re.Match[str]) -> str:
        nonlocal shares
        module = _resolve(name, found[2])
        if module not in linked:
            return found[0]
        shares = True
        return _taken(found[1], module)

    taken = _IMPORT.sub(take, source)
    to_first = relpath(first, dirname(name) or ".")
    return f'import {{ {LINKED} }} from "./{to_first}";\n{taken}' if shares else taken
