"""`squirrel calendars` and `squirrel templates`: named days off, and schedules to make others from."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.document_file import read_document, read_text
from squirrel.cli.json_flag import json_flag
from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError

API: Final = "/api/v1"


def register(app: App) -> None:
    """Add the groups."""
    calendars = App(name="calendars", help="Days off by name, for every schedule whose exclude names them.")
    calendars.command(_lister("calendars", ("name", "days", "source", "weekend", "updated_at")), name="list")
    calendars.command(_shower("calendars"), name="show")
    calendars.command(put_calendar, name="put")
    calendars.command(_deleter("calendars"), name="delete")
    app.command(calendars)
    templates = App(name="templates", help="Schedules to make others from.")
    templates.command(_lister("templates", ("name", "description", "parameters", "updated_at")), name="list")
    templates.command(_shower("templates"), name="show")
    templates.command(put_template, name="put")
    templates.command(_deleter("templates"), name="delete")
    templates.command(use_template, name="use")
    app.command(templates)


def put_calendar(
    name: str,
    /,
    *,
    date: Annotated[tuple[str, ...], Parameter(negative=(), help="a day off, 2027-12-24; may be repeated")] = (),
    ical: Annotated[str | None, Parameter(allow_leading_hyphen=True, help="an iCalendar file; - for stdin")] = None,
    country: Annotated[str | None, Parameter(help="its public holidays: DE, US, ...")] = None,
    subdivision: Annotated[str | None, Parameter(help="with --country: BY, CA, ...")] = None,
    weekend: Annotated[tuple[str, ...], Parameter(negative=(), help="a day of each week; may be repeated")] = (),
    reach: Reach = HERE,
) -> int:
    """Say which days are off. A change re-plans what is pending."""
    said = {
        "dates": list(date) or None, "ical": None if ical is None else read_text(ical), "country": country,
        "subdivision": subdivision, "weekend": list(weekend) or None,
    }  # fmt: skip
    body = {key: value for key, value in said.items() if value is not None}
    if not body:
        raise SettingsError("say --date, --ical or --country, or a --weekend alone")
    return _put("calendars", name, body, reach)


def put_template(
    name: str,
    /,
    *,
    file: Annotated[
        str,
        Parameter(
            name=["--file", "-f"], allow_leading_hyphen=True, help="YAML or JSON: schedule, parameters; - for stdin"
        ),
    ],
    reach: Reach = HERE,
) -> int:
    """Keep a schedule whose texts hold {{parameter}}."""
    return _put("templates", name, read_document(file), reach)


def use_template(
    name: str,
    /,
    *,
    parameter: Annotated[
        tuple[str, ...], Parameter(name=["--parameter", "-p"], negative=(), help="name=value; JSON where it is JSON")
    ] = (),
    id: Annotated[str | None, Parameter(help="of the schedule")] = None,  # noqa: A002 - the flag's name
    reach: Reach = HERE,
) -> int:
    """Make a schedule from a template."""
    body: dict[str, Any] = {"template": name, "parameters": dict(_parameter(each) for each in parameter)}
    if id is not None:
        body["id"] = id
    with reach.client() as client:
        made = client.call("POST", f"{API}/schedules", body)
    if reach.is_for_people:
        done(f"Schedule {made['id']} {made.get('state', 'accepted')}")
        print(f"Next run: {made.get('next_run') or '-'}")
    else:
        reach.show(made)
    return 0


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsError(f"--parameter {text!r} must be written name=value")
    try:
        return name, json_flag("--parameter", value)
    except SettingsError:
        return name, value


def _put(kind: str, name: str, body: Any, reach: Reach) -> int:
    with reach.client() as client:
        answer = client.call("PUT", _path(kind, name), body)
    if reach.is_for_people:
        done(f"{name} stored")
    else:
        reach.show(answer)
    return 0


def _lister(kind: str, columns: tuple[str, ...]) -> Any:
    def listed(*, reach: Reach = HERE) -> int:
        with reach.client() as client:
            reach.show(client.call("GET", f"{API}/{kind}")["items"], columns)
        return 0

    listed.__doc__ = f"List all {kind}."
    return listed


def _shower(kind: str) -> Any:
    def shown(name: str, /, *, reach: Reach = HERE) -> int:
        with reach.client() as client:
            reach.show(client.call("GET", _path(kind, name)))
        return 0

    shown.__doc__ = "Show one with all that is in it."
    return shown


def _deleter(kind: str) -> Any:
    def deleted(name: str, /, *, reach: Reach = HERE) -> int:
        with reach.client() as client:
            client.call("DELETE", _path(kind, name))
        if reach.is_for_people:
            done(f"{name} removed")
        return 0

    deleted.__doc__ = "Remove one; schedules stay."
    return deleted


def _path(kind: str, name: str) -> str:
    return f"{API}/{kind}/{quote(name, safe='')}"
