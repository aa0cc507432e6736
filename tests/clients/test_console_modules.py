"""Modules of the console's page, in a real engine without a page."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from splitd.frontends.console.linking import link
from tests.clients.programs import find

MODULES = {
    "app.js": (
        'import { double as twice, Base } from "./lib/math.js";\nimport * as words from "./words.js";\n'
        'import make from "./lib/make.js";\n'
        "class Own extends Base {}\n"
        'export const later = () => import("./later.js");\n'
        "globalThis.said = [twice(21), words.hello, new Own().name, make(1)];\n"
        "later().then((module) => console.log(JSON.stringify([...globalThis.said, module.same(Base), module.own])));\n"
    ),
    "lib/math.js": (
        'import make from "./make.js";\nexport function double(number) {\n  return make(number)[0] * 2;\n}\n'
        'export class Base {\n  name = "base";\n}\n'
    ),
    "lib/make.js": 'export default function (each) {\n  return [each, "made"];\n}\n',
    "words.js": 'const a="hello";const b=1;export{a as hello,b};',
    "later.js": (
        'import { Base } from "./lib/math.js";\nimport { own } from "./alone.js";\n'
        "export const same = (other) => other === Base;\nexport { own };\n"
    ),
    "alone.js": "export async function unused() {}\nexport const own = 7;\n",
}


def test_linked_modules_do_what_they_did_apart(tmp_path: Path) -> None:
    said = []
    for modules in (MODULES, link(MODULES, "app.js")):
        folder = tmp_path / str(len(modules))
        for name, source in modules.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        (folder / "package.json").write_text('{"type": "module"}')
        done = subprocess.run([find("node"), folder / "app.js"], capture_output=True, check=True)
        said.append(json.loads(done.stdout))
    assert said == [[42, "hello", "base", [1, "made"], True, 7]] * 2


@pytest.mark.parametrize("language", ["en", "ru"])
def test_numbers_days_and_plurals_are_those_of_the_language(tmp_path: Path, language: str) -> None:
    module = tmp_path / "languages.mjs"
    module.write_bytes((files("splitd.frontends.console") / "assets" / "languages.js").read_bytes())
    script = Path(__file__).with_name("languages.mjs")
    done = subprocess.run([find("node"), script, module, language], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


FORMS = ({"one", "other"}, {"one", "few", "many", "other"})
"""The forms by number of English and Russian."""

ASSETS = files("splitd.frontends.console") / "assets"


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, list[Any]]:
    """The words of the page: by name, those of each language."""
    for name, more in (("languages.js", ""), ("texts.js", "\nexport { texts };\n")):
        (tmp_path / name).write_text((ASSETS / name).read_text() + more)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "print.js").write_text(
        'globalThis.localStorage = { getItem: () => "ru" };\n'
        'import("./texts.js").then(({ texts }) => console.log(JSON.stringify(texts)));\n'
    )
    done = subprocess.run([find("node"), tmp_path / "print.js"], capture_output=True, check=True)
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def values(text: str) -> set[str]:
    """The values that a text has a place for."""
    return set(re.findall(r"\{\d\}", text))


def test_each_text_says_the_same_in_both_languages(texts: dict[str, list[Any]]) -> None:
    for name, languages in texts.items():
        assert len(languages) == len(FORMS), name
        for text, forms in zip(languages, FORMS, strict=True):
            assert isinstance(text, str) or text.keys() == forms, name
        said = [set() if isinstance(each, str) else set(each.values()) for each in languages]
        places = [values(each) if isinstance(each, str) else values("".join(each.values())) for each in languages]
        assert places[0] == places[1], name
        # The form for one thing may name it instead of its number; all others tell the number.
        assert all(places[0] - values(each) <= {"{0}", "{1}"} for forms in said for each in forms), name


def test_the_page_has_all_texts_that_it_uses_and_no_others(texts: dict[str, list[Any]]) -> None:
    source = "".join(
        each.read_text() for each in ASSETS.iterdir() if each.name.endswith(".js") and each.name != "texts.js"
    )
    named = set(re.findall(r'\bt\("([^"]+)"', source))
    assert named - texts.keys() == set()
    begun = tuple(re.findall(r"\bt\(`([^$`]+)\$", source))
    assert len(begun) > 3
    quoted = set(re.findall(r'"([\w-]+)"', source))
    assert {name for name in texts if name not in quoted and not name.startswith(begun)} == set()
