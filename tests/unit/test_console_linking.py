"""The modules of the page, linked into one."""

from __future__ import annotations

import pytest

from splitd.frontends.console.linking import link


def test_a_module_is_a_function_and_its_imports_are_what_others_export() -> None:
    modules = {
        "app.js": (
            'import { double as twice, name } from "./lib/math.js";\nimport * as all from "./lib/math.js";\nrun();'
        ),
        "lib/math.js": "export const name = 1;\nexport function double() {}\nconst a = 2;\nexport { a as other };",
    }
    assert link(modules, "app.js") == {
        "app.js": (
            "export const linked = {};\n"
            "// lib/math.js\n(() => {\nconst name = 1;\nfunction double() {}\nconst a = 2;\n\n"
            ';linked["lib/math.js"] = { name, double, other: a };\n})();\n'
            '// app.js\n(() => {\nconst { double: twice, name } = linked["lib/math.js"];\n'
            'const all = linked["lib/math.js"];\nrun();\n;linked["app.js"] = {  };\n})();'
        )
    }


def test_a_module_that_is_imported_later_shares_what_is_linked() -> None:
    modules = {
        "app.js": 'import { a } from "./a.js";\nimport("./views/late.js");',
        "a.js": "export const a = 1;",
        "views/late.js": 'import { a } from "../a.js";\nimport { b } from "./b.js";',
        "views/b.js": "export const b = 1;",
    }
    linked = link(modules, "app.js")
    assert set(linked) == {"app.js", "views/late.js", "views/b.js"}
    assert linked["views/late.js"] == (
        'import { linked } from "./../app.js";\nconst { a } = linked["a.js"];\nimport { b } from "./b.js";'
    )
    assert linked["views/b.js"] == modules["views/b.js"]


@pytest.mark.parametrize(
    "source",
    [
        "export let a = 1;",
        'export * from "./b.js";',
        'import "./b.js";',
        'import a, { b } from "./b.js";',
        "export const { a } = {};",
    ],
)
def test_what_would_be_linked_wrongly_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"app\.js: this cannot be linked"):
        link({"app.js": source, "b.js": "export const b = 1;"}, "app.js")


def test_modules_in_a_circle_are_refused() -> None:
    modules = {name: f'import {{ x }} from "./{other}";\n' for name, other in (("a.js", "b.js"), ("b.js", "a.js"))}
    with pytest.raises(ValueError, match=r"in a circle: a\.js > b\.js > a\.js"):
        link(modules, "a.js")
