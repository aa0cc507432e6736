"""Users: who may do what, by every method and at every endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_twisted

from splitd.frontends.webdav.answers import ALLOWED
from tests.cluster.cluster import Answer, Cluster
from tests.cluster.waiting import becomes, eventually
from tests.users import ANNA, NORA, RITA, ROOT, TOKEN, WILMA, basic, bearer, hashed, write_users

WRONG = basic("wilma", "wrong")
CALLERS = {"nobody": "", "wrong": WRONG, "nora": NORA, "rita": RITA, "wilma": WILMA, "root": ROOT}

LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
)
UPDATE = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><z xmlns="urn:z">1</z></D:prop></D:set></D:propertyupdate>'

Row = tuple[str, bytes | None, dict[str, str], tuple[int, int, int, int, int, int]]

FILES: dict[str, Row] = {
    # path, body, headers; answers to: nobody, wrong password, no grant, read, write, operator
    "OPTIONS": ("/f", None, {}, (200, 401, 200, 200, 200, 200)),
    "GET": ("/f", None, {}, (401, 401, 404, 200, 200, 200)),
    "HEAD": ("/f", None, {}, (401, 401, 404, 200, 200, 200)),
    "PUT": ("/f", b"new", {}, (401, 401, 404, 403, 204, 204)),
    "DELETE": ("/c/1", None, {}, (401, 401, 404, 403, 204, 204)),
    "MKCOL": ("/new", None, {}, (401, 401, 404, 403, 201, 201)),
    "COPY": ("/f", None, {"Destination": "/g"}, (401, 401, 404, 403, 201, 201)),
    "MOVE": ("/c/2", None, {"Destination": "/h"}, (401, 401, 404, 403, 201, 201)),
    "PROPFIND": ("/", None, {"Depth": "1"}, (401, 401, 404, 207, 207, 207)),
    "PROPPATCH": ("/f", UPDATE, {}, (401, 401, 404, 403, 207, 207)),
    "LOCK": ("/new", LOCKINFO, {"Timeout": "Second-1"}, (401, 401, 404, 403, 201, 201)),
    "UNLOCK": ("/f", None, {"Lock-Token": "<urn:none>"}, (401, 401, 404, 403, 409, 409)),
}

OPEN = {"/health", "/ready"}


@pytest_twisted.async_yield_fixture
async def guarded(make_guarded: Callable[..., Awaitable[Cluster]]) -> AsyncIterator[Cluster]:
    """A started cluster with the users of `write_users`, the files /f and /public/p, and the collection /c."""
    yield await make_guarded(
        *("/c", "/public", "/anna", "/anna/fixed", "/anna/secret"),
        files=["/f", "/public/p", "/anna/a", "/anna/fixed/x", "/anna/secret/s"],
    )


async def ask(cluster: Cluster, caller: str, method: str, path: str, data: bytes | None = None, **more: str) -> Answer:
    login = {"Authorization": caller} if caller else {}
    return await cluster.ask(method, path, data, **login, **more)


def test_no_method_is_forgotten() -> None:
    assert set(FILES) == set(ALLOWED.split(", "))


@pytest_twisted.ensureDeferred
async def test_each_method_is_for_those_who_may(guarded: Cluster) -> None:
    for method, (path, data, headers, expected) in FILES.items():
        for (name, caller), code in zip(CALLERS.items(), expected, strict=True):
            # Each caller finds the same: what a method needs is made, what it makes is gone.
            for gone in ("/new", "/g", "/h"):
                await ask(guarded, ROOT, "DELETE", gone)
            for there in ("/c/1", "/c/2"):
                await ask(guarded, ROOT, "PUT", there, b"x")
            answer = await ask(guarded, caller, method, path, data, **headers)
            assert (method, name, answer.code) == (method, name, code)
            assert (answer.header("WWW-Authenticate") is not None) == (code == 401)
            if method == "LOCK" and code == 201:
                token = answer.header("Lock-Token") or ""
                assert (await ask(guarded, caller, "UNLOCK", path, Lock_Token=token)).code == 204


@pytest_twisted.ensureDeferred
async def test_the_operators_port_is_for_operators(guarded: Cluster) -> None:
    admin = guarded.admin_url
    listed = (await ask(guarded, ROOT, "GET", f"{admin}/nothing")).text
    paths = re.findall(r"/[a-z/]+", listed)
    assert set(paths) > OPEN
    for path in paths:
        codes = {}
        for name, caller in CALLERS.items():
            # A method that nothing has: those who may come as far as to be told so, and nothing is done.
            codes[name] = (await ask(guarded, caller, "BREW", admin + path)).code
        if path in OPEN:
            assert set(codes.values()) == {405}, path
        else:
            refused = {"nobody": 401, "wrong": 401, "nora": 403, "rita": 403, "wilma": 403, "root": 405}
            assert codes == refused, path
    for path in OPEN:
        assert (await ask(guarded, "", "GET", admin + path)).code in {200, 503}
    assert (await ask(guarded, "", "GET", f"{admin}/nothing")).code == 401
    assert (await ask(guarded, ROOT, "GET", f"{admin}/status")).code == 200


@pytest_twisted.ensureDeferred
async def test_everybody_may_read_what_is_public_and_is_asked_to_log_in_elsewhere(guarded: Cluster) -> None:
    assert (await ask(guarded, "", "GET", "/public/p")).text == "content"
    assert (await ask(guarded, "", "GET", "/public/nothing")).code == 404
    assert (await ask(guarded, "", "PUT", "/public/p", b"x")).code == 401
    assert (await ask(guarded, NORA, "PUT", "/public/p", b"x")).code == 403
    assert (await ask(guarded, WRONG, "GET", "/public/p")).code == 401
    for path in ("/f", "/nothing"):  # whether it is there or not
        answer = await ask(guarded, "", "GET", path)
        assert (answer.code, answer.header("WWW-Authenticate")) == (401, 'Basic realm="splitd", charset="UTF-8"')


@pytest_twisted.ensureDeferred
async def test_a_token_logs_in_alone_and_as_a_password(guarded: Cluster) -> None:
    for caller in (bearer(), basic("nora", TOKEN)):
        assert (await ask(guarded, caller, "GET", "/public/p")).code == 200
        assert (await ask(guarded, caller, "GET", "/f")).code == 404
    answer = await ask(guarded, bearer(TOKEN + "x"), "GET", "/public/p")
    assert (answer.code, answer.header("WWW-Authenticate")) == (401, 'Bearer realm="splitd", error="invalid_token"')
    assert (await ask(guarded, basic("rita", TOKEN), "GET", "/public/p")).code == 401


@pytest_twisted.ensureDeferred
async def test_what_is_hidden_is_in_no_answer(guarded: Cluster) -> None:
    for method, path, headers in [
        ("GET", "/anna/", {}),
        ("GET", "/anna/", {"Accept": "application/json"}),
        ("GET", "/anna/?limit=1", {"Accept": "application/json"}),
        ("PROPFIND", "/anna/", {"Depth": "1"}),
        ("PROPFIND", "/", {"Depth": "infinity"}),
    ]:
        answer = await ask(guarded, ANNA, method, path, **headers)
        assert answer.code in {200, 207}
        assert "secret" not in answer.text
        assert "secret" in (await ask(guarded, RITA, method, path.partition("?")[0], **headers)).text
    for path in ("/anna/secret", "/anna/secret/s", "/anna/secret/nothing"):
        answers = [await ask(guarded, ANNA, method, path) for method in ("GET", "HEAD", "PROPFIND", "DELETE", "MKCOL")]
        assert {answer.code for answer in answers} == {404}


@pytest_twisted.ensureDeferred
async def test_pages_are_full_though_members_are_hidden(guarded: Cluster) -> None:
    for number in range(5):
        await ask(guarded, ROOT, "PUT", f"/anna/z{number}", b"")
    names, after = [], ""
    while after is not None:
        path = f"/anna/?limit=2&after={after}"
        page = json.loads((await ask(guarded, ANNA, "GET", path, Accept="application/json")).body)
        names += [member["name"] for member in page["members"]]
        after = page["next"]
    assert names == ["a", "fixed", "z0", "z1", "z2", "z3", "z4"]


@pytest_twisted.ensureDeferred
async def test_both_ends_of_moves_and_copies_are_judged(guarded: Cluster) -> None:
    for method, source, target, code in [
        ("COPY", "/f", "/anna/f", 201),
        ("COPY", "/anna/f", "/f2", 403),
        ("COPY", "/anna/secret/s", "/anna/s", 404),
        ("COPY", "/anna/f", "/anna/secret/f", 404),
        ("COPY", "/anna", "/anna2", 403),  # something in it is hidden, and /anna2 is not hers
        ("COPY", "/c", "/anna/fixed", 403),
        ("MOVE", "/f", "/anna/moved", 403),
        ("MOVE", "/anna/f", "/f2", 403),
        ("MOVE", "/anna/f", "/anna/fixed/f", 403),
        ("MOVE", "/anna/fixed/x", "/anna/x", 403),
        ("MOVE", "/anna/f", "/anna/g", 201),
        ("DELETE", "/anna", "", 403),  # what is fixed and what is hidden would go, too
        ("DELETE", "/anna/fixed", "", 403),
        ("DELETE", "/anna/g", "", 204),
    ]:
        headers = {"Destination": target} if target else {}
        answer = await ask(guarded, ANNA, method, source, **headers)
        assert (method, source, target, answer.code) == (method, source, target, code)
    assert (await ask(guarded, ROOT, "GET", "/anna/secret/s")).text == "content"


@pytest_twisted.ensureDeferred
async def test_a_lock_belongs_to_the_user_who_took_it(guarded: Cluster) -> None:
    taken = await ask(guarded, ANNA, "LOCK", "/anna/a", LOCKINFO)
    token = taken.header("Lock-Token") or ""
    condition = {"If": f"({token})"}
    assert (await ask(guarded, WILMA, "PUT", "/anna/a", b"1", **condition)).code == 423
    assert (await ask(guarded, WILMA, "LOCK", "/anna/a", **condition)).code == 412
    assert (await ask(guarded, WILMA, "UNLOCK", "/anna/a", Lock_Token=token)).code == 403
    assert (await ask(guarded, ANNA, "PUT", "/anna/a", b"2", **condition)).code == 204
    assert (await ask(guarded, ANNA, "LOCK", "/anna/a", **condition)).code == 200
    await guarded.restart_front()  # the journal knows whose it is
    assert (await ask(guarded, WILMA, "DELETE", "/anna/a", **condition)).code == 423
    assert (await ask(guarded, ROOT, "PUT", "/anna/a", b"3", **condition)).code == 204
    assert (await ask(guarded, ROOT, "UNLOCK", "/anna/a", Lock_Token=token)).code == 204


@pytest_twisted.ensureDeferred
async def test_an_admin_may_release_locks_and_needs_no_other_right(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    cluster.users.write_text(
        f"users:\n  anna:\n    password: {hashed('pw')}\n    grants: [{{path: /, allow: [read, write]}}]\n"
        f"  boss:\n    password: {hashed('pw')}\n"
        "    grants: [{path: /, allow: [read]}, {path: /a, allow: [admin, read]}]\n"
    )
    await cluster.start()
    anna, boss = basic("anna", "pw"), basic("boss", "pw")
    for path, code in (("/a", 204), ("/b", 403)):
        token = (await ask(cluster, anna, "LOCK", path, LOCKINFO)).header("Lock-Token") or ""
        assert (await ask(cluster, boss, "UNLOCK", path, Lock_Token=token)).code == code
        assert (await ask(cluster, boss, "DELETE", path)).code == 403
    assert (await ask(cluster, anna, "UNLOCK", "/b", Lock_Token=token)).code == 204
    # A lock on all of the tree was not taken where the admin is one.
    token = (await ask(cluster, anna, "LOCK", "/", LOCKINFO)).header("Lock-Token") or ""
    assert (await ask(cluster, boss, "UNLOCK", "/a", Lock_Token=token)).code == 403


@pytest_twisted.ensureDeferred
async def test_an_if_header_tells_nothing_about_what_is_hidden(guarded: Cluster) -> None:
    etag = (await ask(guarded, ROOT, "HEAD", "/anna/secret/s")).header("ETag")
    for where, what in (("s", f"[{etag}]"), ("s", "Not <urn:x>"), ("nothing", "Not <urn:x>")):
        condition = f"</anna/secret/{where}> ({what})"
        assert (await ask(guarded, ANNA, "PUT", "/anna/b", b"x", If=condition)).code == 412
        assert (await ask(guarded, ROOT, "PUT", "/anna/b", b"x", If=condition)).code in {201, 204}


@pytest_twisted.ensureDeferred
async def test_a_body_is_not_asked_for_before_its_sender_may_store_it(guarded: Cluster) -> None:
    for caller, code in (("", 401), (WRONG, 401), (NORA, 404), (RITA, 403)):
        client = await guarded.connect()
        login = [f"Authorization: {caller}"] if caller else []
        client.begin("PUT", "/big", "Content-Length: 1000000", "Expect: 100-continue", *login)
        assert (await client.answer()).code == code
    assert guarded.uploads_stored() == (await uploads_of_files(guarded))


async def uploads_of_files(cluster: Cluster) -> set[str]:
    found = set()
    for path in ("/f", "/public/p", "/anna/a", "/anna/fixed/x", "/anna/secret/s"):
        found.add(((await ask(cluster, ROOT, "HEAD", path)).header("ETag") or "").strip('"'))
    return found


@pytest_twisted.ensureDeferred
async def test_no_authorization_header_breaks_the_server(guarded: Cluster) -> None:
    for value in [
        b"", b"Basic", b"Basic !!!", b"Basic " + b"QUFB" * 2560, b"Basic \xff\xfe", b"Bearer \xff", b"Bearer splitd_",
        b"Basic AGE6AA==", b"Basic /////w==", b"Digest username=\"anna\"", b"Negotiate " + b"x" * 10240, b"\xc3\x28",
    ]:  # fmt: skip
        client = await guarded.connect()
        client.send(b"GET /f HTTP/1.1\r\nHost: t\r\nAuthorization: " + value + b"\r\n\r\n")
        assert (await client.answer()).code == 401
    client = await guarded.connect()
    client.begin("GET", "/f", f"Authorization: {ROOT}", f"Authorization: {RITA}")
    assert (await client.answer()).code == 401
    client = await guarded.connect()
    client.send(b"GET /f HTTP/1.1\r\nHost: t\r\nAuthorization: Basic a\0b\r\n\r\n")
    assert (await client.answer()).code in {400, 401}
    assert (await ask(guarded, RITA, "GET", "/f")).code == 200


@pytest_twisted.ensureDeferred
async def test_guessing_is_answered_by_patience(guarded: Cluster) -> None:
    answers = [await ask(guarded, basic("wilma", f"guess{number}"), "GET", "/f") for number in range(11)]
    assert [answer.code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].header("Retry-After") or 0) > 0
    assert (await ask(guarded, ROOT, "GET", "/f")).code == 200  # it was proven before
    status = json.loads((await ask(guarded, ROOT, "GET", f"{guarded.admin_url}/status")).body)
    assert status["users"]["logins_refused"] == 11


@pytest_twisted.ensureDeferred
async def test_a_reload_takes_over_the_users_and_refuses_a_bad_file_whole(guarded: Cluster) -> None:
    assert guarded.users is not None
    text = guarded.users.read_text()
    assert (await ask(guarded, RITA, "GET", "/f")).code == 200
    guarded.users.write_text(text.replace("  rita:", "  rita2:"))
    answer = await ask(guarded, ROOT, "POST", f"{guarded.admin_url}/reload")
    assert (answer.code, json.loads(answer.body)["users"]) == (200, 5)
    assert (await ask(guarded, RITA, "GET", "/f")).code == 401  # though she was known a moment ago
    assert (await ask(guarded, basic("rita2", "rita-pw"), "GET", "/f")).code == 200
    guarded.users.write_text(text + "grops: {}\n")
    answer = await ask(guarded, ROOT, "POST", f"{guarded.admin_url}/reload")
    line = text.count("\n") + 1
    reason = f"{guarded.users}: line {line}: 'grops' is not known, these are: users, groups, anonymous, oidc"
    assert (answer.code, answer.text) == (422, reason + "\n")
    assert (await ask(guarded, basic("rita2", "rita-pw"), "GET", "/f")).code == 200
    status = json.loads((await ask(guarded, ROOT, "GET", f"{guarded.admin_url}/status")).body)
    assert (status["users"]["count"], status["users"]["refused"]["reason"]) == (5, reason)
    assert f"the users are not taken: {reason}" in status["warnings"]


@pytest_twisted.ensureDeferred
async def test_a_changed_file_and_a_hangup_are_noticed(guarded: Cluster) -> None:
    assert guarded.users is not None
    assert guarded.front is not None
    text = guarded.users.read_text()
    guarded.users.write_text(text.replace("  rita:", "  rita2:"))
    await guarded.front.hang_up()
    assert (await ask(guarded, RITA, "GET", "/f")).code == 401
    guarded.users.write_text(text)

    async def is_back() -> bool:
        return (await ask(guarded, RITA, "GET", "/public/p")).code == 200

    await becomes(is_back)


@pytest_twisted.ensureDeferred
async def test_the_logs_name_the_user_and_no_secret(
    make_guarded: Callable[..., Awaitable[Cluster]], tmp_path: Path
) -> None:
    access, audit = tmp_path / "access", tmp_path / "audit"
    cluster = await make_guarded(access_log=str(access), access_log_format="json", audit_log=str(audit))
    for caller in (ROOT, WRONG, "", bearer()):
        await ask(cluster, caller, "PUT", "/f", b"x")
    await eventually(lambda: access.exists() and len(access.read_text().splitlines()) == 4)
    await eventually(lambda: audit.exists() and audit.read_text())
    lines = [json.loads(line) for line in access.read_text().splitlines()]
    # A refused request ends when its body has been dropped, which may be after the next one.
    assert sorted((line["user"] or "", line["status"]) for line in lines) == [
        ("", 401),
        ("", 401),
        ("nora", 404),
        ("root", 201),
    ]
    assert json.loads(audit.read_text().splitlines()[0])["user"] == "root"
    for secret in (ROOT, WRONG, TOKEN, "root-pw"):
        assert secret not in access.read_text() + audit.read_text()


@pytest_twisted.ensureDeferred
async def test_a_user_without_grants_below_can_drop_files_only(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    cluster.users.write_text(
        f"users:\n  drop:\n    password: {hashed('pw')}\n    grants: [{{path: /in, allow: [write]}}]\n"
        f"  boss:\n    password: {hashed('pw')}\n    grants: [{{path: /, allow: [read, write]}}]\n"
    )
    await cluster.start()
    drop, boss = basic("drop", "pw"), basic("boss", "pw")
    assert (await ask(cluster, boss, "MKCOL", "/in")).code == 201
    assert (await ask(cluster, drop, "PUT", "/in/a", b"x")).code == 201
    for method, path in (("GET", "/in/a"), ("GET", "/in/"), ("PROPFIND", "/in/"), ("COPY", "/in/a"), ("MOVE", "/in/a")):
        assert (await ask(cluster, drop, method, path, Destination="/in/b")).code == 404
    assert (await ask(cluster, boss, "GET", "/in/a")).text == "x"


@pytest.mark.parametrize(
    ("endpoint", "is_wide"),
    [("tcp:8080", True), ("tcp:8080:interface=192.0.2.1", True), ("tcp:8080:interface=127.0.0.1", False)],
)
def test_a_wide_endpoint_needs_users(
    make_cluster: Callable[..., Cluster], tmp_path: Path, endpoint: str, is_wide: bool
) -> None:
    cluster = make_cluster(listen=endpoint)
    if is_wide:
        with pytest.raises(ValueError, match=f"listen: {endpoint} can be reached from other machines, .*open_to_all"):
            cluster.make_front_config()
    else:
        cluster.make_front_config()
    cluster.settings["open_to_all"] = True
    cluster.make_front_config()
    del cluster.settings["open_to_all"]
    cluster.users = tmp_path / "users.yaml"
    write_users(cluster.users)
    cluster.make_front_config()
