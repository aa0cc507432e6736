"""If-Match and If-None-Match, on every method that supports them."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import eventually

OTHER = '"00000000000000000000000000000000"'


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest_twisted.ensureDeferred
async def test_a_file_is_sent_only_under_its_condition(cluster: Cluster, method: str) -> None:
    etag = (await cluster.put("/file", b"abc")).header("ETag")
    assert etag
    for headers, code in [
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f"W/{etag}"}, 304),
        ({"If_None_Match": f"{OTHER}, {etag}"}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": OTHER}, 200),
        ({"If_Match": etag}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": f"{OTHER},{etag}"}, 200),
        ({"If_Match": OTHER}, 412),
        ({"If_Match": f"W/{etag}"}, 412),
        ({"If_Match": "abc"}, 400),
    ]:
        answer = await cluster.ask(method, "/file", **headers)
        assert answer.code == code, headers
        assert (answer.body == b"abc") is (code == 200 and method == "GET")
        assert (answer.header("ETag") == etag) is (code in {200, 304})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest_twisted.ensureDeferred
async def test_a_version_the_client_has_is_not_sent_where_if_holds_too(cluster: Cluster, method: str) -> None:
    etag = (await cluster.put("/file", b"abc")).header("ETag")
    assert etag
    assert (await cluster.ask(method, "/file", If_None_Match=etag, If=f"([{etag}])")).code == 304
    assert (await cluster.ask(method, "/file", If_None_Match=etag, If=f"([{OTHER}])")).code == 412


@pytest_twisted.ensureDeferred
async def test_a_file_is_replaced_only_under_its_condition(cluster: Cluster) -> None:
    first = await cluster.put("/file", b"first")
    for headers in ({"If_None_Match": "*"}, {"If_Match": OTHER}, {"If_None_Match": str(first.header("ETag"))}):
        refused = await cluster.put("/file", b"second", **headers)
        assert (refused.code, "does not hold" in refused.text) == (412, True)
    assert (await cluster.get("/file")).body == b"first"
    second = await cluster.put("/file", b"second", If_Match=str(first.header("ETag")))
    assert second.code == 204
    assert second.header("ETag") != first.header("ETag")
    assert (await cluster.put("/file", b"third", If_Match=str(first.header("ETag")))).code == 412
    assert (await cluster.get("/file")).body == b"second"


@pytest_twisted.ensureDeferred
async def test_what_is_missing_matches_nothing(cluster: Cluster) -> None:
    assert (await cluster.put("/file", b"x", If_Match="*")).code == 412
    assert (await cluster.put("/file", b"x", If_Match=OTHER)).code == 412
    assert (await cluster.get("/file")).code == 404
    assert cluster.nothing_stored()


@pytest_twisted.ensureDeferred
async def test_a_file_is_deleted_only_under_its_condition(cluster: Cluster) -> None:
    etag = str((await cluster.put("/file", b"abc")).header("ETag"))
    assert (await cluster.ask("DELETE", "/file", If_Match=OTHER)).code == 412
    assert (await cluster.ask("DELETE", "/file", If_None_Match="*")).code == 412
    assert (await cluster.get("/file")).body == b"abc"
    assert (await cluster.ask("DELETE", "/file", If_Match=etag)).code == 204
    assert (await cluster.get("/file")).code == 404


@pytest.mark.parametrize("size", [0, 10_000])
@pytest_twisted.ensureDeferred
async def test_of_many_who_create_one_name_one_succeeds_and_the_others_leave_nothing(
    cluster: Cluster, size: int
) -> None:
    bodies = [bytes([number]) * size for number in range(12)]
    asked = [Deferred.fromCoroutine(cluster.put("/file", body, If_None_Match="*")) for body in bodies]
    answers: list[Answer] = await gatherResults(asked)
    assert sorted(answer.code for answer in answers) == [201] + [412] * 11
    winner = next(number for number, answer in enumerate(answers) if answer.code == 201)
    got = await cluster.get("/file")
    assert (got.body, got.header("ETag")) == (bodies[winner], answers[winner].header("ETag"))
    await eventually(lambda: len(cluster.uploads_stored()) == (size > 0), "only the winner's parts")
    assert [len(parts) for parts in cluster.parts().values()] == [size > 0] * 6


@pytest_twisted.ensureDeferred
async def test_of_many_who_replace_one_version_one_succeeds(cluster: Cluster) -> None:
    etag = str((await cluster.put("/file", b"old")).header("ETag"))
    asked = [Deferred.fromCoroutine(cluster.put("/file", bytes([number]), If_Match=etag)) for number in range(8)]
    answers: list[Answer] = await gatherResults(asked)
    assert sorted(answer.code for answer in answers) == [204] + [412] * 7
    await eventually(lambda: len(cluster.uploads_stored()) == 1, "only the winner's parts")


LONG_AGO, TOMORROW = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest_twisted.ensureDeferred
async def test_a_time_is_a_condition_where_no_tag_is(cluster: Cluster, method: str) -> None:
    put = await cluster.put("/file", b"abc")
    etag, then = str(put.header("ETag")), str(put.header("Last-Modified"))
    for headers, code in [
        ({"If_Modified_Since": then}, 304),
        ({"If_Modified_Since": TOMORROW}, 304),
        ({"If_Modified_Since": LONG_AGO}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_Modified_Since": "\u00fc"}, 200),
        ({"If_Modified_Since": "Sat, 99 Jan 99999999 00:00:00 GMT"}, 200),
        ({"If_Unmodified_Since": then}, 200),
        ({"If_Unmodified_Since": TOMORROW}, 200),
        ({"If_Unmodified_Since": LONG_AGO}, 412),
        ({"If_Unmodified_Since": "yesterday"}, 200),
        # Tags say more than times (RFC 9110 section 13.2.2).
        ({"If_None_Match": OTHER, "If_Modified_Since": TOMORROW}, 200),
        ({"If_None_Match": etag, "If_Modified_Since": LONG_AGO}, 304),
        ({"If_Match": etag, "If_Unmodified_Since": LONG_AGO}, 200),
        ({"If_Match": OTHER, "If_Unmodified_Since": TOMORROW}, 412),
        ({"If_Unmodified_Since": LONG_AGO, "If_None_Match": etag}, 412),
    ]:
        answer = await cluster.ask(method, "/file", **headers)
        assert answer.code == code, headers
        assert (answer.header("ETag") == etag) is (code != 412)


@pytest_twisted.ensureDeferred
async def test_what_has_changed_since_is_not_changed_again(cluster: Cluster) -> None:
    await cluster.put("/file", b"abc")
    for method, body in (("PUT", b"x"), ("DELETE", None), ("MOVE", None), ("COPY", None)):
        answer = await cluster.ask(method, "/file", body, Destination="/x", If_Unmodified_Since=LONG_AGO)
        assert (answer.code, "If-Unmodified-Since" in answer.text) == (412, True)
    assert (await cluster.put("/new", b"x", If_Unmodified_Since=LONG_AGO)).code == 201
    # It matters to those who read only.
    assert (await cluster.put("/file", b"x", If_Modified_Since=TOMORROW)).code == 204
