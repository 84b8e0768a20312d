"""Circuit breakers: a host that fails again and again is not called for a while, then asked by one call at a time. Pure.

One per namespace and host, so that a tenant's wrong URL closes nothing for another; per process, so each executor learns by
itself. A host without trouble has no entry and costs one look at an empty dictionary. Source: M. Nygard, "Release It!", ch. 5.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, Literal
from zlib import crc32

from msgspec import Struct

from squirrel.wire.attempt import Outcome

FAILURES_IN_A_ROW: Final = 10  # open the circuit
RECENT_KEPT: Final = 50  # outcomes since the trouble began
RECENT_MIN: Final = 20  # before their share counts
FAILED_SHARE: Final = 0.8
OPEN_SECONDS_FIRST: Final = 5.0  # doubled by each probe that fails
OPEN_SECONDS_MAX: Final = 300.0
PROBE_SECONDS_MAX: Final = 90.0  # then its call is taken for lost and another may ask
SPREAD_SECONDS_MIN: Final = 1.0  # runs that were put off come back over this long, not in one instant
SPREAD_SECONDS_MAX: Final = 900.0
SPREAD_OF_OUTAGE: Final = 4  # a quarter of how long it has lasted
BREAKERS_MAX: Final = 4096  # per process; beyond that, the one that was longest without news is forgotten
GIVEN_UP_MS: Final = 365 * 86_400_000

# What says that a host is in no state to be called. A 4xx does not: it is alive, and another call may be right.
_TROUBLE: Final = frozenset({"dns", "connect", "tls", "timeout", "disconnected", "protocol"})
State = Literal["closed", "open", "half_open", "disabled"]


class Breaker(Struct):
    """One host of one namespace, since its last trouble began. Seconds are monotonic."""

    since_ms: int  # epoch; of the first failure without a success after it
    failures_in_a_row: int = 0
    failures: int = 0
    put_off: int = 0  # attempts that were not made
    opened_at: float | None = None
    open_seconds: float = OPEN_SECONDS_FIRST
    probe: object = None  # the call that asks
    probe_at: float = 0.0
    recent: deque[bool] = deque(maxlen=RECENT_KEPT)
    last_error: str = ""
    disabled: bool = False

    def state(self, now_s: float) -> State:
        """What a call would meet now."""
        if self.disabled:
            return "disabled"
        if self.opened_at is None:
            return "closed"
        return "open" if now_s < self.opened_at + self.open_seconds else "half_open"


class Refused(Struct, frozen=True):
    """Why a call is not made; `retry_after_ms` None: never."""

    retry_after_ms: int | None


class Breakers:
    """All of a process. `now_s` is monotonic, `now_ms` epoch."""

    def __init__(self) -> None:
        self._troubled: OrderedDict[tuple[str, str], Breaker] = OrderedDict()
        self.opened = 0  # since the start
        self.put_off = 0

    def __bool__(self) -> bool:
        return bool(self._troubled)

    def refusal(self, place: tuple[str, str], call: object, run: str, now: tuple[float, int]) -> Refused | None:
        """Whether `call` must wait. One call at a time is let through when the time is up; the same one twice."""
        breaker = self._troubled.get(place)
        if breaker is None or (breaker.opened_at is None and not breaker.disabled):
            return None
        now_s, now_ms = now
        if breaker.disabled:
            breaker.put_off += 1
            self.put_off += 1
            return Refused(None)
        assert breaker.opened_at is not None, "an open circuit knows since when"
        left_s = breaker.opened_at + breaker.open_seconds - now_s
        if left_s <= 0:
            if breaker.probe is call:
                return None
            if breaker.probe is None or now_s - breaker.probe_at > PROBE_SECONDS_MAX:
                breaker.probe, breaker.probe_at = call, now_s
                return None
        breaker.put_off += 1
        self.put_off += 1
        outage_s = (now_ms - breaker.since_ms) / 1000
        spread_s = min(max(outage_s / SPREAD_OF_OUTAGE, SPREAD_SECONDS_MIN), SPREAD_SECONDS_MAX)
        share = crc32(run.encode("utf-8", "surrogatepass")) / 2**32
        return Refused(int((max(left_s, 0.0) + SPREAD_SECONDS_MIN + share * spread_s) * 1000))

    def took(self, place: tuple[str, str], call: object, outcome: Outcome, now_s: float) -> Breaker | None:
        """Learn from an outcome; the breaker when it failed, None when all is well (again)."""
        breaker = self._troubled.get(place)
        if not is_trouble(outcome):
            if breaker is not None and is_news(outcome):
                self._well(place, breaker, call)
            return None
        if breaker is None:
            breaker = self._troubled[place] = Breaker(outcome.finished_ms, recent=deque(maxlen=RECENT_KEPT))
            if len(self._troubled) > BREAKERS_MAX:
                self._troubled.popitem(last=False)
        self._troubled.move_to_end(place)
        if not breaker.failures_in_a_row and breaker.opened_at is None:
            breaker.since_ms = min(breaker.since_ms, outcome.finished_ms)
        breaker.failures += 1
        breaker.failures_in_a_row += 1
        breaker.recent.append(False)
        breaker.last_error = outcome.error_type if outcome.status is None else f"status {outcome.status}"  # type: ignore[assignment]
        if breaker.opened_at is not None:
            if breaker.probe is call or now_s >= breaker.opened_at + breaker.open_seconds:
                breaker.probe = None
                breaker.opened_at, breaker.open_seconds = now_s, min(breaker.open_seconds * 2, OPEN_SECONDS_MAX)
        elif breaker.failures_in_a_row >= FAILURES_IN_A_ROW or _mostly_failed(breaker.recent):
            breaker.opened_at, breaker.probe = now_s, None
            self.opened += 1
        return breaker

    def _well(self, place: tuple[str, str], breaker: Breaker, call: object) -> None:
        """A call was answered: an open circuit closes; a closed one forgets its trouble when enough went well."""
        if breaker.disabled and breaker.probe is not call:
            return
        breaker.recent.append(True)
        if breaker.opened_at is not None or all(breaker.recent):
            del self._troubled[place]
            return
        breaker.failures_in_a_row = 0

    def close(self, place: tuple[str, str]) -> bool:
        """Call it again, at once. Whether there was anything to close."""
        return self._troubled.pop(place, None) is not None

    def disable(self, place: tuple[str, str], since_ms: int) -> None:
        """Not to be called until somebody closes it."""
        breaker = self._troubled.get(place)
        if breaker is None:
            breaker = self._troubled[place] = Breaker(since_ms, recent=deque(maxlen=RECENT_KEPT))
        breaker.disabled = True

    def of(self, namespace: str) -> list[tuple[str, Breaker]]:
        """(host, breaker) of a namespace that have trouble."""
        return [(host, each) for (owner, host), each in self._troubled.items() if owner == namespace]

    def open_count(self, now_s: float) -> int:
        """How many are not closed."""
        return sum(each.state(now_s) != "closed" for each in self._troubled.values())


def is_trouble(outcome: Outcome) -> bool:
    """Whether an outcome speaks against its host."""
    if outcome.state != "failed":
        return False
    return outcome.error_type in _TROUBLE or (outcome.status is not None and outcome.status >= 500)


def is_news(outcome: Outcome) -> bool:
    """Whether an outcome says anything of the host at all: a call that was never made does not."""
    return outcome.status is not None or outcome.state in ("succeeded", "promised")


def _mostly_failed(recent: deque[bool]) -> bool:
    return len(recent) >= RECENT_MIN and recent.count(False) >= FAILED_SHARE * len(recent)
