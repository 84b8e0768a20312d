"""`PUT /api/v1/calendars/{name}` -> the days off as they are stored: listed, out of an iCalendar text, or a country's."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any, Final

from squirrel.model.errors import Problem, Refused
from squirrel.model.instants import format_instant
from squirrel.model.limits import NAME_CHARS_MAX, REQUEST_BYTES_MAX
from squirrel.wire.calendar_book import StoredCalendar
from squirrel.wire.documents.ical import IcalError, Span, days_of_ical
from squirrel.wire.documents.json_text import read_document, visible
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.values import Problems, read_text, shown

DATES_MAX: Final = 5_000  # of one calendar; 65 KiB as stored
YEARS_BACK: Final = 1
YEARS_AHEAD: Final = 10  # of a country's days and of repeated events; PUT again to look further
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAME: Final = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
_NAME: Final = re.compile(NAME, re.ASCII)
_NAMES: Final = ("name", "dates", "ical", "country", "subdivision", "weekend")
_SHOWN: Final = frozenset({"created_at", "updated_at", "covers", "days", "source"})
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def name_problem(name: str) -> str | None:
    """Why a calendar or a template cannot have this name. It never begins with a digit: `exclude` holds dates too."""
    if 1 <= len(name) <= NAME_CHARS_MAX and _NAME.fullmatch(name):
        return None
    return f"must have 1 to {NAME_CHARS_MAX} letters, digits and _ . - and begin with a letter or _"


def parse_calendar(name: str, body: bytes, now_ms: int, before: StoredCalendar | None = None) -> StoredCalendar:
    """Raises NotJson or Refused. `before` is the calendar it replaces: it keeps the creation."""
    values = read_document(body, REQUEST_BYTES_MAX).values
    values = {key: value for key, value in values.items() if value is not None and key not in _SHOWN}
    problems: Problems = [unknown(visible(key), key, _NAMES) for key in values if key not in _NAMES]
    if (reason := name_problem(name)) is not None:
        problems.append(Problem("name", reason))
    if values.get("name", name) != name:
        problems.append(Problem("name", "differs from the one in the path; leave it out"))
    sources = [key for key in ("dates", "ical", "country") if key in values]
    if len(sources) > 1:
        problems.append(Problem(sources[1], f"comes with {sources[0]}; send exactly one of dates, ical and country"))
    if not sources and "weekend" not in values:
        problems.append(Problem("dates", "is missing; send dates, ical, country or weekend"))
    if "subdivision" in values and "country" not in values:
        problems.append(Problem("subdivision", "belongs to a country; send both"))
    weekend = _weekend(values["weekend"], problems) if "weekend" in values else []
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    document: dict[str, Any] = {}
    days: list[date] = []
    if len(sources) == 1:
        read = {"dates": _dates, "ical": _ical, "country": _country}[sources[0]]
        days, document = read(values, year, problems)
    if problems:
        raise Refused("invalid", problems)
    created_ms = now_ms if before is None else before.created_ms
    return StoredCalendar(name, [day.isoformat() for day in days], weekend, created_ms, now_ms, document)


def calendar_document(stored: StoredCalendar, *, whole: bool = True) -> dict[str, Any]:
    """A calendar as answers show it; lists leave the dates out."""
    shown_days = {"dates": stored.dates} if whole else {}
    return {
        "name": stored.name,
        **stored.document,
        **shown_days,
        "days": len(stored.dates),
        "weekend": [WEEKDAYS[each] for each in stored.weekend if 0 <= each < len(WEEKDAYS)],
        "created_at": format_instant(stored.created_ms),
        "updated_at": format_instant(stored.updated_ms),
    }


Read = tuple[list[date], dict[str, Any]]


def _dates(values: dict[str, Any], year: int, problems: Problems) -> Read:
    given = values["dates"]
    if not isinstance(given, list) or len(given) > DATES_MAX:
        problems.append(Problem("dates", f"must be a list of at most {DATES_MAX} dates such as 2027-12-25"))
        return [], {}
    found: set[date] = set()
    for index, each in enumerate(given):
        try:
            if not isinstance(each, str) or _DATE.fullmatch(each) is None:
                raise ValueError
            found.add(date.fromisoformat(each))
        except ValueError:
            problems.append(Problem(f"dates[{index}]", f"must be a date such as 2027-12-25, is {shown(each)}"))
            if len(problems) >= 20:
                break
    return sorted(found), {"source": "dates"}


def _ical(values: dict[str, Any], year: int, problems: Problems) -> Read:
    given = values["ical"]
    if not isinstance(given, str):
        problems.append(Problem("ical", f"must be an iCalendar text, is {shown(given)}"))
        return [], {}
    span = Span(date(year - YEARS_BACK, 1, 1), date(year + YEARS_AHEAD, 12, 31), DATES_MAX)
    try:
        days = days_of_ical(given, span)
    except IcalError as error:
        problems.append(Problem("ical", str(error)))
        return [], {}
    return days, {"source": "ical", "covers": {"repeated_until": span.to_day.isoformat()}}


def _country(values: dict[str, Any], year: int, problems: Problems) -> Read:
    # Imported here: the package's tables cost time and memory that only this call needs.
    import holidays

    before = len(problems)
    country = read_text("country", values["country"], problems, 10)
    subdivision = values.get("subdivision")
    if subdivision is not None:
        subdivision = read_text("subdivision", subdivision, problems, 50)
    if len(problems) > before or country is None:
        return [], {}
    known = holidays.list_supported_countries()
    code = country.upper()
    if code not in known:
        near = get_close_matches(code, list(known), n=1, cutoff=0.4)
        advice = f"did you mean {near[0]}?" if near else "send an ISO 3166 code such as DE"
        problems.append(Problem("country", f"{shown(country)} is not known; {advice}"))
        return [], {}
    if subdivision is not None and subdivision not in known[code]:
        listed = ", ".join(known[code][:60]) or "none"
        problems.append(Problem("subdivision", f"{shown(subdivision)} is not known in {code}; known are {listed}"))
        return [], {}
    years = range(year - YEARS_BACK, year + YEARS_AHEAD + 1)
    found = sorted(holidays.country_holidays(code, subdiv=subdivision, years=years))[:DATES_MAX]
    document: dict[str, Any] = {"source": "country", "country": code}
    if subdivision is not None:
        document["subdivision"] = subdivision
    return found, {**document, "covers": {"from": f"{years[0]}-01-01", "to": f"{years[-1]}-12-31"}}


def _weekend(given: Any, problems: Problems) -> list[int]:
    if not isinstance(given, list) or len(given) > len(WEEKDAYS):
        problems.append(Problem("weekend", 'must be a list of days such as ["saturday", "sunday"]'))
        return []
    found: set[int] = set()
    for index, each in enumerate(given):
        if not isinstance(each, str) or each.lower() not in WEEKDAYS:
            problems.append(Problem(f"weekend[{index}]", f"must be one of {', '.join(WEEKDAYS)}, is {shown(each)}"))
        else:
            found.add(WEEKDAYS.index(each.lower()))
    if len(found) == len(WEEKDAYS):
        problems.append(Problem("weekend", "holds all seven days, so nothing would ever run; leave one out"))
    return sorted(found)
