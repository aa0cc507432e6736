"""curl: the requests that people and their scripts make."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.programs import run, succeed

DATA = os.urandom(3_000_000)

Curl = Callable[..., str]


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    """A function that runs curl, which must succeed: the answer is below 400."""
    return lambda *arguments: succeed("curl", "-sS", "--fail-with-body", *arguments, folder=tmp_path)


@pytest.fixture
def file(place: str, tmp_path: Path, curl: Curl) -> str:
    """The URL of a file that holds `DATA`."""
    (tmp_path / "data").write_bytes(DATA)
    curl("-T", "data", f"{place}/file")
    return f"{place}/file"


def status(tmp_path: Path, *arguments: str) -> str:
    """Return the status of curl's last answer."""
    return run("curl", "-sS", "-o", "body", "-w", "%{http_code}", *arguments, folder=tmp_path).said


def test_curl_uploads_under_the_names_of_files(place: str, tmp_path: Path, curl: Curl) -> None:
    for name in ("with space", "100%", "what?", "hash#tag", "caf\u00e9"):
        (tmp_path / name).write_bytes(name.encode())
        curl("-T", name, f"{place}/")
    (tmp_path / "empty").write_bytes(b"")
    curl("-T", "{empty,with space}", f"{place}/")
    for url, name in {"with%20space": "with space", "100%25": "100%", "what%3F": "what?", "hash%23tag": "hash#tag",
                      "caf\u00e9": "caf\u00e9"}.items():  # fmt: skip
        assert curl(f"{place}/{url}") == name
    assert curl(f"{place}/empty") == ""


def test_curl_uploads_what_it_does_not_know_the_length_of(place: str, tmp_path: Path, curl: Curl, file: str) -> None:
    succeed("sh", "-c", f"cat data | curl -sS --fail -T - {place}/piped", folder=tmp_path)
    curl("-o", "got", f"{place}/piped")
    assert (tmp_path / "got").read_bytes() == DATA


def test_curl_resumes_a_download(tmp_path: Path, curl: Curl, file: str) -> None:
    (tmp_path / "got").write_bytes(DATA[:1_234_567])
    curl("-C", "-", "-o", "got", file)
    assert (tmp_path / "got").read_bytes() == DATA


def test_curl_gets_ranges(tmp_path: Path, curl: Curl, file: str) -> None:
    for asked, data in {"0-0": DATA[:1], "5-9": DATA[5:10], "-7": DATA[-7:], "2999990-": DATA[-10:]}.items():
        assert status(tmp_path, "-r", asked, file) == "206"
        assert (tmp_path / "body").read_bytes() == data
    assert status(tmp_path, "-r", "3000000-", file) == "416"


def test_curl_gets_several_ranges_at_once(tmp_path: Path, curl: Curl, file: str) -> None:
    assert status(tmp_path, "-D", "head", "-r", "0-9,1000000-1999999,-5", file) == "206"
    kind = re.search(
        r"(?im)^content-type: multipart/byteranges; *boundary=\"?([^\"\r\n]+)", (tmp_path / "head").read_text()
    )
    assert kind
    parts = (tmp_path / "body").read_bytes().split(b"--" + kind[1].encode())
    pieces = [part.partition(b"\r\n\r\n") for part in parts[1:-1]]
    assert [body.removesuffix(b"\r\n") for _, _, body in pieces] == [DATA[:10], DATA[1_000_000:2_000_000], DATA[-5:]]
    ranges = [re.search(rb"(?i)content-range: bytes ([0-9]+-[0-9]+/[0-9]+)", head) for head, _, _ in pieces]
    assert [found and found[1] for found in ranges] == [
        b"0-9/3000000", b"1000000-1999999/3000000", b"2999995-2999999/3000000"
    ]  # fmt: skip


def test_curl_asks_again_only_for_what_has_changed(tmp_path: Path, curl: Curl, file: str) -> None:
    curl("--etag-save", "etag", "-R", "-o", "got", file)
    assert status(tmp_path, "--etag-compare", "etag", file) == "304"
    assert status(tmp_path, "-z", "got", file) == "304"
    (tmp_path / "other").write_bytes(b"other")
    curl("-T", "other", file)
    assert status(tmp_path, "--etag-compare", "etag", file) == "200"
    assert (tmp_path / "body").read_bytes() == b"other"


def test_curl_makes_copies_moves_and_deletes(place: str, tmp_path: Path, curl: Curl, file: str) -> None:
    curl("-X", "MKCOL", f"{place}/a")
    curl("-X", "COPY", "-H", f"Destination: {place}/a/copy%20%23", file)
    curl("-X", "MOVE", "-H", f"Destination: {place}/b", f"{place}/a")
    curl("-o", "got", f"{place}/b/copy%20%23")
    assert (tmp_path / "got").read_bytes() == DATA
    listing = curl("-X", "PROPFIND", "-H", "Depth: 1", f"{place}/b")
    assert re.search(r"<[^<>]*href>[^<>]*/b/copy%20%23</", listing)
    assert re.search(r"getcontentlength[^<>]*>3000000</", listing)
    assert (
        status(tmp_path, "-X", "COPY", "-H", f"Destination: {place}/b/copy%20%23", "-H", "Overwrite: F", file) == "412"
    )
    assert status(tmp_path, "-X", "PROPFIND", "-H", "Depth: 1", f"{place}/a") == "404"
    curl("-X", "DELETE", f"{place}/b")
    assert status(tmp_path, f"{place}/b/copy%20%23") == "404"


def test_curl_sends_digests_that_are_checked(place: str, tmp_path: Path, curl: Curl, file: str) -> None:
    def digest(data: bytes) -> str:
        return f"Repr-Digest: sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"

    def md5(data: bytes) -> str:
        return f"Content-MD5: {base64.b64encode(hashlib.md5(data).digest()).decode()}"

    for make in (digest, md5):
        curl("-H", make(DATA), "-T", "data", f"{place}/right")
        assert status(tmp_path, "-H", make(DATA + b"x"), "-T", "data", f"{place}/wrong") == "400"
        assert status(tmp_path, f"{place}/wrong") == "404"


def test_curl_follows_nothing_to_open_a_collection(place: str, tmp_path: Path) -> None:
    for url in (place, f"{place}/"):
        assert status(tmp_path, url) == "200"
        assert status(tmp_path, "-I", url) == "200"
        assert status(tmp_path, "-X", "PROPFIND", "-H", "Depth: 0", url) == "207"
