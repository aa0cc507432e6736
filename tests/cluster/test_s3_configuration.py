"""What is kept with a bucket by the S3 door: CORS rules, tags and lifecycle rules; and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_twisted

from tests.cluster.cluster import Answer, Cluster
from tests.cluster.s3 import KEY, S3, SECRET, code_of, texts, write_users


@pytest_twisted.async_yield_fixture
async def s3(make_cluster: Callable[..., Cluster]) -> AsyncIterator[S3]:
    """The S3 door of a cluster with the bucket `bucket`."""
    cluster = make_cluster()
    cluster.s3_key = KEY
    await cluster.start()
    door = S3(cluster)
    assert (await door.put("/bucket", b"")).code == 200
    yield door


def cors(*rules: str) -> bytes:
    return (
        f"<CORSConfiguration>{''.join(f'<CORSRule>{each}</CORSRule>' for each in rules)}</CORSConfiguration>".encode()
    )


def rule(origins: str, methods: str, more: str = "") -> str:
    return (
        "".join(f"<AllowedOrigin>{each}</AllowedOrigin>" for each in origins.split())
        + "".join(f"<AllowedMethod>{each}</AllowedMethod>" for each in methods.split())
        + more
    )


def allowed(answer: Answer) -> tuple[int, str | None, str | None]:
    return answer.code, *map(answer.header, ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods"))


async def preflight(s3: S3, origin: str, method: str, headers: str = "", path: str = "/bucket/x") -> Answer:
    """Ask as a browser does before a request of a page."""
    named = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    sent = {name: value for name, value in named.items() if value}
    return await s3.cluster.ask("OPTIONS", s3.cluster.s3_url + path, **sent)


@pytest_twisted.ensureDeferred
async def test_pages_of_the_origins_of_a_rule_may_use_a_bucket(s3: S3) -> None:
    more = (
        "<AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader>"
        "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds><ID>first</ID>"
    )
    body = cors(rule("https://*.example http://localhost", "GET PUT", more), rule("*", "GET"))
    assert code_of(await s3.get("/bucket?cors")) == (404, "NoSuchCORSConfiguration")
    refused = await preflight(s3, "https://a.example", "GET")
    assert code_of(refused) == (403, "AccessForbidden")
    assert (await s3.put("/bucket?cors", body)).code == 200
    await s3.cluster.restart_front()
    told = await s3.get("/bucket?cors")
    assert texts(told, "CORSRule/AllowedOrigin") == ["https://*.example", "http://localhost", "*"]
    assert texts(told, "CORSRule/ID") == ["first"]
    assert (await s3.put("/bucket?cors", told.body)).code == 200, "what is told can be set"
    answer = await preflight(s3, "https://a.example", "PUT", "X-Amz-Date, content-type")
    assert allowed(answer) == (200, "https://a.example", "GET, PUT")
    assert answer.header("Access-Control-Allow-Headers") == "x-amz-date, content-type"
    assert answer.header("Access-Control-Max-Age") == "60"
    assert answer.header("Access-Control-Allow-Credentials") == "true"
    assert "Origin" in (answer.header("Vary") or "")
    assert allowed(await preflight(s3, "https://other", "GET")) == (200, "*", "GET")
    for origin, method, headers in (
        ("https://other", "PUT", ""),
        ("https://a.example", "DELETE", ""),
        ("https://a.example", "PUT", "authorization"),
        ("https://a.example.other", "PUT", ""),
        ("http://localhost:80", "PUT", ""),
    ):
        assert code_of(await preflight(s3, origin, method, headers)) == (403, "AccessForbidden"), (origin, method)
    assert code_of(await preflight(s3, "", "PUT")) == (400, "BadRequest")
    assert code_of(await preflight(s3, "https://a.example", "")) == (400, "BadRequest")
    assert code_of(await preflight(s3, "https://a.example", "GET", path="/")) == (403, "AccessForbidden")
    stored = await s3.put("/bucket/x", b"1", Origin="https://a.example")
    assert allowed(stored) == (200, "https://a.example", "GET, PUT")
    assert stored.header("Access-Control-Expose-Headers") == "ETag"
    missing = await s3.get("/bucket/none", Origin="http://localhost")
    assert allowed(missing) == (404, "http://localhost", "GET, PUT"), "a page may read why"
    unsigned = await S3(s3.cluster, None).get("/bucket/x", Origin="https://b.example")
    assert allowed(unsigned) == (403, "https://b.example", "GET, PUT")
    assert allowed(await s3.get("/bucket/x")) == (200, None, None)
    assert (await s3.ask("DELETE", "/bucket?cors")).code == 204
    assert allowed(await s3.get("/bucket/x", Origin="https://a.example")) == (200, None, None)
    assert code_of(await s3.get("/bucket?cors")) == (404, "NoSuchCORSConfiguration")


@pytest_twisted.ensureDeferred
async def test_what_no_bucket_can_be_called_has_no_rules(s3: S3) -> None:
    nobody = S3(s3.cluster, None)
    assert (await s3.cluster.ask("MKCOL", "/A_B")).code == 201
    for path in ("/..", "/.", "/%01/x", "/%E2%90%A6/x", "/" + "a" * 300, "/A_B", "/A_B/c"):
        assert code_of(await s3.get(path, Origin="https://a.example")) == (404, "NoSuchBucket"), path
        assert code_of(await nobody.get(path)) == (404, "NoSuchBucket"), path
        assert code_of(await preflight(s3, "https://a.example", "GET", path=path)) == (403, "AccessForbidden"), path


@pytest_twisted.ensureDeferred
async def test_rules_that_cannot_be_are_refused(s3: S3) -> None:
    good = rule("*", "GET")
    for body, code in (
        (cors(), "MalformedXML"),
        (cors(*[good] * 101), "MalformedXML"),
        (cors(rule("", "GET")), "MalformedXML"),
        (cors(rule("*", "")), "MalformedXML"),
        (cors(rule("*", "PATCH")), "InvalidRequest"),
        (cors(rule("a*b*c", "GET")), "InvalidRequest"),
        (cors(good + "<AllowedHeader>**</AllowedHeader>"), "InvalidRequest"),
        (cors(good + "<ExposeHeader>*</ExposeHeader>"), "InvalidRequest"),
        (cors(good + "<ExposeHeader>a&#10;b</ExposeHeader>"), "MalformedXML"),
        (cors(good + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "MalformedXML"),
        (cors(good + f"<ID>{'x' * 256}</ID>"), "MalformedXML"),
        (cors(good + "<Other/>"), "MalformedXML"),
        (cors(rule("a<b/>", "GET")), "MalformedXML"),
        (b"<x/>", "MalformedXML"),
    ):
        assert code_of(await s3.put("/bucket?cors", body)) == (400, code), body
    assert code_of(await s3.put("/none?cors", cors(good))) == (404, "NoSuchBucket")
    long = cors(*[rule(" ".join(f"https://{n}.{'x' * 900}" for n in range(10)), "GET")] * 9)
    assert code_of(await s3.put("/bucket?cors", long)) == (400, "InvalidRequest"), "notes have a bound"


@pytest_twisted.ensureDeferred
async def test_a_bucket_has_tags(s3: S3) -> None:
    assert code_of(await s3.get("/bucket?tagging")) == (404, "NoSuchTagSet")
    tags = "".join(f"<Tag><Key>k{n:02}</Key><Value>&lt;v&gt; {n}</Value></Tag>" for n in range(50))
    assert (await s3.put("/bucket?tagging", f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode())).code == 204
    told = await s3.get("/bucket?tagging")
    assert texts(told, "TagSet/Tag/Value") == [f"<v> {n}" for n in range(50)]
    many = f"<Tagging><TagSet>{tags}<Tag><Key>x</Key><Value/></Tag></TagSet></Tagging>".encode()
    assert code_of(await s3.put("/bucket?tagging", many)) == (400, "InvalidTag")
    assert (await s3.ask("DELETE", "/bucket?tagging")).code == 204
    assert code_of(await s3.get("/bucket?tagging")) == (404, "NoSuchTagSet")


def lifecycle(*rules: str) -> bytes:
    return (
        f"<LifecycleConfiguration>{''.join(f'<Rule>{each}</Rule>' for each in rules)}</LifecycleConfiguration>".encode()
    )


ON = "<Status>Enabled</Status>"
PAST = "<Expiration><Date>2020-01-01T00:00:00Z</Date></Expiration>"
DAYS = "<Expiration><Days>1</Days></Expiration>"
ALL = "<Filter></Filter>"


@pytest_twisted.ensureDeferred
async def test_lifecycle_rules_are_told_and_carried_out(s3: S3) -> None:
    assert code_of(await s3.get("/bucket?lifecycle")) == (404, "NoSuchLifecycleConfiguration")
    for key in ("log/1", "log/2", "data"):
        assert (await s3.put(f"/bucket/{key}", b"1")).code == 200
    filters = (
        "<Filter><And><Prefix>x/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"
        "<ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>"
    )
    body = lifecycle(
        f"<ID>logs</ID>{ON}<Filter><Prefix>log/</Prefix></Filter>{PAST}",
        f"<ID>parts</ID>{ON}<Prefix></Prefix>"
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
        f"<ID>more</ID><Status>Disabled</Status>{filters}{DAYS}",
    )
    assert (await s3.put("/bucket?lifecycle", body)).code == 200
    await s3.cluster.restart_front()
    told = await s3.get("/bucket?lifecycle")
    assert texts(told, "Rule/ID") == ["logs", "parts", "more"]
    assert texts(told, "Rule/Filter/And/Prefix") == ["x/"]
    assert texts(told, "Rule/Expiration/Date") == ["2020-01-01T00:00:00.000Z"]
    assert (await s3.put("/bucket?lifecycle", told.body)).code == 200, "what is told can be set"
    assert texts(await s3.get("/bucket?lifecycle"), "Rule/Status") == ["Enabled", "Enabled", "Disabled"]
    front = s3.cluster.front
    assert front is not None
    await front.upkeep.lifecycle.look()
    assert texts(await s3.get("/bucket"), "Contents/Key") == ["data"]
    status = await s3.cluster.status()
    assert (status["lifecycle"]["buckets"], status["lifecycle"]["expired"]) == (1, 2)
    assert (await s3.ask("DELETE", "/bucket?lifecycle")).code == 204
    assert code_of(await s3.get("/bucket?lifecycle")) == (404, "NoSuchLifecycleConfiguration")


@pytest_twisted.ensureDeferred
async def test_how_large_an_object_must_be_to_change_its_class_is_told_as_at_amazon(s3: S3) -> None:
    """Terraform sends it, and waits until it is told the same."""
    name, usual = "x-amz-transition-default-minimum-object-size", "all_storage_classes_128K"
    body = lifecycle(ON + ALL + DAYS)
    for headers in ({}, {name: usual}):
        assert (await s3.put("/bucket?lifecycle", body, **headers)).header(name) == usual
        assert (await s3.get("/bucket?lifecycle")).header(name) == usual
    other = await s3.put("/bucket?lifecycle", body, **{name: "varies_by_storage_class"})
    assert code_of(other) == (501, "NotImplemented")


@pytest_twisted.ensureDeferred
async def test_a_new_bucket_has_the_tags_that_come_with_it(s3: S3) -> None:
    def body(content: str) -> bytes:
        return f"<CreateBucketConfiguration>{content}</CreateBucketConfiguration>".encode()

    tag = "<Tag><Key>k{}</Key><Value>v</Value></Tag>"
    tagged = body(f"<LocationConstraint>us-east-1</LocationConstraint><Tags>{tag.format(1)}{tag.format(2)}</Tags>")
    assert (await s3.put("/tagged", tagged)).code == 200
    assert texts(await s3.get("/tagged?tagging"), "TagSet/Tag/Key") == ["k1", "k2"]
    for content, expected in (
        ("<Bucket><Type>Directory</Type></Bucket>", "MalformedXML"),
        (f"<Tags>{''.join(map(tag.format, range(51)))}</Tags>", "InvalidTag"),
        (f"<Tags>{tag.format(1)}{tag.format(1)}</Tags>", "InvalidTag"),
        ("<LocationConstraint>mars</LocationConstraint>", "InvalidLocationConstraint"),
    ):
        assert code_of(await s3.put("/other", body(content))) == (400, expected), content
    assert (await s3.ask("HEAD", "/other")).code == 404


@pytest_twisted.ensureDeferred
async def test_lifecycle_rules_that_cannot_be_are_refused(s3: S3) -> None:
    abort = (
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>{}</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    )
    tag = "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"
    for rules, expected in (
        ([], (400, "MalformedXML")),
        ([ON + DAYS], (400, "MalformedXML")),
        ([ALL + DAYS], (400, "MalformedXML")),
        (["<Status>on</Status>" + ALL + DAYS], (400, "MalformedXML")),
        ([ON + ALL], (400, "InvalidRequest")),
        ([ON + ALL + DAYS + "<Prefix>x</Prefix>"], (400, "MalformedXML")),
        ([ON + ALL + DAYS + "<Other/>"], (400, "MalformedXML")),
        ([ON + "<Filter><Other/></Filter>" + DAYS], (400, "MalformedXML")),
        ([ON + "<Filter><And><Prefix>a</Prefix><And/></And></Filter>" + DAYS], (400, "MalformedXML")),
        ([ON + tag.replace("</Key>", "</Key><Other/>") + DAYS], (400, "MalformedXML")),
        ([ON + ALL + DAYS.replace("</Days>", "</Days><Other/>")], (400, "MalformedXML")),
        ([ON + ALL + abort.format(1).replace("</Abort", "<Other/></Abort")],
         (400, "MalformedXML")),
        ([ON + ALL + "<Expiration></Expiration>"], (400, "MalformedXML")),
        ([ON + ALL + "<Expiration><Days>0</Days></Expiration>"], (400, "InvalidArgument")),
        ([ON + ALL + "<Expiration><Date>2020-01-01T10:00:00Z</Date></Expiration>"], (400, "InvalidArgument")),
        ([ON + ALL + "<Expiration><Date>soon</Date></Expiration>"], (400, "MalformedXML")),
        ([ON + ALL + abort.format("x")], (400, "InvalidArgument")),
        ([ON + tag + abort.format(1)], (400, "InvalidRequest")),
        ([f"<ID>{'x' * 256}</ID>" + ON + ALL + DAYS], (400, "InvalidArgument")),
        (["<ID>a</ID>" + ON + ALL + DAYS] * 2, (400, "InvalidArgument")),
        ([ON + ALL + "<Transition><Days>1</Days></Transition>"], (501, "NotImplemented")),
        ([ON + ALL + DAYS + "<NoncurrentVersionExpiration/>"], (501, "NotImplemented")),
        ([ON + ALL + "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"],
         (501, "NotImplemented")),
    ):  # fmt: skip
        assert code_of(await s3.put("/bucket?lifecycle", lifecycle(*rules))) == expected, rules
    assert code_of(await s3.get("/bucket?lifecycle")) == (404, "NoSuchLifecycleConfiguration")


@pytest_twisted.ensureDeferred
async def test_what_there_is_not_is_told_and_refused_when_set(s3: S3) -> None:
    assert (await s3.put("/bucket/x", b"1")).code == 200
    for name in ("analytics", "inventory", "metrics", "intelligent-tiering"):
        assert texts(await s3.get(f"/bucket?{name}"), "IsTruncated") == ["false"]
        assert code_of(await s3.get(f"/bucket?{name}&id=1")) == (404, "NoSuchConfiguration")
        assert code_of(await s3.put(f"/bucket?{name}&id=1", b"<x/>")) == (501, "NotImplemented")
    for name in (
        "abac", "accelerate", "encryption", "logging", "notification", "object-lock", "policy",
        "publicAccessBlock", "replication", "requestPayment", "versioning", "website",
    ):  # fmt: skip
        assert code_of(await s3.put(f"/bucket?{name}", b"<x/>")) == (501, "NotImplemented"), name
    for name in ("legal-hold", "retention"):
        assert code_of(await s3.get(f"/bucket/x?{name}")) == (400, "InvalidRequest")
        assert code_of(await s3.put(f"/bucket/x?{name}", b"<x/>")) == (501, "NotImplemented")


@pytest_twisted.ensureDeferred
async def test_notes_of_a_bucket_need_write_for_all_of_it(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = make_cluster()
    cluster.users = tmp_path / "users.yaml"
    write_users(
        cluster.users,
        {
            "root": "{path: /, allow: [read, write]}",
            "anna": "{path: /bucket, allow: [read, write]}, {path: /bucket/kept, allow: [read]}",
            "bert": "{path: /bucket, allow: [read]}",
            "nora": "",
        },
    )
    await cluster.start()
    root, anna, bert, nora = (S3(cluster, (name, SECRET)) for name in ("ROOT", "ANNA", "BERT", "NORA"))
    assert (await root.put("/bucket", b"")).code == 200
    body = lifecycle(ON + ALL + PAST)
    assert code_of(await anna.put("/bucket?lifecycle", body)) == (403, "AccessDenied"), "it would delete what is kept"
    for name in ("lifecycle", "cors", "tagging"):
        for door, expected in ((bert, (403, "AccessDenied")), (nora, (404, "NoSuchBucket"))):
            assert code_of(await door.ask("DELETE", f"/bucket?{name}")) == expected
    assert code_of(await nora.get("/bucket?cors")) == (404, "NoSuchBucket")
    assert (await root.put("/bucket?cors", cors(rule("*", "GET")))).code == 200
    assert (await bert.get("/bucket?cors")).code == 200
