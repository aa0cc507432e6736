"""What is kept with a bucket comes back as it was, and is well-formed XML."""

from __future__ import annotations

from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.buckets import (
    ACL,
    CORS,
    ENFORCED,
    LIFECYCLE,
    OWNER,
    OWNERSHIP,
    PREFERRED,
    PUBLIC_READ,
    TAGS,
    BucketNotes,
    CorsRule,
    LifecycleRule,
    bucket_of,
    read_notes,
    write_note,
)
from splitd.model.properties import OWN

_texts = st.text(max_size=20)
_many = st.lists(_texts, max_size=3).map(tuple)
_tags = st.lists(st.tuples(_texts, _texts), max_size=3).map(tuple)
_numbers = st.none() | st.integers(0, 2**40)
_cors = st.builds(CorsRule, _many, _many, _many, _many, _numbers, _texts)
_lifecycle = st.builds(
    LifecycleRule, _texts, st.booleans(), _texts, _tags, _numbers, _numbers, _numbers, _numbers, _numbers, st.booleans()
)
# A user's name has no control characters.
_names = st.text(st.characters(exclude_categories=["C"]), max_size=20)


@given(
    st.builds(
        BucketNotes,
        _names,
        st.sampled_from(["", PUBLIC_READ]),
        st.lists(_cors, max_size=3).map(tuple),
        _tags,
        st.lists(_lifecycle, max_size=3).map(tuple),
        st.sampled_from(["", ENFORCED, PREFERRED]),
    )
)
def test_notes_come_back(notes: BucketNotes) -> None:
    properties = {
        name: write_note(name, note)
        for name, note in (
            (OWNER, notes.owner),
            (OWNERSHIP, notes.ownership),
            (ACL, notes.acl),
            (CORS, notes.cors),
            (TAGS, notes.tags),
            (LIFECYCLE, notes.lifecycle),
        )
        if note
    }
    assert read_notes({**properties, f"{{{OWN}}}layout": "<layout/>", "x": "<x/>"}) == notes
    for name, element in properties.items():
        assert fromstring(element).tag == name


def test_the_bucket_of_a_path() -> None:
    for path in ("/b", "/b/", "/b/x", "/b//", "/b/x/y/"):
        assert bucket_of(path) == "/b/"
