"""The chain of audit records: whatever is done to it is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from squirrel.wire.audit import AuditRecord, Stored, Verifier, read_audit, sign

Change = Callable[[list[bytes]], list[bytes]]


def chain(count: int = 5, writer: str = "w", key: bytes = b"", first: int = 0) -> list[bytes]:
    values, prev = [], ""
    for seq in range(first + count):
        record = AuditRecord(
            at="2027-02-01T09:00:00.000Z", at_ms=1, namespace="default", operation="Schedules_pause", outcome="done",
            status=200, writer=writer, seq=seq, prev=prev, id=f"paper-{seq}", actor="maria",
        )  # fmt: skip
        signed = sign(record, key)
        values.append(signed.value)
        prev = signed.hash
    return values[first:]


def faults(values: list[bytes], key: bytes = b"", beginning: int = 0) -> list[tuple[int, str]]:
    verifier = Verifier(key, beginnings={0: beginning})
    return [
        (each.offset, each.what) for each in verifier.check(Stored(0, at, value) for at, value in enumerate(values))
    ]


def test_an_honest_chain_holds_and_reads_back() -> None:
    values = chain()
    assert faults(values) == []
    assert read_audit(values[2]).id == "paper-2"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda v: [*v[:2], v[2].replace(b"maria", b"mario"), *v[3:]], [(2, "changed")]),
        (lambda v: [*v[:2], v[2].replace(b'"status":200', b'"status":200,"more":1'), *v[3:]], [(2, "changed")]),
        (lambda v: [*v[:2], *v[3:]], [(2, "missing")]),
        (lambda v: v[1:], [(0, "missing")]),
        (lambda v: [v[0], v[2], v[1], *v[3:]], [(1, "missing"), (2, "missing"), (3, "missing")]),
        (lambda v: [*v[:2], b"{}", *v[2:]], [(2, "unreadable")]),
        (lambda v: [*v[:2], v[1], *v[2:]], []),  # sent again by a writer that did not hear of it
        (lambda v: [*v[:4], *v[1:4], v[4]], []),  # so was a whole append
    ],
)
def test_what_is_done_to_it_is_found(change: Change, found: list[tuple[int, str]]) -> None:
    assert faults(change(chain())) == found


def test_a_forged_end_is_found() -> None:
    honest, other = chain(), chain(key=b"", writer="w")
    forged = sign(AuditRecord(**{**_fields(other[3]), "actor": "eve", "prev": "0" * 64}))
    assert faults([*honest[:3], forged.value]) == [(3, "unlinked")]


def test_without_the_key_nobody_makes_a_chain_that_holds() -> None:
    assert faults(chain(key=b"secret"), b"secret") == []
    assert [what for _, what in faults(chain(key=b"guess"), b"secret")] == ["changed"] * 5


def test_records_that_left_their_retention_are_no_fault() -> None:
    late = chain(3, first=4)
    assert faults(late, beginning=4) == []
    assert faults(late, beginning=0) == [(0, "missing")]


def test_writers_are_told_apart() -> None:
    one, two = chain(3, "one"), chain(3, "two")
    mixed = [value for pair in zip(one, two, strict=True) for value in pair]
    assert faults(mixed) == []


def _fields(value: bytes) -> dict[str, object]:
    record = read_audit(value)
    return {name: getattr(record, name) for name in record.__struct_fields__}
