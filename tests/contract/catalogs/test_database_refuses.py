"""What the database refuses of one change harms no other one."""

from __future__ import annotations

import random
from string import ascii_letters

import pytest
import pytest_twisted

from splitd.errors import BadName, CatalogAway
from splitd.interfaces.uploads import Commit, Start
from splitd.model.conditions import ALWAYS
from splitd.model.locks import EXCLUSIVE, Lock
from tests.catalogs import NODES, A, B, manifest
from tests.contract.catalogs.both_fronts import Both
from tests.ledger import begin, commit

TOO_MANY, READ_ONLY = "54000", "25006"

REFUSES = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.name = 'bad') EXECUTE FUNCTION refuse()"""


@pytest_twisted.ensureDeferred
async def test_a_change_that_the_database_refuses_ends_alone(both: Both) -> None:
    both.rows(REFUSES.format(code=TOO_MANY))
    front = both.fronts[0]
    await front.ledger.begin_all([Start(A, "/good", NODES), Start(B, "/bad", NODES)])
    good, bad = front.ledger.commit_all([Commit("/good", manifest(A), ALWAYS), Commit("/bad", manifest(B), ALWAYS)])
    assert await good
    with pytest.raises(CatalogAway, match="could not make this change now"):
        await bad
    assert front.problem == ""


@pytest_twisted.ensureDeferred
async def test_a_database_that_can_only_be_read_is_away_for_changes(both: Both) -> None:
    both.rows(REFUSES.format(code=READ_ONLY))
    with pytest.raises(CatalogAway, match="does not answer"):
        await both.put(0, "/bad", A)


@pytest_twisted.ensureDeferred
async def test_a_lock_or_an_unfinished_upload_of_a_path_that_no_index_takes_is_refused(both: Both) -> None:
    front, path = both.fronts[0], ""
    for _ in range(11):
        path += "/" + "".join(random.choices(ascii_letters, k=250))
        await front.make_collection(path)
    path += "/f"
    await begin(front.ledger, A, path, NODES)
    assert await commit(front.ledger, path, manifest(A))
    with pytest.raises(BadName, match="2763 bytes; a database takes"):
        await front.locks.lock(Lock(path, "urn:1", EXCLUSIVE, False, "", 1000, 2**52), ALWAYS, manifest(B, size=0))
    with pytest.raises(BadName, match="2763 bytes; a database takes"):
        await front.continued.begin(B, path, "")
    assert front.problem == ""
    await front.namespace.move(path, "/f", ALWAYS, overwrite=False)
