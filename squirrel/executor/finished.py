"""Which offsets of one partition are finished: the oldest unfinished one is committed, the rest rides in the metadata. Pure.

A commit names one offset; calls finish in any order. So the finished ones beyond it are written into the commit's metadata, as
Confluent's parallel consumer does, and whoever reads on from there calls only what was not finished.

Only unfinished offsets are kept. Everything else below `_next` is finished, holes in the log among it. As text, after `1`:
`r` + base64 of varint lengths of runs, unfinished and finished in turn, or `b` + base64 of a bitmap, whichever is shorter.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

from squirrel.model.limits import COMMIT_METADATA_BYTES_MAX

VERSION: Final = "1"
TEXT_BYTES_MAX: Final = COMMIT_METADATA_BYTES_MAX - 48  # what rides beside it has a prefix of its own
CODE_BYTES_MAX: Final = (TEXT_BYTES_MAX - 2) // 4 * 3
# Within this span a bitmap always fits, whatever finishes first.
SPAN_MAX: Final = CODE_BYTES_MAX * 8
# Beyond it lengths of runs must fit: an unfinished offset makes at most two runs, of up to five bytes (2^35 records) together
# with its own single byte.
UNFINISHED_MAX: Final = CODE_BYTES_MAX // 6 - 1

Range = tuple[int, int]  # from, up to but not including


class Finished:
    """One partition's offsets since it was assigned. `resume` with what was committed, then `take` in the order of the log."""

    __slots__ = ("_next", "_ranges", "_unfinished", "changed")

    def __init__(self, next_offset: int = 0, ranges: Iterable[Range] = ()) -> None:
        """`next_offset` is the committed one; `ranges` are finished beyond it, ascending."""
        self._next = next_offset
        self._ranges = list(ranges)
        self._unfinished: dict[int, None] = {}
        self.changed = False  # since the last `mark`

    def __len__(self) -> int:
        """Offsets that were taken and are not finished."""
        return len(self._unfinished)

    def take(self, offset: int) -> bool:
        """The record at `offset` was read; False when it was finished before. Offsets ascend."""
        self.changed = True
        self._next = offset + 1
        ranges = self._ranges
        while ranges and ranges[0][1] <= offset:
            del ranges[0]
        if ranges and ranges[0][0] <= offset:
            return False
        self._unfinished[offset] = None
        return True

    def finish(self, offset: int) -> None:
        """Nothing of it is left to do. Harmless twice."""
        self._unfinished.pop(offset, None)
        self.changed = True

    def has_room(self) -> bool:
        """Whether one more may be taken: what finishes in any order must still fit the metadata."""
        return len(self._unfinished) < UNFINISHED_MAX or self._end() - next(iter(self._unfinished)) < SPAN_MAX

    def mark(self) -> tuple[int, str]:
        """(offset to commit, metadata). When the finished ones do not fit, the newest are left out: repeated, never lost."""
        self.changed = False
        base = next(iter(self._unfinished), self._next)
        return base, encode(base, self._finished_beyond(base))

    def _end(self) -> int:
        return max(self._next, self._ranges[-1][1]) if self._ranges else self._next

    def _finished_beyond(self, base: int) -> list[Range]:
        found: list[Range] = []
        start = base
        for offset in self._unfinished:
            if start < offset:
                found.append((start, offset))
            start = offset + 1
        if start < self._next:
            found.append((start, self._next))
        for low, high in self._ranges:
            start = max(low, self._next)
            if start < high:
                if found and found[-1][1] == start:
                    found[-1] = (found[-1][0], high)
                else:
                    found.append((start, high))
        return found


def encode(base: int, ranges: list[Range]) -> str:
    """Ranges of finished offsets at or above `base` as text; what does not fit is cut from the end."""
    if not ranges:
        return ""
    code = bytearray()
    position = base
    for low, high in ranges:
        run = _varint(low - position) + _varint(high - low)
        if len(code) + len(run) > CODE_BYTES_MAX:
            break
        code += run
        position = high
    span = ranges[-1][1] - base
    if position == ranges[-1][1] and len(code) <= (span + 7) // 8:
        return f"{VERSION}r{b64encode(code).decode()}"
    if position < base + SPAN_MAX:  # runs are cut and bits reach further
        return f"{VERSION}b{b64encode(_bitmap(base, ranges)).decode()}"
    return f"{VERSION}r{b64encode(code).decode()}"


def decode(base: int, text: str) -> list[Range]:
    """The ranges that `encode` wrote. Text of another origin means nothing is known to be finished."""
    kind, code = text[:2], text[2:]
    if kind not in (f"{VERSION}r", f"{VERSION}b") or len(text) > COMMIT_METADATA_BYTES_MAX:
        return []
    try:
        packed = b64decode(code, validate=True)
    except ValueError:
        return []
    return _ranges_of_bits(base, packed) if kind[1] == "b" else _ranges_of_runs(base, packed)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _ranges_of_runs(base: int, packed: bytes) -> list[Range]:
    lengths: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            lengths.append(number)
            number = shift = 0
    found: list[Range] = []
    position = base
    for unfinished, finished in zip(lengths[::2], lengths[1::2], strict=False):
        low = position + unfinished
        position = low + finished
        found.append((low, position))
    return found


def _bitmap(base: int, ranges: list[Range]) -> bytes:
    bits = 0
    for low, high in ranges:
        low, high = low - base, min(high - base, SPAN_MAX)  # noqa: PLW2901 - the same range, counted from the base
        if low < high:
            bits |= ((1 << (high - low)) - 1) << low
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _ranges_of_bits(base: int, packed: bytes) -> list[Range]:
    found: list[Range] = []
    digits = bin(int.from_bytes(packed, "little"))[:1:-1]  # the lowest bit first
    position = digits.find("1")
    while position >= 0:
        end = digits.find("0", position)
        high = len(digits) if end < 0 else end
        found.append((base + position, base + high))
        position = digits.find("1", high)
    return found
