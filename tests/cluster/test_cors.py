"""Pages of other origins use the store from browsers, if the settings let them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_twisted

from splitd.frontends.webdav.answers import ALLOWED
from splitd.model.cors import METHODS, make_cors
from storaged.system.words import Words
from tests.cluster.cluster import Cluster

APP = "https://app.example"


@pytest_twisted.ensureDeferred
async def test_a_preflight_allows_each_method_and_asks_for_no_login(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(cors_origins=Words([APP, "http://localhost:3000"]), cors_max_age_s=60)
    await cluster.start()
    assert sorted(METHODS) == sorted([*ALLOWED.split(", "), "PATCH", "POST"])
    for method in METHODS:
        for path in ("/", "/missing/file"):
            answer = await cluster.ask("OPTIONS", path, Origin=APP, Access_Control_Request_Method=method)
            assert (answer.code, answer.body) == (204, b"")
            assert answer.header("Access-Control-Allow-Origin") == APP
            assert method in (answer.header("Access-Control-Allow-Methods") or "").split(", ")
            assert "Destination" in (answer.header("Access-Control-Allow-Headers") or "").split(", ")
            assert answer.header("Access-Control-Max-Age") == "60"
            assert answer.header("Access-Control-Allow-Credentials") is None
            assert answer.header("Vary") == "Origin"


@pytest_twisted.ensureDeferred
async def test_answers_and_errors_can_be_read_by_the_pages_that_may(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(cors_origins=Words([APP]), cors_credentials=True)
    await cluster.start()
    put = await cluster.put("/file", b"abc", Origin=APP)
    got = await cluster.get("/file", Origin=APP, Range="bytes=0-1")
    missing = await cluster.get("/missing", Origin=APP)
    assert [put.code, got.code, missing.code] == [201, 206, 404]
    for answer in (put, got, missing):
        assert answer.header("Access-Control-Allow-Origin") == APP
        assert answer.header("Access-Control-Allow-Credentials") == "true"
        assert "Content-Range" in (answer.header("Access-Control-Expose-Headers") or "").split(", ")


@pytest.mark.parametrize(
    "origin", ["https://other.example", "http://app.example", "https://app.example:8443", "null", ""]
)
@pytest_twisted.ensureDeferred
async def test_other_pages_get_no_such_header(make_cluster: Callable[..., Cluster], origin: str) -> None:
    cluster = make_cluster(cors_origins=Words([APP]))
    await cluster.start()
    for answer in [
        await cluster.ask("OPTIONS", "/", Origin=origin, Access_Control_Request_Method="PUT"),
        await cluster.get("/", Origin=origin),
    ]:
        assert answer.code == 200
        assert answer.header("Access-Control-Allow-Origin") is None
        assert "Origin" in (answer.header("Vary") or "")


@pytest_twisted.ensureDeferred
async def test_without_settings_and_for_operators_there_is_nothing_of_it(
    make_cluster: Callable[..., Cluster], cluster: Cluster
) -> None:
    assert (await cluster.get("/", Origin=APP)).header("Access-Control-Allow-Origin") is None
    everybody = make_cluster(cors_origins=Words(["*"]))
    await everybody.start()
    assert (await everybody.get("/", Origin=APP)).header("Access-Control-Allow-Origin") == "*"
    status = await everybody.ask("GET", f"{everybody.admin_url}/status", Origin=APP)
    assert status.header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"origins": ["https://app.example/"]}, "cors_origins: https://app.example/ is not an origin"),
        ({"origins": ["app.example"]}, "cors_origins: app.example is not an origin"),
        ({"origins": ["null"]}, "cors_origins: null is not an origin"),
        ({"origins": ["*", APP]}, "cors_origins: .* no other"),
        ({"origins": ["*"], "credentials": True}, "cors_credentials: .* name them"),
        ({"credentials": True}, "cors_credentials: there are no cors_origins"),
        ({"origins": [APP], "methods": ["TRACE"]}, "cors_methods: TRACE is not a method"),
        ({"origins": [APP], "headers": ["a b"]}, "cors_headers: a b is not the name"),
        ({"origins": [APP], "exposed": ["*"]}, "cors_exposed: . is not the name"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"origins": [], "methods": [], "headers": [], "exposed": [], "credentials": False}
    with pytest.raises(ValueError, match=message):
        make_cors(**(given | settings), max_age_s=0)  # type: ignore[arg-type]
