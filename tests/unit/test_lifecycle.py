"""Lifecycle rules: what they say of objects, and how they are carried out."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import msgspec
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.buckets import DAY_MS, LIFECYCLE, LifecycleRule, expires_ms, fits, write_note
from splitd.model.conditions import ALWAYS, Condition
from splitd.model.keys import Key
from splitd.model.locks import EXCLUSIVE, Lock
from splitd.model.media import Media
from splitd.model.properties import PropertyChanges
from splitd.upkeep.lifecycle import Lifecycle, LifecycleProgress
from splitd.upkeep.walks import Walks
from tests.catalogs import A, B, C, doomed, manifest
from tests.clocks import wall_of
from tests.segments import put_segment
from tests.unit.catalogs import Front, started

DAY_S = 24 * 3600.0
AS_KEY = Condition(is_key=True)
U, V = "e" * 32, "f" * 32
OLD = LifecycleRule("old", enabled=True, days=30)


def made(created_ms: int = 0, size: int = 10, tags: tuple[tuple[str, str], ...] = ()) -> Key:
    return Key("key", A, size, created_ms, Media(tags=tags))


def test_days_end_at_midnight() -> None:
    assert expires_ms(0, 1) == DAY_MS
    assert expires_ms(1, 1) == 2 * DAY_MS
    assert expires_ms(DAY_MS - 1, 1) == 2 * DAY_MS
    assert not fits(OLD, made(1), 31 * DAY_MS - 1)
    assert fits(OLD, made(1), 31 * DAY_MS)


def test_a_date_is_for_all() -> None:
    rule = LifecycleRule("", enabled=True, date_ms=5 * DAY_MS)
    assert not fits(rule, made(1), 5 * DAY_MS - 1)
    assert fits(rule, made(5 * DAY_MS), 5 * DAY_MS)


def test_a_rule_may_be_for_sizes_and_tags() -> None:
    both = (("a", "1"), ("b", "2"))
    sized = msgspec.structs.replace(OLD, larger_than=5, smaller_than=20)
    tagged = msgspec.structs.replace(OLD, tags=both)
    now = 99 * DAY_MS
    assert [fits(sized, made(size=size), now) for size in (5, 6, 19, 20)] == [False, True, True, False]
    assert [fits(tagged, made(tags=tags), now) for tags in (both, (*both, ("c", "")), both[:1], ())] == [
        True, True, False, False,
    ]  # fmt: skip
    assert fits(OLD, Key("key", A, 0, 0, "text/plain"), now)
    assert not fits(tagged, Key("key", A, 10, 0, "text/plain"), now)


@given(st.integers(0, 10**13), st.integers(1, 4000))
def test_nothing_is_deleted_early(since_ms: int, days: int) -> None:
    due = expires_ms(since_ms, days)
    assert due % DAY_MS == 0
    assert since_ms + days * DAY_MS <= due < since_ms + (days + 1) * DAY_MS


@attrs.frozen
class Walked:
    front: Front
    lifecycle: Lifecycle
    woken: list[None]

    async def walk(self) -> LifecycleProgress:
        walking = self.lifecycle.look()
        self.front.clock.pump([0.1] * 60)
        await walking
        assert self.lifecycle.progress is not None
        return self.lifecycle.progress

    async def keys(self, bucket: str = "/bucket/") -> list[str]:
        return [each.key for each in (await self.front.catalog.keys.list_keys(bucket, "", "", "", 1000)).keys]


def carry_out(front: Front) -> Walked:
    woken: list[None] = []
    catalog = front.catalog
    names = catalog, catalog.keys, catalog.namespace, catalog.continued
    walks = Walks(front.catalog.leases, front.clock)
    return Walked(front, Lifecycle(*names, lambda: woken.append(None), walks, wall_of(front.clock)), woken)


async def rule(front: Front, bucket: str, rules: Sequence[LifecycleRule]) -> None:
    changes = PropertyChanges({LIFECYCLE: write_note(LIFECYCLE, rules)}, ())
    await front.catalog.namespace.change_properties(bucket, changes, ALWAYS)


async def filled() -> Walked:
    front = await started()
    for bucket in ("/bucket", "/other"):
        await front.catalog.make_collection(bucket)
    for number, key in enumerate(("bucket/log/1", "bucket/log/a/b", "bucket/data", "other/log/1")):
        await front.put(f"/{key}", f"{number:032x}", AS_KEY)
    return carry_out(front)


@pytest_twisted.ensureDeferred
async def test_old_objects_below_the_prefix_are_deleted() -> None:
    walked = await filled()
    await rule(walked.front, "/bucket/", [msgspec.structs.replace(OLD, prefix="log/")])
    walked.front.clock.advance(29 * DAY_S)
    assert (await walked.walk()).expired == 0
    assert not walked.woken
    walked.front.clock.advance(2 * DAY_S)
    progress = await walked.walk()
    assert (progress.buckets, progress.expired, progress.kept, progress.problem) == (1, 2, 0, "")
    assert (await walked.keys(), await walked.keys("/other/")) == (["data"], ["log/1"])
    assert await walked.front.doomed() == doomed("0" * 32, f"{1:032x}")
    assert walked.woken
    assert (await walked.walk()).expired == 0
    assert walked.lifecycle.expired == 2


@pytest_twisted.ensureDeferred
async def test_rules_that_are_disabled_or_gone_do_nothing() -> None:
    walked = await filled()
    await rule(walked.front, "/bucket/", [msgspec.structs.replace(OLD, enabled=False)])
    walked.front.clock.advance(99 * DAY_S)
    assert (await walked.walk()).buckets == 0
    assert len(await walked.keys()) == 3


@pytest_twisted.ensureDeferred
async def test_it_looks_each_hour_and_after_a_restart() -> None:
    walked = await filled()
    await rule(walked.front, "/bucket/", [OLD])
    again = carry_out(await walked.front.restart())
    again.front.clock.advance(20 * DAY_S)
    again.lifecycle.start()
    again.front.clock.pump([3600.0] * 24)
    assert len(await again.keys()) == 3
    again.front.clock.pump([3600.0] * 24 * 12)
    assert await again.keys() == []
    await again.lifecycle.stop()


@pytest_twisted.ensureDeferred
async def test_each_page_is_looked_at() -> None:
    walked = await filled()
    for number in range(900):
        await walked.front.put(f"/bucket/{number:03}", f"{number + 100:032x}", AS_KEY)
    await rule(walked.front, "/bucket/", [OLD])
    walked.front.clock.advance(40 * DAY_S)
    assert (await walked.walk()).expired == 903
    assert await walked.keys() == []


@pytest_twisted.ensureDeferred
async def test_a_locked_object_is_kept_and_others_are_deleted() -> None:
    walked = await filled()
    front = walked.front
    await rule(front, "/bucket/", [OLD])
    front.clock.advance(40 * DAY_S)
    lock = Lock("/bucket/data", "token", EXCLUSIVE, True, "", 0, 10**15)
    await front.catalog.locks.lock(lock, ALWAYS, manifest(C))
    progress = await walked.walk()
    assert (progress.expired, progress.kept, progress.problem) == (2, 1, "")
    assert await walked.keys() == ["data"]


@pytest_twisted.ensureDeferred
async def test_uploads_that_are_not_completed_are_aborted() -> None:
    walked = await filled()
    front = walked.front
    await rule(front, "/bucket/", [LifecycleRule("", enabled=True, prefix="log/", abort_days=3)])
    await front.catalog.continued.begin(U, "/bucket/log/1", "")
    await front.catalog.continued.begin(V, "/bucket/data", "")
    await put_segment(front.catalog.ledger, U, 1, B)
    front.clock.advance(2 * DAY_S)
    await put_segment(front.catalog.ledger, U, 2, C)
    assert (await walked.walk()).aborted == 0
    front.clock.advance(2 * DAY_S)
    progress = await walked.walk()
    assert (progress.aborted, progress.expired) == (1, 0)
    assert [each.upload for each in await front.catalog.continued.list_uploads("/", ("", ""), 9)] == [V]
    assert await front.doomed() == doomed(B, C)
    assert walked.woken


@pytest_twisted.ensureDeferred
async def test_a_walk_that_cannot_go_on_is_told_and_tried_again() -> None:
    walked = await filled()
    await rule(walked.front, "/bucket/", [OLD])
    walked.front.clock.advance(40 * DAY_S)
    walked.front.journal.fail_next("no space left")
    progress = await walked.walk()
    assert "no space left" in progress.problem
    assert progress.ended_ms is not None
    again = carry_out(await walked.front.restart())
    again.front.clock.advance(40 * DAY_S)
    assert (await again.walk()).expired == 3
