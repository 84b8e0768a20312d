"""`GET /api/v1/upcoming`: all coming runs of a namespace by bucket, so that a person sees the spike before it comes."""

from __future__ import annotations

import heapq
from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import invalid
from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable
from squirrel.model.instants import InstantError, format_instant, parse_instant
from squirrel.model.limits import INSTANT_MS_MAX, UPCOMING_BUCKETS_MAX
from squirrel.wire.documents import answer_json
from squirrel.wire.owner_link import Buckets, Upcoming

BUCKETS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
BUCKET_SECONDS_MAX: Final = 31 * 86_400
WINDOW_MS_DEFAULT: Final = 86_400_000
BUCKET_PATTERN: Final = r"^(minute|hour|day|[1-9][0-9]{1,4})$"
TOP_SHOWN: Final = 5


class UpcomingRuns:
    """Handler."""

    def __init__(self, clock: Clock, link: OwnerLink) -> None:
        self._clock = clock
        self._link = link

    async def list(self, call: Call) -> Response:
        """GET /upcoming."""
        seconds = _bucket_seconds(call.query.get("bucket", "hour"))
        now_ms = self._clock.now_ms()
        # From the bucket that goes on now, so that buckets are clock hours, as spikes are.
        from_ms = _instant(call, "from", now_ms - now_ms % (seconds * 1000))
        to_ms = _instant(call, "to", min(max(from_ms, now_ms) + WINDOW_MS_DEFAULT, INSTANT_MS_MAX))
        if to_ms <= from_ms:
            raise invalid("to", "must lie after from")
        if (to_ms - from_ms) > seconds * 1000 * UPCOMING_BUCKETS_MAX:
            raise invalid("bucket", f"gives more than {UPCOMING_BUCKETS_MAX} buckets; send a longer one, or less time")
        ask = Upcoming(call.namespace, from_ms, to_ms, seconds * 1000, TOP_SHOWN)
        answers = await self._link.ask_all(ask)
        parts = [each for each in answers if isinstance(each, Buckets)]
        if len(parts) != len(answers):
            raise Unavailable("an engine did not answer in time; send again", 1)
        return Response(answer_json(upcoming_document(ask, parts)), 200, media_type="application/json")


def upcoming_document(ask: Upcoming, parts: list[Buckets]) -> dict[str, Any]:
    """The owners' counts as one; a schedule lives with one owner, so tops only need merging."""
    counts: dict[int, int] = {}
    for part in parts:
        for number, count in part.counts.items():
            counts[number] = counts.get(number, 0) + count
    shown: list[dict[str, Any]] = [
        {
            "start": format_instant(ask.from_ms + number * ask.bucket_ms),
            "end": format_instant(min(ask.from_ms + (number + 1) * ask.bucket_ms, ask.to_ms)),
            "count": counts[number],
            "top": [
                {"id": name, "count": count}
                for name, count in heapq.nsmallest(
                    ask.top,
                    (each for part in parts for each in part.top.get(number, ())),
                    key=lambda each: (-each[1], each[0]),
                )
            ],
        }
        for number in sorted(counts)
    ]
    complete = all(part.complete for part in parts)
    document: dict[str, Any] = {
        "from": format_instant(ask.from_ms),
        "to": format_instant(ask.to_ms),
        "bucket_seconds": ask.bucket_ms // 1000,
        "total": sum(counts.values()),
        "schedules": sum(part.schedules for part in parts),
        "buckets": shown,
        "busiest": max(shown, key=lambda each: each["count"], default=None),
        "complete": complete,
    }
    if not complete:
        document["warnings"] = ["there are more runs than could be counted; ask about less time"]
    return document


def _instant(call: Call, name: str, default_ms: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default_ms
    try:
        return parse_instant(text)
    except InstantError as error:
        raise invalid(name, str(error)) from None


def _bucket_seconds(text: str) -> int:
    if text in BUCKETS:
        return BUCKETS[text]
    if text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= BUCKET_SECONDS_MAX:
        return int(text)
    raise invalid("bucket", f"must be {', '.join(BUCKETS)} or a number of seconds from 1 to {BUCKET_SECONDS_MAX}")
