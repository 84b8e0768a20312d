"""The nouns of workflows: a definition (a graph of steps), and the state of one run of it, which rides in a row.

A workflow run is a schedule of its own, the coordinator; each step that becomes ready is an ordinary one-shot in its
group, whose outcome and answer come back to it. So what waits, waits on the timeline, and nothing of it lives in memory.
Both are arrays on the wire: fields are only ever appended, each with a default.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from squirrel.model.retry import RetryPolicy
from squirrel.model.target import Fallback, Target
from squirrel.model.when import When

TARGET_KIND: Final = "workflow"  # of a PluginTarget that starts a run
RUN_TAG: Final = "workflow-run"  # of every coordinator; of a step: with a colon and the run's id
RUN_PREFIX: Final = "wfr_"


class After(Struct, frozen=True, array_like=True):
    """A step that another waits for; `on` is success, failure or completion."""

    step: str
    on: str = "success"


class Compensation(Struct, frozen=True, array_like=True):
    """What undoes a step when the run fails after it."""

    target: Target
    message: bytes = b"null"
    retry: RetryPolicy | None = None


class Step(Struct, frozen=True, array_like=True):
    """One step. `message` may hold places; conditions and `for_each` look at `input`, `steps`, `item` and `index`."""

    id: str
    event: str
    target: Target | None = None  # None: the route that the event takes
    message: bytes = b"null"
    after: tuple[After, ...] = ()
    join: str = "all"
    condition: str = ""
    delay_ms: int = 0
    when: When | None = None  # the first instant of this rule after the step is ready
    retry: RetryPolicy | None = None
    fallback: tuple[Fallback, ...] = ()
    at_most_once: bool = False
    timeout_ms: int | None = None  # of the whole step, from its first due instant
    for_each: str = ""  # a list: one call for each of its items
    parallelism: int = 0  # of for_each; 0: the default
    compensate: Compensation | None = None


class Definition(Struct, frozen=True, array_like=True):
    """A version of a workflow."""

    name: str
    version: int
    steps: tuple[Step, ...]
    timeout_ms: int | None = None
    description: str = ""


class ItemState(Struct, array_like=True):
    """One item of a `for_each`. `state` is pending, waiting, succeeded, failed, skipped or cancelled."""

    state: str = "pending"
    finished_ms: int = 0
    reason: str = ""
    answer: bytes = b""


class StepState(Struct, array_like=True):
    """One step of one run; `state` as an item's. `waiting`: its schedule is there, whatever that waits for."""

    state: str = "pending"
    tries: int = 0  # how often it was started: beyond the first in the schedule's id
    ready_ms: int = 0
    due_ms: int = 0
    finished_ms: int = 0
    reason: str = ""
    answer: bytes = b""
    items: list[ItemState] = []
    passed: bool = False  # skipped by a person: counts as a success for those who wait
    undone: str = ""  # of its compensation: waiting, succeeded, failed


class WorkflowState(Struct, array_like=True):
    """One run. `phase` is running, stopping, compensating, succeeded, failed or cancelled."""

    definition: bytes
    steps: list[StepState] = []
    phase: str = "running"
    paused: bool = False
    reason: str = ""
    began_ms: int = 0
    finished_ms: int = 0
    run: str = ""  # the coordinator's open run
    starter: tuple[str, str, str] | None = None  # schedule, run and group that wait for the end of this


ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
STEP_ENDED: Final = frozenset({"succeeded", "failed", "skipped", "cancelled"})

encode_definition = Encoder().encode
decode_definition = Decoder(Definition).decode
encode_workflow_state = Encoder().encode
decode_workflow_state = Decoder(WorkflowState).decode


def run_of(coordinator: str, step: str, tries: int, item: int | None = None, *, undo: bool = False) -> str:
    """The id of the schedule that carries a step, an item of it, or its compensation."""
    part = ".undo" if undo else "" if item is None else f".{item}"
    again = f"~{tries}" if tries > 1 else ""
    return f"{coordinator}.{step}{part}{again}"


def coordinator_of(run: str) -> str:
    """The workflow run that a schedule's run starts."""
    return RUN_PREFIX + run.removeprefix("run_")
