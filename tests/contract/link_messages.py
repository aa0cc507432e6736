"""Valid and invalid messages of a link, for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from storaged.parts import messages

ids = st.builds("{:032x}.{}".format, st.integers(0, 2**128 - 1), st.integers(0, 255))
numbers = st.integers(0, 2**32)
puts = st.builds(messages.Put, numbers, st.lists(st.tuples(ids, st.binary(max_size=30)), max_size=5))
gets = st.builds(messages.Get, numbers, st.lists(ids, max_size=messages.MAX_GET))
removes = st.builds(messages.Remove, numbers, st.lists(ids, max_size=messages.MAX_GET))
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 9) | st.text(), inner)
)
results = (
    st.tuples(st.integers(-2, 40), st.integers(-2, 2**64 - 1)) | st.binary(max_size=30) | st.booleans() | st.none()
)
problems = st.dictionaries(st.integers(-3, 6), st.text(max_size=20))
answers = st.builds(messages.Answer, numbers, st.lists(results, max_size=5), problems)
