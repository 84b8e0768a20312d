"""What each command does to a row. Pure: one function a verb, each ending in an outcome for whoever waits."""

from __future__ import annotations

from msgspec.msgpack import Encoder

from squirrel.engine import children, events, groups, runs, superseding
from squirrel.engine.slots import plan_first_slot, slot_after, wake_of
from squirrel.engine.work import Work
from squirrel.model.errors import Problem, Refused
from squirrel.model.ids import run_id
from squirrel.model.limits import (
    OPEN_RUNS_MAX,
    OWN_MESSAGES_BYTES_MAX,
    PARK_MS,
    PARKED_BYTES_MAX,
    PARKED_COMMANDS_MAX,
    REVISION_BYTES_KEPT_MAX,
    REVISIONS_KEPT_MAX,
)
from squirrel.model.schedule import FINAL, Awaited, OpenRun, Revision, Row, RunState, Spec, State, is_recurring
from squirrel.model.target import Target
from squirrel.model.when import When, is_plain
from squirrel.model.workflow import decode_workflow_state
from squirrel.recurrence import RuleError
from squirrel.wire import owner_link as codes
from squirrel.wire.documents import apply_patch
from squirrel.wire.records import Command, encode_command

encode_revision = Encoder().encode
encode_target = Encoder().encode
REVIVE = "revive"  # the seeds' PUT and DELETE reach a schedule that is over: started again, or taken off the lists


def create(work: Work, row: Row | None, command: Command, offset: int) -> Row | None:
    """A new schedule; the same id again is the first answer (same content) or a conflict. Returns the row if it is new."""
    spec = command.spec
    if spec is None:
        work.refuse(command, "invalid", "", "the create carries no schedule")
        return None
    if row is not None and row.moved_to:
        work.refuse(command, "conflict", "id", f"{command.id} exists in the group {row.moved_to}")
        work.decide(offset, command, codes.CONFLICT)
        return None
    if row is not None and row.state is not State.UNKNOWN:
        same_content = command.fingerprint != "" and row.fingerprint == command.fingerprint
        same = same_content or row.command_id == command.command_id
        if not same:
            work.refuse(command, "conflict", "id", f"{command.id} exists with other content")
        work.decide(offset, command, codes.REPEATED if same else codes.CONFLICT, row)
        return None
    made = _row_of(command, spec, offset)
    groups.place(work, made)
    if is_plain(spec.when) and made.workflow is None and (spec.when.at_ms or 0) >= 0:
        made.slot_ms = made.wake_ms = spec.when.at_ms  # as `begin` finds it, the long way
        work.put_new(made)
    else:
        begin(work, made)
        work.put(made)
    work.decide(offset, command, codes.CREATED, made)
    return made


def _row_of(command: Command, spec: Spec, offset: int) -> Row:
    """A new row. By position: by name it takes three times as long, a twentieth of the whole create."""
    made = Row(
        command.namespace,
        command.id,
        State.ACTIVE,
        None,
        command.accepted_ms,
        spec.event,
        spec.tags,
        1,
        [],
        spec,
        command.accepted_ms,
    )
    made.command_id = command.command_id
    made.fingerprint = command.fingerprint
    made.command_offset = offset
    made.rule_ms = command.accepted_ms
    if command.workflow:
        made.workflow = decode_workflow_state(command.workflow)
    return made


def begin(work: Work, row: Row) -> None:
    """Give a new or changed rule its first slot, or its parents."""
    row.parents = [Awaited(parent.schedule, parent.on) for parent in row.spec.when.after]  # type: ignore[arg-type]
    if row.parents:
        row.state = State.PAUSED if row.state is State.PAUSED else State.WAITING
        row.slot_ms = None
        children.subscribe_to_parents(work, row)
    else:
        problem = plan_first_slot(row, work.calendars(row.namespace))
        if problem is not None:
            runs.fail(work, row, f"{problem.field}: {problem.reason}")
        elif events.listens(row):
            events.announce(work, row)
        elif row.slot_ms is None and not row.runs:
            runs.stop(work, row, State.FINISHED, "the rule has no slot after now")
    row.wake_ms = wake_of(row)


