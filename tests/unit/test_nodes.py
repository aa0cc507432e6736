from __future__ import annotations

import pytest

from splitd.model.nodes import NodeEntry, RegistryInvalid
from splitd.nodes.entries import read_registry

GOOD = """\
# the first rack
- id: n1
  url: http://127.0.0.1:8091
- id: n2
  url: https://disks.example:8092/
  zone: rack-2
  weight: 0.5
  state: readonly
"""


def test_a_registry_is_a_list_of_nodes() -> None:
    assert read_registry("nodes.yaml", GOOD) == (
        NodeEntry("n1", "http://127.0.0.1:8091"),
        NodeEntry("n2", "https://disks.example:8092/", "rack-2", 0.5, "readonly"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: should be a list"),
        ("[]\n", "line 1: no nodes"),
        ("id: n1\n", "line 1: should be a list"),
        ("- id: n1\n  url: http://a:1\n- id: n1\n  url: http://b:1\n", "line 3: id n1 stands on line 1"),
        ("- id: n1\n  url: http://a:1\n- id: n2\n  url: http://a:1/\n", "line 3: url http://a:1 stands on line 1"),
        ("\n- id: n1\n", "line 2: .*url"),
        ("- id: n1\n  url: http://a:1\n  wieght: 2\n", "line 1: .*wieght"),
        ("- id: n1\n  url: http://a:1\n  state: off\n", "line 1: .*state"),
        ("- id: n1\n  url: http://a:1\n  weight: 0\n", "line 1: .*weight"),
        ("- id: a/b\n  url: http://a:1\n", "line 1: .*id"),
        ("- id: n1\n  url: a:1\n", "line 1: url 'a:1'"),
        ("- id: n1\n  url: http://a:99999\n", "line 1: url"),
        ("- id: n1\n  url: http://a:1/path\n", "line 1: url"),
        ("- id: n1\n url: http://a:1\n", "line 2"),
        ("- !!python/object/apply:os.system [ls]\n", "line 1"),
    ],
)
def test_a_bad_registry_is_refused_with_file_and_line(text: str, told: str) -> None:
    with pytest.raises(RegistryInvalid, match=told) as raised:
        read_registry("nodes.yaml", text)
    assert str(raised.value).startswith("nodes.yaml: ")
