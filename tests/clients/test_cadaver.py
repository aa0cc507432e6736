"""cadaver: the command line client of WebDAV."""

from __future__ import annotations

import re
from pathlib import Path

from tests.clients.programs import succeed
from tests.live.clients import ask


def test_cadaver_does_what_it_can(place: str, tmp_path: Path) -> None:
    (tmp_path / "local file").write_bytes(b"from cadaver\n" * 1000)
    (tmp_path / "small.txt").write_bytes(b"small\n")
    said = succeed(
        "cadaver",
        f"{place}/",
        folder=tmp_path,
        stdin=f"""
            mkcol one
            mkcol "two #2"
            put "local file"
            put small.txt "two #2/renamed 100%.txt"
            cd one
            put small.txt
            cd ..
            copy one three
            move "two #2" four
            move "local file" "moved file"
            ls
            propset small.txt nothing there
            set namespace urn:test
            propset "moved file" colour red
            propget "moved file" colour
            lock "moved file"
            discover "moved file"
            showlocks
            put small.txt "moved file"
            unlock "moved file"
            get four/{"renamed 100%.txt".replace(" ", chr(92) + " ")} got.txt
            get "moved file" "got moved"
            delete one/small.txt
            rmcol one
            ls
            quit
        """.replace("            ", ""),
    )
    assert (tmp_path / "got.txt").read_bytes() == b"small\n", said
    assert (tmp_path / "got moved").read_bytes() == b"small\n", said
    first, last = re.findall(r"Listing collection.*?succeeded\.\n(.*?)\n(?=dav:|$)", said, re.DOTALL)[:2]
    assert [name in first for name in ("one", "three", "four", "moved file")] == [True] * 4, said
    assert "one" not in last, said
    assert "red" in said
    assert ask(f"{place}/one").status == 404
    assert ask(f"{place}/three/small.txt").body == b"small\n"
    failed = [line for line in said.splitlines() if "failed" in line]
    assert len(failed) == 1, said  # of what is not there, no property can be set