def park(work: Work, row: Row | None, command: Command, offset: int) -> None:
    """A change to an id that is not known yet waits for its create, bounded in time and number."""
    if row is None:
        row = Row(
            namespace=command.namespace,
            id=command.id,
            state=State.UNKNOWN,
            wake_ms=work.now_ms + PARK_MS,
            created_ms=work.now_ms,
            event="",
            tags=(),
            revision=0,
            runs=[],
            spec=Spec(event="", when=When()),
            expires_ms=work.now_ms + PARK_MS,
        )
    encoded = encode_command(command)
    if encoded in row.parked:
        work.replays += 1
    elif len(row.parked) >= PARKED_COMMANDS_MAX or sum(map(len, row.parked)) + len(encoded) > PARKED_BYTES_MAX:
        work.refuse(command, "unknown_schedule", "id", f"{len(row.parked)} changes wait for {command.id} already")
    else:
        row.parked.append(encoded)
        work.put(row)
    work.decide(offset, command, codes.PARKED, row)


def too_late(work: Work, row: Row, command: Command, offset: int) -> None:
    """The run was emitted or is over: said with the run itself."""
    open_run = next((run for run in row.runs), None)
    state = open_run.state if open_run is not None else row.last.state if row.last is not None else row.state
    work.refuse(command, "too_late", "id", f"{row.id} is {state}")
    problem = Problem("id", f"the run is {state}")
    work.decide(offset, command, codes.TOO_LATE, row, open_run=open_run, problem=problem)


def update(work: Work, row: Row, command: Command, offset: int) -> None:
    """A new spec in place, as a new revision; refused once the run it would change is on its way."""
    spec = _changed_spec(work, row, command, offset)
    if spec is None:
        return
    revived = command.force == REVIVE and row.state in (State.FINISHED, State.CANCELLED)
    is_over = row.state in (State.FINISHED, State.CANCELLED) and not revived
    if is_over or (_has_started(row) and command.force not in (superseding.NEXT, superseding.NOW, REVIVE)):
        too_late(work, row, command, offset)
        return
    reason = superseding.keeps_too_much(row, spec) if command.force == superseding.NEXT else None
    if reason is not None:
        work.refuse(command, "too_many_runs", "message", reason)
        work.decide(offset, command, codes.REFUSED, row, problem=Problem("message", reason))
        return
    rule_changed = spec.when != row.spec.when
    former = row.spec
    revise(work, row, spec)
    told = ""
    if command.force == superseding.NOW:
        told = superseding.give_up(work, row)
    elif row.runs and command.force == superseding.NEXT:
        superseding.pin(row, former)
    row.fingerprint = command.fingerprint
    row.updated_ms = max(command.accepted_ms, row.updated_ms)
    row.command_offset = offset
    if row.state is State.FAILED or revived:
        row.state, row.reason, row.expires_ms, row.slots = State.ACTIVE, "", None, 0
        rule_changed = True
    if rule_changed:
        row.rule_ms = command.accepted_ms if spec.when.in_seconds is not None else row.created_ms
        if row.state is State.WAITING:
            row.state = State.ACTIVE
        begin(work, row)
    if told:
        runs.settle(work, row)
    work.put(row)
    work.decide(offset, command, codes.CHANGED, row, problem=Problem("", told))


def revise(work: Work, row: Row, spec: Spec) -> None:
    """The next revision; the former one is kept, oldest ones leave first."""
    row.revisions.append(Revision(row.revision, work.now_ms, row.spec))
    while len(row.revisions) > REVISIONS_KEPT_MAX or _kept_bytes(row) > REVISION_BYTES_KEPT_MAX:
        row.revisions.pop(0)
    events.forget(work, row)
    row.revision += 1
    row.spec = spec
    row.event = spec.event
    row.tags = spec.tags
    events.announce(work, row)


