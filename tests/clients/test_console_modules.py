"""Modules of the console's page, in a real engine without a page."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path

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
