"""The components of the tour of `splitctl demo`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from rich.console import Console

from splitd.cli.demo.disks import LiveJournal, NodeDisk, flipped_byte, payload_of
from splitd.cli.demo.files import InterruptedStream, Sample, make_sample
from splitd.cli.demo.report import Report, show_summary
from splitd.cli.demo.results import Check, Measure, StepResult, all_passed
from splitd.cli.demo.scene import Scene, Step
from splitd.cli.demo.sizes import SizeType
from splitd.cli.demo.tour import run_tour
from splitd.cli.errors import CommandFailed
from splitd.model.records import PartsGone, Record, UploadAborted, UploadStarted, encode_line
from storaged.parts.format import PartEncoder, PartId

UPLOAD, OTHER = "ab" * 16, "ac" * 16
GOOD, BAD = Check("it holds", True, "1", "1"), Check("it holds", False, "1", "2")


def output(steps: Callable[[Console], None], encoding: str = "utf-8") -> str:
    """Return what is printed without a terminal."""
    data = io.BytesIO()
    file = io.TextIOWrapper(data, encoding)
    steps(Console(file=file, width=200, markup=False, highlight=False))
    file.flush()
    return data.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (StepResult(1, "t", [GOOD]), "passed"),
        (StepResult(1, "t", [GOOD, BAD]), "failed"),
        (StepResult(1, "t", [GOOD], problem="broke"), "failed"),
        (StepResult(1, "t"), "failed"),
        (StepResult(1, "t", left_out="why"), "left out"),
    ],
)
def test_a_step_passes_when_it_checked_something_and_all_of_it_holds(result: StepResult, verdict: str) -> None:
    assert result.verdict == result.document()["result"] == verdict


def test_all_passed_when_something_was_run_and_nothing_failed() -> None:
    good, bad = StepResult(1, "t", [GOOD]), StepResult(2, "t", [BAD])
    left_out = StepResult(3, "t", left_out="why")
    assert all_passed([good, left_out])
    assert not all_passed([good, bad])
    assert not all_passed([left_out])
    assert not all_passed([])


@pytest.mark.parametrize(("value", "text"), [(2.25, "2.2 s"), (100.6, "101 s"), (3.0, "3 s")])
def test_a_measure_has_the_digits_that_matter(value: float, text: str) -> None:
    assert str(Measure("time", value, "s")) == text


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("8MiB", 2**23), ("1gib", 2**30), ("500 MB", 500_000_000), (" 2KiB ", 2048)]
)
def test_sizes_are_read_with_and_without_a_unit(text: str, size: int) -> None:
    assert SizeType(1).convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5GiB", "8 apples", "1KiB"])
def test_what_is_no_size_or_too_small_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SizeType(2000).convert(text, None, None)


def test_something_happens_once_in_the_middle_of_an_interrupted_stream() -> None:
    read = bytearray()
    happened: list[bytes] = []
    stream = InterruptedStream(b"0123456789", 4, lambda: happened.append(bytes(read)))
    while piece := stream.read1(3):
        read += piece
    assert stream.read1(3) == b""
    assert (bytes(read), happened) == (b"0123456789", [b"0123"])


def test_a_sample_knows_its_bytes(tmp_path: Path) -> None:
    sample = make_sample(tmp_path / "sample", 2**20 + 3)
    assert sample.path.stat().st_size == sample.size == 2**20 + 3
    assert sample.read(2**20, 100) == sample.path.read_bytes()[2**20 :]


def test_parts_are_found_by_their_upload_and_their_payload_is_counted(tmp_path: Path) -> None:
    encoder = PartEncoder(PartId(UPLOAD, 3), 10)
    part = tmp_path / "parts" / "ab" / f"{UPLOAD}.3"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"".join([*encoder.encode(b"x" * 25), *encoder.finish()]))
    disk = NodeDisk("n1", tmp_path)
    assert (disk.parts(UPLOAD), disk.parts(), disk.parts(OTHER)) == ([part], [part], [])
    assert payload_of(part) == 25


def test_a_flipped_byte_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"abc")
    with flipped_byte(path, 1):
        assert path.read_bytes() == bytes([ord("a"), ord("b") ^ 0xFF, ord("c")])
    assert path.read_bytes() == b"abc"


def test_the_journal_is_read_without_the_line_that_is_being_written(tmp_path: Path) -> None:
    records: list[Record] = [
        UploadStarted(UPLOAD, "/f", ("n1",), 1),
        UploadStarted(OTHER, "/g", ("n1",), 1),
        UploadAborted(UPLOAD, "gone", 2),
        PartsGone("n1", (f"{OTHER}.0",)),
        PartsGone("n1", (f"{OTHER}.1", f"{UPLOAD}.0")),
    ]
    lines = [encode_line(number, number - 1, record) for number, record in enumerate(records, 1)]
    (tmp_path / "journal-0000000001.jsonl").write_bytes(b"".join(lines) + b'{"seq":6,"cr')
    journal = LiveJournal(tmp_path)
    assert journal.last_upload_of("/f") == UPLOAD
    assert journal.last_upload_of("/nothing") == ""
    assert journal.records_of(UPLOAD) == [
        (lines[0].decode().rstrip(), "upload-started"),
        (lines[2].decode().rstrip(), "upload-aborted"),
        (lines[4].decode().rstrip(), "parts-gone"),
    ]


def scene(tmp_path: Path) -> Scene:
    return Scene(Sample(tmp_path, 0, ""), None, "http://127.0.0.1:1", "/demo")


def good(_: Scene, report: Report) -> None:
    report.equal("one is one", 1, 1)


def bad(_: Scene, report: Report) -> None:
    report.equal("one is two", 2, 1)


def broken(_: Scene, __: Report) -> None:
    raise CommandFailed("the wire is cut")


def test_every_step_is_run_though_one_fails_and_those_that_need_more_are_left_out(tmp_path: Path) -> None:
    steps = [Step("a", "", good), Step("b", "", bad), Step("c", "", broken), Step("d", "", good, "the disks")]
    steps.append(Step("e", "", good))
    results = run_tour(scene(tmp_path), Console(quiet=True), steps)
    assert [result.verdict for result in results] == ["passed", "failed", "failed", "left out", "passed"]
    assert results[2].problem == "the wire is cut"
    assert "the disks" in results[3].left_out


def test_without_a_service_there_is_no_tour(tmp_path: Path) -> None:
    results = run_tour(scene(tmp_path), Console(quiet=True), [Step("a", "", broken), Step("b", "", good)])
    assert [result.verdict for result in results] == ["failed"]


def test_what_failed_is_told_with_what_was_expected_and_found_and_without_colours(tmp_path: Path) -> None:
    def tour(console: Console) -> None:
        show_summary(console, run_tour(scene(tmp_path), console, [Step("a", "why", good), Step("b", "", bad)]))

    said = output(tour)
    assert "✓ one is one\n" in said
    assert "✗ one is two: expected 2, found 1\n" in said
    assert "\x1b" not in said


def test_marks_that_the_terminal_cannot_show_are_words(tmp_path: Path) -> None:
    steps = [Step("a", "", good), Step("b", "", bad)]
    said = output(lambda console: show_summary(console, run_tour(scene(tmp_path), console, steps)), "ascii")
    assert "ok one is one\n" in said
    assert "FAILED one is two" in said