def _kept_bytes(row: Row) -> int:
    """As they stand in the row: a rule or headers may be as large as a message."""
    return sum(len(encode_revision(each)) for each in row.revisions)


def _changed_spec(work: Work, row: Row, command: Command, offset: int) -> Spec | None:
    if command.op == "update":
        return command.spec
    if command.op == "rollback":
        found = next((each.spec for each in row.revisions if each.revision == command.revision), None)
        if found is None:
            kept = ", ".join(str(each.revision) for each in row.revisions) or "none"
            problem = Problem("revision", f"revision {command.revision} is not kept; these are: {kept}")
            work.decide(offset, command, codes.REFUSED, row, problem=problem)
        return found
    try:
        return apply_patch(row.spec, command.patch, schedule_id=row.id, now_ms=command.accepted_ms)
    except Refused as refused:
        problem = refused.problems[0]
        work.refuse(command, refused.code, problem.field, problem.reason)
        work.decide(offset, command, codes.REFUSED, row, problem=problem)
        return None


def _has_started(row: Row) -> bool:
    """A run of the timeline is emitted and not over: what it carries cannot be changed any more."""
    return any(run.kind == "slot" and run.state is not RunState.SCHEDULED for run in row.runs)


def cancel(work: Work, row: Row, command: Command, offset: int) -> None:
    """Nothing more of it will be called. A one-shot that is on its way or over says so instead."""
    if row.state is State.CANCELLED:
        work.decide(offset, command, codes.CANCELLED, row)
        return
    in_flight = any(run.state is RunState.IN_FLIGHT for run in row.runs)
    is_over = row.state is State.FINISHED and command.force != REVIVE
    if is_over or (in_flight and not is_recurring(row.spec.when)):
        too_late(work, row, command, offset)
        return
    reason = "cancelled"
    for run in tuple(row.runs):
        if run.state is not RunState.IN_FLIGHT:
            runs.finish(work, row, run, RunState.CANCELLED, work.now_ms, reason)
    if row.slot_ms is not None or row.state is State.WAITING:
        runs.finish(work, row, _pending_run(row), RunState.CANCELLED, work.now_ms, reason)
    runs.stop(work, row, State.CANCELLED, reason)
    row.command_offset = offset
    runs.settle(work, row)
    work.decide(offset, command, codes.CANCELLED, row)


def _pending_run(row: Row) -> OpenRun:
    """The run that the next slot would have become."""
    if row.slot_ms is None:
        return OpenRun(children.waiting_run_id(row), row.created_ms, row.created_ms)
    return OpenRun(run_id(row.namespace, row.id, row.slot_ms), row.slot_ms, row.slot_ms)


def pause(work: Work, row: Row, command: Command, offset: int) -> None:
    """No slot becomes a run until it is resumed; what is in flight goes on."""
    if row.state in FINAL:
        too_late(work, row, command, offset)
        return
    row.state = State.PAUSED
    _changed(work, row, command, offset)


def resume(work: Work, row: Row, command: Command, offset: int) -> None:
    """Go on; what was owed meanwhile follows the missed policy."""
    if row.state in FINAL:
        too_late(work, row, command, offset)
        return
    if row.state is State.PAUSED:
        waits = bool(row.parents) and row.slot_ms is None
        row.state = State.WAITING if waits else State.ACTIVE
    _changed(work, row, command, offset)


def _changed(work: Work, row: Row, command: Command, offset: int) -> None:
    row.revision += 1
    row.updated_ms = max(command.accepted_ms, row.updated_ms)
    row.command_offset = offset
    runs.settle(work, row)
    work.decide(offset, command, codes.CHANGED, row)


