from __future__ import annotations

from twisted.internet.task import Clock

from storaged.http import BUFFER_SIZE, NodeConnections, SharedWindow

KIB = 1024


def test_few_users_get_the_most_and_many_share_the_total() -> None:
    told: list[int] = []
    window = SharedWindow(1024 * KIB, 256 * KIB, told.append)
    sizes = [window.size]
    for _ in range(16):
        window.enter()
        sizes.append(window.size // KIB)
    assert sizes[1:] == [256] * 4 + [128] * 4 + [64] * 8
    assert all(number * size <= 1024 for number, size in enumerate(sizes[1:], 1))
    for _ in range(16):
        window.leave()
    assert window.size == 256 * KIB
    assert [size // KIB for size in told] == [128, 64, 128, 256]


def test_each_user_gets_something_however_many_there_are() -> None:
    window = SharedWindow(1024 * KIB, 256 * KIB, lambda _: None)
    for _ in range(1000):
        window.enter()
    assert window.size == 32 * KIB


def test_a_few_users_get_the_most_even_if_that_is_more_than_the_total() -> None:
    window = SharedWindow(1024 * KIB, 256 * KIB, lambda _: None, few=6)
    sizes = []
    for _ in range(8):
        window.enter()
        sizes.append(window.size // KIB)
    assert sizes == [256] * 6 + [128] * 2


def test_four_downloads_of_six_parts_read_as_much_at_a_time_as_one() -> None:
    window = NodeConnections(Clock(), connect_timeout_s=1, idle_timeout_s=1).window
    for _ in range(4 * 6):
        window.enter()
    assert window.size == BUFFER_SIZE
    for _ in range(300 - 4 * 6):
        window.enter()
    assert window.size * 300 <= 12 * 1024 * KIB
