"""Locks, and the conditions of those who name their tokens."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from splitd.model.conditions import ALWAYS, Condition
from splitd.model.if_header import IfHeader, Term, TermList
from splitd.model.locks import EXCLUSIVE, Lock
from tests.catalogs import manifest
from tests.contract.catalogs.front import Front

TIMEOUT_S = 60


def holding(*tokens: str, path: str = "/") -> Condition:
    """Submits tokens, and asks nothing."""
    terms = [TermList(path, (Term(negated=True, token="urn:none"), *(Term(False, token=each) for each in tokens)))]
    return Condition(if_header=IfHeader((*terms, TermList(path, (Term(negated=True, token="urn:none"),)))))


def asking(token: str, path: str) -> Condition:
    """Asks that a lock covers a path."""
    return Condition(if_header=IfHeader((TermList(path, (Term(False, token=token),)),)))


def lock(
    front: Front, path: str, token: str, scope: str = EXCLUSIVE, *, deep: bool = False, condition: Condition = ALWAYS
) -> Deferred[bool]:
    """Take a lock for `TIMEOUT_S`."""
    now_ms = int(front.clock.seconds() * 1000)
    requested = Lock(path, token, scope, deep, "<o/>", now_ms, now_ms + TIMEOUT_S * 1000)
    return front.locks.lock(requested, condition, manifest(token[-1] * 32, size=0, nodes=()))
