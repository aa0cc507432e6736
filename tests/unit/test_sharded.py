"""A mapping in many small dicts does what a dict does."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from splitd.model.sharded import ShardedDict

KEYS = st.text(max_size=3)


class ShardedDictMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, int] = {}
        self.sharded: ShardedDict[str, int] = ShardedDict()

    @rule(key=KEYS, value=st.integers())
    def set(self, key: str, value: int) -> None:
        self.plain[key] = self.sharded[key] = value

    @rule(key=KEYS)
    def take(self, key: str) -> None:
        assert self.sharded.pop(key, None) == self.plain.pop(key, None)

    @rule(key=KEYS)
    def find(self, key: str) -> None:
        assert (key in self.sharded) == (key in self.plain)
        assert self.sharded.get(key, -1) == self.plain.get(key, -1)

    @invariant()
    def is_the_same(self) -> None:
        assert len(self.sharded) == len(self.plain)
        assert bool(self.sharded) == bool(self.plain)
        assert dict(self.sharded) == self.plain


TestShardedDict = ShardedDictMachine.TestCase


def test_it_begins_with_the_items_of_another_mapping() -> None:
    assert dict(ShardedDict({"a": 1, "b": 2})) == {"a": 1, "b": 2}


def test_no_shard_takes_more_than_a_small_share_of_many_keys() -> None:
    many: ShardedDict[object, None] = ShardedDict()
    for number in range(25_600):
        many[f"{number:032x}"] = None
        many[f"{number:032x}", 0, "n1"] = None
    assert max(map(len, many._shards)) < 400
