"""Races for keys through S3, on several fronts and with other doors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.live.clients import Answer, ask
from tests.live.doors import S3

_TOGETHER = 8
Attempt = Callable[[int], Answer]
"""One attempt to change what has a number."""


def race(attempts: list[Attempt], numbers: range, won: set[int]) -> list[int]:
    """Let the same numbers be raced for by all attempts at the same time; of each, exactly one must win.

    :param won: the statuses of an attempt that wins; the others must be refused by a condition.
    :return: the place of the winner among the attempts, for each number.
    """
    winners = []
    with ThreadPoolExecutor(_TOGETHER * len(attempts)) as pool:
        for first in range(numbers.start, numbers.stop, _TOGETHER):
            some = range(first, min(first + _TOGETHER, numbers.stop))
            racing = [[pool.submit(attempt, number) for attempt in attempts] for number in some]
            for number, all_of_them in zip(some, racing, strict=True):
                statuses = [each.result().status for each in all_of_them]
                assert sum(status in won for status in statuses) == 1, (number, statuses)
                assert statuses.count(412) == len(attempts) - 1, (number, statuses)
                winners.append(next(place for place, status in enumerate(statuses) if status in won))
    return winners


def race_to_create(doors: list[S3], urls: list[str], count: int) -> None:
    """Create keys on each front through S3, and on the first one through WebDAV, too."""

    def by_s3(door: S3, place: int) -> Attempt:
        return lambda number: door.ask("PUT", f"/new-{number}", b"%d" % place, **{"If-None-Match": "*"})

    def by_webdav(number: int) -> Answer:
        return ask(f"{urls[0]}/bucket/new-{number}", "PUT", b"%d" % len(doors), **{"If-None-Match": "*"})

    winners = race([*(by_s3(door, place) for place, door in enumerate(doors)), by_webdav], range(count), {200, 201})
    for number, winner in enumerate(winners):
        assert doors[number % len(doors)].get(f"/new-{number}").body == b"%d" % winner


def race_to_replace(doors: list[S3], count: int) -> None:
    """Replace keys on each front on the condition that they are as they were."""
    before = {number: doors[0].put(f"/old-{number}", b"old %d" % number).etag for number in range(count)}

    def by(door: S3, place: int) -> Attempt:
        return lambda number: door.ask("PUT", f"/old-{number}", b"%d" % place, **{"If-Match": before[number]})

    winners = race([by(door, place) for place, door in enumerate(doors)], range(count), {200})
    for number, winner in enumerate(winners):
        assert doors[number % len(doors)].get(f"/old-{number}").body == b"%d" % winner


def race_to_complete(doors: list[S3], count: int) -> None:
    """Complete multipart uploads of the same new keys on each front."""
    begun = [
        {number: door.begin_parts(f"/parts-{number}", [b"%d" % place]) for number in range(count)}
        for place, door in enumerate(doors)
    ]

    def by(door: S3, place: int) -> Attempt:
        return lambda number: door.complete(f"/parts-{number}", *begun[place][number], **{"If-None-Match": "*"})

    winners = race([by(door, place) for place, door in enumerate(doors)], range(count), {200})
    for number, winner in enumerate(winners):
        assert doors[number % len(doors)].get(f"/parts-{number}").body == b"%d" % winner
    doors[0].tidy()  # what has lost is still there
