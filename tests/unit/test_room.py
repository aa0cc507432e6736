"""The room on a volume between two measurements."""

from __future__ import annotations

from storaged.disk.room import Room
from storaged.system.volume import Volume


def looked(room: Room, available: int) -> Room:
    room.end_look(Volume(1000, available), room.begin_look())
    return room


def test_there_is_no_room_before_the_first_look() -> None:
    assert Room(0).free == 0


def test_the_reserve_is_not_free() -> None:
    room = looked(Room(100), 400)
    assert (room.capacity, room.free) == (1000, 300)
    assert looked(room, 50).free == 0


def test_what_is_promised_is_not_free_until_it_is_given_back() -> None:
    room = looked(Room(0), 400)
    promise = room.promise(150)
    assert room.free == 250
    promise.end()
    promise.end()
    assert room.free == 400


def test_what_is_written_comes_out_of_the_promise_first() -> None:
    room = looked(Room(0), 400)
    promise = room.promise(150)
    promise.use(100)
    assert room.free == 250
    promise.use(80)
    assert room.free == 220
    promise.end()
    assert room.free == 220


def test_a_look_knows_what_was_written_before_it() -> None:
    room = looked(Room(0), 400)
    promise = room.promise(150)
    promise.use(100)
    assert looked(room, 300).free == 250


def test_what_is_written_during_a_look_is_not_free_after_it() -> None:
    room = looked(Room(0), 400)
    promise = room.promise(0)
    noted = room.begin_look()
    promise.use(100)
    room.end_look(Volume(1000, 400), noted)
    assert room.free == 300


def test_a_promise_grows_while_there_is_room_for_what_it_is_to_cover() -> None:
    room = looked(Room(100), 400)
    promise, other = room.promise(0), room.promise(50)
    assert promise.cover(200)
    assert (room.free, promise.cover(200)) == (50, True)
    promise.use(200)
    assert not promise.cover(51)
    assert room.free == 50
    other.end()
    assert promise.cover(51)
    promise.end()
    assert room.free == 100
