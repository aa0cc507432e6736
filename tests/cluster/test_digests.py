"""Checksums that come with a body: a body that does not match is not stored."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable

import pytest
import pytest_twisted

from storaged.system.sizes import Size
from tests.cluster.cluster import Cluster
from tests.cluster.test_round_trip import ChunkedBody

DATA = os.urandom(40_000)


def digest(name: str, data: bytes) -> str:
    return b64encode(hashlib.new(name, data).digest()).decode()


def headers(data: bytes) -> list[dict[str, str]]:
    return [
        {"Content_MD5": digest("md5", data)},
        {"Repr_Digest": f"sha-256=:{digest('sha256', data)}:"},
        {"Content_Digest": f"sha-512=:{digest('sha512', data)}:"},
        {"Repr_Digest": f"sha-256=:{digest('sha256', data)}:, md5=:{digest('md5', data)}:"},
        {"Content_Digest": f"adler=?1, sha-512=:{digest('sha512', data)}:", "Content_MD5": digest("md5", data)},
    ]


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_a_body_is_stored_where_it_is_what_was_announced(
    make_cluster: Callable[..., Cluster], small: bool, known: bool
) -> None:
    cluster = make_cluster(small_part=Size(200_000 if small else 0))
    await cluster.start()
    for number, announced in enumerate(headers(DATA)):
        body = DATA if known else ChunkedBody(DATA)
        assert (await cluster.ask("PUT", f"/good{number}", body, **announced)).code == 201
    for number, announced in enumerate(headers(DATA + b"x")):
        body = DATA if known else ChunkedBody(DATA)
        answer = await cluster.ask("PUT", f"/bad{number}", body, **announced)
        assert (answer.code, "nothing was stored" in answer.text) == (400, True)
        assert (await cluster.get(f"/bad{number}")).code == 404
        assert (await cluster.ask("PUT", "/good0", body, **announced)).code == 400
    assert (await cluster.get("/good0")).body == DATA
    await cluster.status_becomes(lambda status: status["reaper"]["doomed"] == status["uploads"]["under_way"] == 0)
    stored = {info.part_id.partition(".")[0] for node in cluster.nodes for info in await node.listed()}
    assert len(stored) == len(headers(DATA)), "only what was announced rightly"


@pytest.mark.parametrize("data", [b"", DATA])
@pytest_twisted.ensureDeferred
async def test_an_announcement_that_means_nothing_is_refused_before_the_body(cluster: Cluster, data: bytes) -> None:
    for wrong in (
        {"Content_MD5": "abc"},
        {"Repr_Digest": "sha-256=abc"},
        {"Content_Digest": "sha-256=:AAAA:"},
        {"Content_MD5": digest("md5", data), "Content_Digest": f"md5=:{digest('md5', data + b'x')}:"},
    ):
        answer = await cluster.put("/file", data, **wrong)
        assert (answer.code, next(iter(wrong)).partition("_")[0] in answer.text) == (400, True)
    assert (await cluster.put("/file", data, Repr_Digest="unixsum=30637")).code == 201


@pytest_twisted.ensureDeferred
async def test_an_empty_body_has_a_checksum_too(cluster: Cluster) -> None:
    assert (await cluster.put("/file", b"", Content_MD5=digest("md5", b"x"))).code == 400
    assert (await cluster.put("/file", b"", Content_MD5=digest("md5", b""))).code == 201
