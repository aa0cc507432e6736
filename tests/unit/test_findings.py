"""The promises of the list of rotten parts."""

from storaged.parts.findings import REASON_LIMIT, Findings
from storaged.parts.values import RottenPart

A, B, C = (f"{digit * 32}.0" for digit in "abc")


def noted(*part_ids: str, limit: int = 10) -> Findings:
    findings = Findings(limit)
    for part_id in part_ids:
        findings.note(part_id, "rotten", 5)
    return findings


def ids(findings: Findings) -> list[str]:
    return [part.part_id for part in findings.all()]


def test_findings_are_listed_page_by_page_in_the_order_of_their_ids() -> None:
    findings = noted(C, A, B)
    assert [part.part_id for part in findings.page("", 2)] == [A, B]
    assert findings.page(B, 2) == [RottenPart(C, "rotten", 5)]
    assert findings.page(C, 2) == []


def test_a_part_is_noted_once_with_the_time_when_it_was_found_first() -> None:
    findings = noted(A)
    assert not findings.note(A, "worse", 9)
    assert findings.all() == [RottenPart(A, "worse", 5)]


def test_a_part_that_was_forgotten_may_be_found_again() -> None:
    findings = noted(A, B)
    findings.forget(A)
    assert ids(findings) == [B]
    assert findings.note(A, "again", 7)
    assert ids(findings) == [A, B]


def test_a_part_that_is_deleted_while_it_is_checked_is_not_noted() -> None:
    findings = noted()
    findings.begin_check()
    findings.forget(A)
    assert not findings.note(A, "rotten", 5)
    findings.end_check()
    assert ids(findings) == []
    assert findings.note(A, "it came again", 6)


def test_several_checks_may_be_in_progress() -> None:
    findings = noted()
    findings.begin_check()
    findings.forget(A)
    findings.begin_check()
    findings.end_check()
    assert not findings.note(A, "rotten", 5)
    findings.end_check()
    assert findings.note(A, "rotten", 5)


def test_only_so_many_are_kept_and_reasons_are_short() -> None:
    findings = noted(A, B, C, limit=2)
    assert ids(findings) == [A, B]
    findings.forget(A)
    assert findings.note(C, "x" * 1000, 5)
    assert len(findings.all()[1].reason) == REASON_LIMIT


def test_findings_of_before_a_restart_do_not_replace_newer_ones() -> None:
    findings = noted(A, limit=2)
    findings.restore([RottenPart(A, "old", 1), RottenPart(B, "old", 1), RottenPart(C, "old", 1)])
    assert ids(findings) == [A]  # the first of them took the only place, and was known already
    findings = noted(A)
    findings.restore([RottenPart(A, "old", 1), RottenPart(B, "old", 1)])
    assert findings.all() == [RottenPart(A, "rotten", 5), RottenPart(B, "old", 1)]
