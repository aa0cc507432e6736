"""The If header: parsed by the grammar of RFC 4918, and judged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitd.model.if_header import IfHeader, Standing, Term, TermList, parse_if

TOKEN = "urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2"


def resolve(uri: str) -> str | None:
    return uri.removeprefix("http://here") if uri.startswith(("http://here/", "/")) else None


def parse(value: str) -> IfHeader:
    return parse_if(value, "/asked", resolve)


def term(token: str | None = None, etag: str | None = None, *, negated: bool = False) -> Term:
    return Term(negated, token, etag)


@pytest.mark.parametrize(
    ("value", "lists"),
    [
        # The examples of RFC 4918, sections 10.4.6 to 10.4.9.
        (
            f'(<{TOKEN}> ["I am an ETag"]) (["I am another ETag"])',
            [("/asked", [term(TOKEN), term(etag='"I am an ETag"')]), ("/asked", [term(etag='"I am another ETag"')])],
        ),
        (
            f"(Not <{TOKEN}> <urn:uuid:58f202ac>)",
            [("/asked", [term(TOKEN, negated=True), term("urn:uuid:58f202ac")])],
        ),
        (
            f"(<{TOKEN}>)(Not <DAV:no-lock>)",
            [("/asked", [term(TOKEN)]), ("/asked", [term("DAV:no-lock", negated=True)])],
        ),
        (
            f'</a> (<{TOKEN}> [W/"A weak ETag"]) (["strong ETag"])',
            [("/a", [term(TOKEN), term(etag='W/"A weak ETag"')]), ("/a", [term(etag='"strong ETag"')])],
        ),
        (f'<http://here/a>(<{TOKEN}>)</b>(["x"])', [("/a", [term(TOKEN)]), ("/b", [term(etag='"x"')])]),
        ("<http://elsewhere/a> (<urn:x>)", [(None, [term("urn:x")])]),
        ('(not["x"])', [("/asked", [term(etag='"x"', negated=True)])]),
        (f"  (\t<{TOKEN}>  )  ", [("/asked", [term(TOKEN)])]),
        ("</a\u3000b\u00a0> (<urn:x>)", [("/a\u3000b\u00a0", [term("urn:x")])]),
    ],
)
def test_it_is_read(value: str, lists: list[tuple[str | None, list[Term]]]) -> None:
    assert parse(value) == IfHeader(tuple(TermList(path, tuple(terms)) for path, terms in lists))


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "()", "(", "(<urn:x>", "<urn:x>", "</a>", "</a> </b> (<urn:x>)", "(<urn:x>) </a> (<urn:x>)", "(Not)",
        "(Not Not <urn:x>)", '("x")', '["x"]', "(<urn:x>))", "(<urn:x>),(<urn:y>)", "(urn:x)", "([x])", '(["x)', "(<>)",
        "(<a b>)", "(Nothing)", "(<urn:x>) trailing", "((<urn:x>))",
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(value)


@given(st.text(st.sampled_from('()<>[]" aNot/:\\W')))
def test_any_text_is_read_or_refused(value: str) -> None:
    try:
        header = parse(value)
    except ValueError:
        return
    assert all(each.terms for each in header.lists)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (f"(<{TOKEN}>)", True),
        ("(<urn:other>)", False),
        ("(Not <urn:other>)", True),
        ('(["e"])', True),
        ('(["f"])', False),
        (f'(<{TOKEN}> ["f"])', False),
        (f'(<{TOKEN}> ["f"]) (["e"])', True),
        (f'(Not <{TOKEN}>) (Not ["e"])', False),
        (f"</missing> (<{TOKEN}>)", False),
        ('</missing> (Not ["e"])', True),
        (f"<http://elsewhere/asked> (<{TOKEN}>)", False),
        ("<http://elsewhere/asked> (Not <urn:x>)", True),
        ("(<DAV:no-lock>)", False),
        ('</collection> ([""])', False),
    ],
)
def test_it_holds_where_one_list_does(value: str, holds: bool) -> None:
    standings = {"/asked": Standing('"e"', {TOKEN}), "/collection": Standing("", set())}
    assert parse(value).holds(lambda path: standings.get(path, Standing(None, set()))) is holds


def test_each_token_in_it_is_submitted_and_each_path_told() -> None:
    header = parse(f'</a> (Not <urn:1>) (["x"]) </b> (<{TOKEN}>) <http://elsewhere/> (<urn:2>)')
    assert header.tokens() == {"urn:1", "urn:2", TOKEN}
    assert header.paths() == {"/a", "/b"}


uris = st.from_regex(r"urn:[a-z0-9:-]{1,20}", fullmatch=True)
etags = st.from_regex(r'(W/)?"[a-zA-Z0-9 !]{0,10}"', fullmatch=True)
terms = st.one_of(
    st.builds(lambda negated, token: term(token, negated=negated), st.booleans(), uris),
    st.builds(lambda negated, etag: term(etag=etag, negated=negated), st.booleans(), etags),
)
term_lists = st.lists(st.tuples(st.sampled_from(["/a", "/b/c"]), st.lists(terms, min_size=1)), min_size=1)


@given(term_lists)
def test_what_is_written_is_read_back(found: list[tuple[str, list[Term]]]) -> None:
    def write(each: Term) -> str:
        return ("Not " if each.negated else "") + (f"<{each.token}>" if each.token else f"[{each.etag}]")

    value = " ".join(f"<{path}> ({' '.join(map(write, inner))})" for path, inner in found)
    assert parse(value) == IfHeader(tuple(TermList(path, tuple(inner)) for path, inner in found))