def trigger(work: Work, row: Row, command: Command, offset: int) -> None:
    """One run now, beside the timeline. A replay names the run it repeats and may carry another message or target."""
    if command.op == "trigger" and row.state in FINAL:
        too_late(work, row, command, offset)
        return
    if len(row.runs) >= OPEN_RUNS_MAX:
        detail = f"{OPEN_RUNS_MAX} runs of {row.id} are open, which is the limit; wait for some to finish"
        work.refuse(command, "too_many_runs", "id", detail)
        work.decide(offset, command, codes.REFUSED, row, problem=Problem("id", detail))
        return
    own_bytes = sum(_own_bytes(run.message, run.target) for run in row.runs)
    if (added := _own_bytes(command.message, command.target)) and own_bytes + added > OWN_MESSAGES_BYTES_MAX:
        detail = f"open replays of {row.id} carry {own_bytes} bytes of their own; wait for some to finish, or send less"
        field = "target" if command.message is None else "message"
        work.decide(offset, command, codes.REFUSED, row, problem=Problem(field, detail))
        return
    slot_ms = command.accepted_ms
    made = run_id(row.namespace, row.id, slot_ms, command.command_id)
    known = next((each for each in row.runs if each.id == made), None)
    if known is not None or (row.last is not None and row.last.id == made):
        work.replays += 1  # an operation sends a chunk again when it cannot know whether it was sent
        if known is not None and command.op == "trigger" and known.triggered_by != command.actor:
            known.triggered_by = command.actor  # adopted from its order, which does not name who asked
            work.put(row)
        work.decide(offset, command, codes.TRIGGERED, row, open_run=known)
        return
    run = OpenRun(
        made,
        slot_ms,
        slot_ms,
        kind="replay" if command.op == "replay" else "trigger",
        replay_of=command.run or None,
        message=command.message,
        target=command.target,
        triggered_by=command.actor if command.op == "trigger" else "",
    )
    row.runs.append(run)
    row.command_offset = offset
    row.updated_ms = max(command.accepted_ms, row.updated_ms)
    if command.op == "replay" and not work.room_to_repeat(row.namespace, len(work.executions)):
        run.state = RunState.RETRY_WAIT  # its share of the window comes from the timeline, behind what is due now
    else:
        runs.emit(work, row, run)
    runs.settle(work, row)
    still_open = next((open_run for open_run in row.runs if open_run.id == run.id), None)
    work.decide(offset, command, codes.TRIGGERED, row, open_run=still_open)


def _own_bytes(message: bytes | None, target: Target | None) -> int:
    """What a replay adds to the row: its own message, and its own target with all headers."""
    return (0 if message is None else len(message)) + (0 if target is None else len(encode_target(target)))


def hear(work: Work, row: Row, command: Command) -> None:
    """A run of an event that this schedule listens to reached an outcome."""
    events.heard(work, row, command)
    runs.settle(work, row)


def replan(work: Work, row: Row) -> None:
    """A calendar that the rule names has changed: the next slot is asked for again."""
    if row.state not in (State.ACTIVE, State.PAUSED) or row.slot_ms is None or not row.spec.when.exclude:
        return
    try:
        # From just before the slot that is planned, or from now where the calendar gave a day back.
        row.slot_ms = slot_after(row, min(row.slot_ms - 1, work.now_ms), work.calendars(row.namespace))
    except RuleError as error:
        runs.fail(work, row, f"{error.field}: {error.reason}")
    runs.settle(work, row)


def release(work: Work, row: Row, command: Command) -> None:
    """A parent reached an outcome; of a workflow's run, one of its steps."""
    if row.workflow is not None:
        runs.workflow_heard(work, row, command)
        return
    ended = children.released(work, row, command)
    if ended is not None:
        state, reason = ended
        runs.finish(work, row, _pending_run(row), state, command.finished_ms, reason)
        runs.stop(work, row, State.FAILED if state is RunState.FAILED else State.FINISHED, reason)
    runs.settle(work, row)
