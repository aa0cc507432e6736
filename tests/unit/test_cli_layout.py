"""splitctl layout against a front with real sockets."""

from __future__ import annotations

import json

import pytest

from tests.unit.front_double import FrontDouble, run
from tests.unit.operators_double import RELAYOUT


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "/a b: new files are stored as 6+0, as the front's settings say\n"),
        ("/a b", "/a b: new files are stored as 6+0, as it asks for itself; the front's settings say 6+0\n"),
        ("/", "/a b: new files are stored as 6+0, as / asks for; the front's settings say 6+0\n"),
    ],
)
def test_it_says_which_layout_is_in_force_and_whence(front: FrontDouble, source: str | None, sentence: str) -> None:
    front.operators.layout = {"layout": "6+0", "source": source}
    result = run(front, "layout", "a b/")
    assert (result.exit_code, result.stdout) == (0, sentence)
    assert front.operators.asked == [{"path": "/a b"}]
    document = {"path": "/a b", "setting": "6+0", "layout": "6+0", "source": source}
    assert json.loads(run(front, "--json", "layout", "a b").stdout) == document


def test_it_asks_for_a_layout_and_takes_that_back(front: FrontDouble) -> None:
    assert run(front, "layout", "/", "6+2").exit_code == 0
    assert run(front, "layout", "/", "--unset").exit_code == 0
    assert front.operators.asked == [{"path": "/", "layout": "6+2"}, {"path": "/"}]
    assert [line.partition("?")[0] for line in front.seen] == ["PUT /layout", "DELETE /layout"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["6+2"], "splitctl layout / 6+2"),
        (["/c", "6+2", "--unset"], "either a LAYOUT or --unset"),
        (["/c", "--apply", "--stop"], "--stop goes alone"),
    ],
)
def test_what_is_meant_must_be_clear(front: FrontDouble, arguments: list[str], reason: str) -> None:
    result = run(front, "layout", *arguments)
    assert (result.exit_code, reason in result.stderr, front.seen) == (2, True, [])


def test_stored_files_get_the_layout_too(front: FrontDouble) -> None:
    result = run(front, "layout", "/c", "--apply")
    assert (result.exit_code, result.stdout) == (
        0,
        "/c: 12 files, 7 get other parity, 2 are cut into another number of data parts and stay as they are, 1 must be "
        "healed first: begin it once more then\n",
    )
    assert front.operators.asked == [{"path": "/c"}]
    assert json.loads(run(front, "--json", "layout", "/c", "--apply").stdout) == RELAYOUT


def test_a_collection_and_its_files_get_a_layout_in_one_step(front: FrontDouble) -> None:
    assert run(front, "layout", "/c", "6+2", "--apply").exit_code == 0
    assert [line.partition("?")[0] for line in front.seen][:2] == ["PUT /layout", "POST /layout/apply"]


def test_giving_them_a_layout_is_stopped(front: FrontDouble) -> None:
    assert run(front, "layout", "--stop").exit_code == 0
    assert [line.partition("?")[0] for line in front.seen] == ["DELETE /layout/apply"]
