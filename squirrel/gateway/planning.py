"""The calls around schedules: previews, revisions, calendars, templates, bulk operations, what is coming. One entry each."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.bulk import BulkOperations
from squirrel.gateway.calendars import Calendars
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.operation import Operation
from squirrel.gateway.preview import Previews
from squirrel.gateway.producing import CommandLog
from squirrel.gateway.resume_preview import ResumePreviews
from squirrel.gateway.revisions import Revisions
from squirrel.gateway.schedules import FORCES, Parts
from squirrel.gateway.schemas import ID, INSTANT_SCHEMA, TEXT, choice, text
from squirrel.gateway.stream import STREAM_ANSWER, Stream
from squirrel.gateway.templates import Templates
from squirrel.gateway.upcoming import BUCKET_PATTERN, UpcomingRuns
from squirrel.model.limits import (
    EVENT_CHARS_MAX,
    ID_CHARS_MAX,
    UPCOMING_ROW_SLOTS_MAX,
    UPCOMING_ROWS_MAX,
    UPCOMING_SLOTS_MAX,
)

API: Final = "/api/v1"
_LOCATION: Final = {"Location": {"schema": {"type": "string"}}}
_FORCE: Final = {"force": choice(*FORCES, description="although a run is under way; see PATCH")}


class Planning:
    """Makes these calls' handlers; `close` ends what they do in the background."""

    def __init__(self, deps: GatewayDeps, parts: Parts, definitions: CommandLog) -> None:
        self._previews = Previews(deps.clock, parts.calendars)
        self._resume_previews = ResumePreviews(deps.clock, parts.lookups, parts.calendars)
        self._revisions = Revisions(parts)
        self.bulk = BulkOperations(parts)
        names = {deps.settings.results_topic: "result", deps.settings.completions_topic: "completion"}
        self.stream = Stream(deps.new_live_source, names)
        self._upcoming = UpcomingRuns(deps.clock, parts.link)
        log = DefinitionLog(definitions, deps.definitions)
        self._calendars = Calendars(deps.clock, log, parts.calendars)
        self._templates = Templates(deps.clock, log, parts.templates, deps.settings.targets)

    async def close(self) -> None:
        """Ends what goes on in the background."""
        await self.stream.close()
        await self.bulk.close()

    def operations(self) -> list[Operation]:
        """What `routes_of` and the document are made from."""
        return [
            *self._previewing(),
            *self._of_revisions(),
            *self._of_calendars(),
            *self._of_bulk(),
            *self._of_templates(),
        ]

    def _previewing(self) -> list[Operation]:
        return [
            Operation(
                method="POST", path=f"{API}/preview", handler=self._previews.preview, tag="planning",
                summary="The next runs of a rule, in instants and in words; nothing is stored",
                description="Runs at or after `from`, before the spread, as of a schedule created then.",
                body=_body("NewPreview", {"when": {"cron": "0 9 * * 1-5", "timezone": "America/New_York"}, "count": 3}),
                responses={200: _json("Preview", "the runs")},
            ),
            Operation(
                method="GET", path=f"{API}/presets", handler=self._previews.presets, tag="planning",
                summary="Rules to start from", responses={200: _json("PresetPage", "all of them")},
            ),
            Operation(
                method="GET", path=f"{API}/upcoming", handler=self._upcoming.list, tag="planning",
                summary="All coming runs by bucket, the busiest bucket, and the busiest schedules of each",
                description="From the hour that goes on now for a day, by the hour, unless said otherwise; buckets without a run "
                f"are left out. Of one schedule {UPCOMING_ROW_SLOTS_MAX} runs are counted, of all {UPCOMING_SLOTS_MAX} of "
                f"{UPCOMING_ROWS_MAX} schedules per engine, within two seconds: `complete` is false when there are more.",
                query={
                    "from": INSTANT_SCHEMA, "to": INSTANT_SCHEMA,
                    "bucket": text(5, BUCKET_PATTERN, description="minute, hour, day or a number of seconds"),
                },
                responses={200: _json("Upcoming", "what is coming")},
            ),
            Operation(
                method="POST", path=f"{API}/schedules/{{id}}:preview-resume", handler=self._resume_previews.preview,
                tag="schedules", summary="Which runs are owed now, and what a resume would make of them",
                responses={200: _json("ResumePreview", "what is owed")},
            ),
        ]  # fmt: skip

    def _of_revisions(self) -> list[Operation]:
        path = f"{API}/schedules/{{id}}"
        changed = {"ETag": {"schema": {"type": "string"}, "description": "the revision, quoted"}}
        return [
            Operation(
                method="GET", path=f"{path}/revisions", handler=self._revisions.list, tag="revisions",
                summary="The revisions of a schedule that are kept, newest first",
                responses={200: _json("RevisionPage", "all of them")},
            ),
            Operation(
                method="GET", path=f"{path}/revisions/{{n}}", handler=self._revisions.get, tag="revisions",
                summary="A revision, and what differs from the one that holds, or from `against`",
                query={"against": text(9, r"^[1-9][0-9]{0,8}$", description="another revision to compare with")},
                responses={200: _json("Revision", "the revision")},
            ),
            Operation(
                method="POST", path=f"{path}:rollback", handler=self._revisions.rollback, tag="revisions",
                summary="Restore the content of a former revision, as a new one",
                query=_FORCE, headers=("IfMatch", "Prefer"), body=_body("Rollback", {"revision": 1}),
                responses={200: _json("Schedule", "the schedule", changed), 202: _json("Accepted", "stored"), 409: {}, 412: {}},
            ),
        ]  # fmt: skip

    def _of_calendars(self) -> list[Operation]:
        path = f"{API}/calendars/{{name}}"
        calendars = self._calendars
        return [
            Operation(
                method="GET", path=f"{API}/calendars", handler=calendars.list, tag="calendars",
                summary="All calendars of the namespace, without their dates",
                responses={200: _json("CalendarPage", "all of them")},
            ),
            Operation(
                method="GET", path=path, handler=calendars.get, tag="calendars", summary="A calendar with its dates",
                responses={200: _json("Calendar", "the calendar")},
            ),
            Operation(
                method="PUT", path=path, handler=calendars.put, tag="calendars",
                summary="Say which days are off, for every schedule whose `exclude` names the calendar",
                description="A change re-plans the slots that are pending.",
                body=_body("NewCalendar", {"country": "DE", "subdivision": "BY", "weekend": ["saturday", "sunday"]}),
                responses={200: _json("Calendar", "changed"), 201: _json("Calendar", "new", _LOCATION)},
            ),
            Operation(
                method="DELETE", path=path, handler=calendars.delete, tag="calendars", summary="Remove a calendar",
                description="A schedule that still names it fails at its next slot and says so.",
                responses={204: {"description": "done"}},
            ),
        ]  # fmt: skip

    def _of_bulk(self) -> list[Operation]:
        return [
            Operation(
                method="POST", path=f"{API}/schedules:bulk", handler=self.bulk.begin, tag="schedules",
                summary="Pause, resume, cancel, shift or tag every schedule that matches a filter",
                description="Runs in the background of the gateway that answers. The operation is kept in that process's "
                "memory: it ends with it, and what is done stays done; the same request finishes the rest.",
                body=_body("Bulk", {"filter": {"tag": "daily"}, "action": "pause", "dry_run": True}),
                responses={
                    200: _json("Operation", "what would be changed (`dry_run`)"),
                    202: _json("Operation", "begun; see Location", _LOCATION),
                },
            ),
            Operation(
                method="GET", path=f"{API}/stream", handler=self.stream.watch, tag="status",
                summary="What happens, live",
                description="A comment every 15 s keeps the connection; a watcher that reads too slowly is let go and told so.",
                query={
                    "event": text(EVENT_CHARS_MAX, TEXT, description="may end in `*`"), "schedule": text(ID_CHARS_MAX, ID),
                    "workflow_run": text(ID_CHARS_MAX, ID, description="the run and all schedules of its steps"),
                },
                responses={200: STREAM_ANSWER},
            ),
        ]  # fmt: skip

    def _of_templates(self) -> list[Operation]:
        path = f"{API}/templates/{{name}}"
        templates = self._templates
        example = {
            "schedule": {
                "event": "email.send.{{kind}}",
                "when": {"at": "{{at}}"},
                "message": {"to": "{{email}}"},
                "target": {"type": "http", "url": "https://hooks.example.com/email"},
            },
            "parameters": [{"name": "kind", "default": "reminder"}, {"name": "at"}, {"name": "email"}],
        }
        return [
            Operation(
                method="GET", path=f"{API}/templates", handler=templates.list, tag="templates",
                summary="All templates of the namespace", responses={200: _json("TemplatePage", "all of them")},
            ),
            Operation(
                method="GET", path=path, handler=templates.get, tag="templates", summary="A template",
                responses={200: _json("Template", "the template")},
            ),
            Operation(
                method="PUT", path=path, handler=templates.put, tag="templates", summary="Keep a schedule to make others from",
                description='`POST /api/v1/schedules` with `{"template": name, "parameters": {...}}` makes one, tagged '
                "`template:<name>`; other fields of that body stand instead of the template's.",
                body=_body("NewTemplate", example),
                responses={200: _json("Template", "changed"), 201: _json("Template", "new", _LOCATION)},
            ),
            Operation(
                method="DELETE", path=path, handler=templates.delete, tag="templates", summary="Remove a template",
                description="Schedules that were made from it stay.", responses={204: {"description": "done"}},
            ),
        ]  # fmt: skip


def _json(name: str, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": json_content(name)}
    return answer | {"headers": headers} if headers else answer


def _body(name: str, example: Any, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": json_content(name, example)}
