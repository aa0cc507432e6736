from __future__ import annotations

from splitd.frontends.shares.share import new_id


def test_the_id_of_a_link_is_no_option_of_a_command() -> None:
    assert not [made for made in (new_id() for _ in range(3000)) if made.startswith("-")]
