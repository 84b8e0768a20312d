"""Flow limits, kept by the owner of a partition: who may call now, and who is given a later instant. Pure.

All schedules of a flow share a partition (`model/flow.py`), so what is counted here is all there is, over every executor.
- `rate_per_second`: each attempt is given the first free instant on a line of instants that are 1/rate apart (the generic cell
  rate algorithm, ITU-T I.371, without a burst). A run that has to wait gets that instant as its due time on the timeline, once:
  a million runs that wait cost a row each, and nothing in memory.
- `parallelism`: at most so many calls under way. Who finds the flow full is given a turn about when a call should have ended,
  by the mean duration of the calls before, and looks again then. The limit is exact, the turns are estimates.
What is under way is in the rows, so a new owner counts it there (`recount`); the line of instants begins anew with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from squirrel.model.flow import Flow
from squirrel.model.limits import FLOW_LANES_KEPT_MAX
from squirrel.model.schedule import OpenRun, Row, RunState
from squirrel.model.target import Route

CALL_MS_GUESSED = 100.0  # before the first call of a flow has ended
CALL_MS_LEAST = 10.0
NEWEST_PART = 0.2  # of the newest call in the mean
AGAIN_MS_MIN = 20  # between two looks of one run at a full flow
EAGER = 0.8  # turns come a little early: a look too many costs less than an idle place


class _Lane:
    """One flow: the next free instant, the runs under way, the mean duration of a call, the next turns of who waits."""

    __slots__ = ("again_ms", "call_ms", "free_ms", "turn_ms", "under_way")

    def __init__(self) -> None:
        self.free_ms = 0.0
        self.again_ms = 0.0
        self.turn_ms = 0.0
        self.call_ms = CALL_MS_GUESSED
        self.under_way: set[str] = set()


class Flows:
    """The flows of one partition, in the memory of its owner."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], _Lane] = {}

    def recount(self, rows: Iterable[Row]) -> None:
        """What former owners left under way."""
        for row in rows:
            for run in row.runs:
                if run.flow and run.state is RunState.IN_FLIGHT:
                    self._lane(row.namespace, run.flow).under_way.add(run.id)

    def under_way(self, namespace: str, key: str) -> int:
        """Calls of the flow that were ordered and have not ended."""
        lane = self._lanes.get((namespace, key))
        return 0 if lane is None else len(lane.under_way)

    def admit(self, row: Row, run: OpenRun, flow: Flow, now_ms: int, horizon_ms: int) -> bool:
        """Whether the run's next attempt may be ordered now. If not, its `due_ms` is when to look again."""
        lane = self._lane(row.namespace, flow.key)
        if flow.parallelism is not None and len(lane.under_way) >= flow.parallelism:
            run.due_ms = self._turn(lane, flow.parallelism, run, now_ms)
            run.turn = "place"
            run.state = RunState.RETRY_WAIT
            return False
        if flow.rate_per_second is not None and run.turn != "instant":
            soonest_ms = max(run.due_ms, now_ms)
            at_ms = max(lane.free_ms, float(soonest_ms))
            lane.free_ms = at_ms + 1000 / flow.rate_per_second
            if at_ms > soonest_ms:  # else the due time stays, also where it has passed: late is late
                run.due_ms = ceil(at_ms)
            if run.due_ms > horizon_ms:
                run.turn = "instant"
                run.state = RunState.RETRY_WAIT
                return False
        return True

    def began(self, row: Row, run: OpenRun, flow: Flow, *, tracked: bool) -> None:
        """The attempt was ordered. One whose end nobody reports counts in the rate alone."""
        run.turn = ""
        if tracked:
            run.flow = flow.key
            self._lane(row.namespace, flow.key).under_way.add(run.id)

    def ended(self, row: Row, run: OpenRun, started_ms: int, finished_ms: int) -> None:
        """The attempt under way has ended, whatever became of it. `started_ms` is 0 where no call was made."""
        lane = self._lane(row.namespace, run.flow)
        lane.under_way.discard(run.id)
        if started_ms:
            lane.call_ms += (max(float(finished_ms - started_ms), CALL_MS_LEAST) - lane.call_ms) * NEWEST_PART
        run.flow = ""

    def _turn(self, lane: _Lane, parallelism: int, run: OpenRun, now_ms: int) -> int:
        apart_ms = EAGER * lane.call_ms / parallelism
        if run.turn == "place":  # it had its turn and found the flow full: it does not go behind those who had none yet
            lane.again_ms = ahead_ms = max(lane.again_ms, float(now_ms)) + apart_ms
        else:
            lane.turn_ms = ahead_ms = max(lane.turn_ms, float(now_ms)) + apart_ms
        return max(int(ahead_ms), now_ms + AGAIN_MS_MIN)

    def _lane(self, namespace: str, key: str) -> _Lane:
        lane = self._lanes.get((namespace, key))
        if lane is None:
            if len(self._lanes) >= FLOW_LANES_KEPT_MAX:
                self._forget_idle()
            lane = self._lanes[namespace, key] = _Lane()
        return lane

    def _forget_idle(self) -> None:
        self._lanes = {name: lane for name, lane in self._lanes.items() if lane.under_way}


def flow_of(row: Row, route: Route | None) -> Flow | None:
    """The schedule's own flow, or its route's where the route says whom it calls."""
    if row.spec.flow is not None:
        return row.spec.flow
    return route.flow if route is not None and row.spec.target is None else None
