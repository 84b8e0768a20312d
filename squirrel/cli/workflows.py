"""`squirrel workflows`: graphs of steps kept on the server, their runs, and what people do to these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from msgspec import to_builtins

from squirrel.cli.document_file import read_document
from squirrel.cli.json_flag import json_flag
from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError

if TYPE_CHECKING:
    from squirrel.client import WorkflowRun

STEP_COLUMNS = ("id", "state", "tries", "due", "finished", "status", "reason")
RunId = Annotated[str, Parameter(help="of the run, as `start` printed it")]
StepId = Annotated[str | None, Parameter(help="a step that failed; without it all that failed")]


def register(app: App) -> None:
    """Add the group."""
    group = App(name="workflows", help="Graphs of steps, and their runs.")
    group.command(listed, name="list")
    for verb in (apply, show, delete, start, runs, run, retry, skip):
        group.command(verb)
    for name, sentence in (
        ("pause", "Begin no further step; what is in flight goes on."),
        ("resume", "Go on."),
        ("cancel", "End a run: what has not been called is cancelled."),
    ):
        group.command(_verb(name, sentence), name=name)
    app.command(group)


def apply(
    file: Annotated[str, Parameter(help="YAML or JSON; - for stdin")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="else the document's `name`, else the file's")] = None,
    reach: Reach = HERE,
) -> int:
    """Keep a workflow. The same content again changes nothing."""
    document = read_document(file)
    if not isinstance(document, dict):
        raise SettingsError(f"{file} must hold one object with steps")
    chosen = name or document.get("name") or ("" if file == "-" else Path(file).stem)
    if not chosen:
        raise SettingsError("say --name, or put a name into the document")
    with reach.client() as client:
        before = next((each.version for each in client.workflows() if each.name == chosen), None)
        made = client.put_workflow(chosen, {**document, "name": chosen})
    if reach.is_for_people:
        said = "unchanged" if before == made.version else "stored"
        done(f"{made.name} version {made.version} {said}: {', '.join(step['id'] for step in made.steps)}")
    else:
        reach.show(to_builtins(made))
    return 0


def listed(*, reach: Reach = HERE) -> int:
    """List all workflows."""
    with reach.client() as client:
        found = client.workflows()
    reach.show(to_builtins(found), ("name", "version", "steps", "updated_at"))
    return 0


def show(name: str, /, *, reach: Reach = HERE) -> int:
    """Show a workflow with all its steps."""
    with reach.client() as client:
        reach.show(client.call("GET", f"/api/v1/workflows/{name}"))
    return 0


def delete(name: str, /, *, reach: Reach = HERE) -> int:
    """Remove a workflow; runs that go on, go on."""
    with reach.client() as client:
        client.delete_workflow(name)
    if reach.is_for_people:
        done(f"{name} removed")
    return 0


def start(
    name: str,
    /,
    *,
    input: Annotated[str | None, Parameter(help="JSON, or @FILE")] = None,  # noqa: A002 - the flag's name
    key: Annotated[str | None, Parameter(help="the same key again finds the first run")] = None,
    when: Annotated[str | None, Parameter(help='JSON: {"cron": "0 2 * * *"} makes a schedule that starts runs')] = None,
    reach: Reach = HERE,
) -> int:
    """Start a run now, or, with --when, by a schedule."""
    given: Any = None
    if input is not None:
        given = read_document(input[1:]) if input.startswith("@") else json_flag("--input", input)
    with reach.client() as client:
        if when is not None:
            body = {"input": given, "when": json_flag("--when", when)}
            made = client.call("POST", f"/api/v1/workflows/{name}:start", body)
            if reach.is_for_people:
                done(f"Schedule {made['id']} starts {name}; next run: {made.get('next_run') or '-'}")
            else:
                reach.show(made)
            return 0
        begun = client.start_workflow(name, given, idempotency_key=key)
    if reach.is_for_people:
        done(f"Run {begun.id} {begun.state}")
    else:
        reach.show(to_builtins(begun))
    return 0


def runs(
    workflow: Annotated[str | None, Parameter(help="of this workflow only")] = None,
    /,
    *,
    state: Annotated[str | None, Parameter(help="running, paused, succeeded, failed, cancelled, ...")] = None,
    limit: int = 50,
    reach: Reach = HERE,
) -> int:
    """List runs, newest first."""
    with reach.client() as client:
        found = [each for each, _ in zip(client.workflow_runs(workflow, state=state), range(limit), strict=False)]
    reach.show(to_builtins(found), ("id", "workflow", "version", "state", "started", "finished", "reason"))
    return 0


def run(run_id: RunId, /, *, reach: Reach = HERE) -> int:
    """Show a run with every step's state and times."""
    with reach.client() as client:
        _shown(client.workflow_run(run_id), reach)
    return 0


def retry(run_id: RunId, step: StepId = None, /, *, reach: Reach = HERE) -> int:
    """Begin again with what failed; the other steps keep their answers."""
    with reach.client() as client:
        _shown(client.change_workflow_run(run_id, "retry", step), reach)
    return 0


def skip(run_id: RunId, step: Annotated[str, Parameter(help="counts as done")], /, *, reach: Reach = HERE) -> int:
    """Go on as if a step were done."""
    with reach.client() as client:
        _shown(client.change_workflow_run(run_id, "skip", step), reach)
    return 0


def _verb(name: str, sentence: str) -> Any:
    def change(run_id: RunId, /, *, reach: Reach = HERE) -> int:
        with reach.client() as client:
            _shown(client.change_workflow_run(run_id, name), reach)
        return 0

    change.__doc__ = sentence
    return change


def _shown(found: WorkflowRun, reach: Reach) -> None:
    if reach.is_for_people:
        done(f"{found.workflow or found.id} version {found.version}: {found.state} {found.reason}".rstrip())
        reach.show(to_builtins(found.steps), STEP_COLUMNS)
    else:
        reach.show(to_builtins(found))
