"""`GET /api/v1/expectations`: what should have run and did not, asked of the watchdog, which trusts no engine's word."""

from __future__ import annotations

from typing import Final

import aiohttp
import msgspec
from starlette.responses import Response

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.call import Call
from squirrel.gateway.operation import Operation
from squirrel.gateway.paging import PAGE
from squirrel.gateway.problems import invalid
from squirrel.gateway.schemas import choice, optional_text
from squirrel.model.errors import Unavailable
from squirrel.model.ids import id_problem
from squirrel.model.instants import format_instant
from squirrel.model.limits import ID_CHARS_MAX, MIB
from squirrel.wire.documents import answer_json
from squirrel.wire.expectations import STATES, AskExpectations, Expectations, decode_expectations, encode_ask
from squirrel.wire.owner_link import PATH

ANSWER_SECONDS_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 8 * MIB


class ExpectationCalls:
    """The handler and its entry. `url` is the watchdog's internal door; empty when there is none."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def find(self, call: Call) -> Response:
        """GET /expectations."""
        schedule = call.query.get("schedule")
        reason = None if schedule is None else id_problem(schedule)
        if reason is not None:
            raise invalid("schedule", reason)
        state = call.choice("state", STATES) or "overdue"
        heard = await self._ask(
            AskExpectations(namespace=call.namespace, state=state, schedule=schedule, limit=call.limit)
        )
        if not heard.ready:
            raise Unavailable("the watchdog is still reading the topics; ask again", 2)
        document = {
            "as_of": format_instant(heard.as_of_ms),
            "counts": {"overdue": heard.overdue, "unanswered": heard.unanswered},
            "items": heard.items,
        }
        return Response(answer_json(document), 200, media_type="application/json")

    def operations(self) -> list[Operation]:
        """What `routes_of` and the document are made from."""
        return [
            Operation(
                method="GET", path="/api/v1/expectations", handler=self.find, tag="status",
                summary="What should have run and did not",
                description="Told by the watchdog, which reads the topics itself: it holds while every engine is frozen. "
                "overdue: an instant passed and nothing was done, with the runs that are missing; unanswered: emitted without a "
                "result in time; coming: the next instants; ended: the newest runs with when they were due, emitted, delivered.",
                query={
                    "state": choice(*STATES, default="overdue"), "schedule": optional_text(ID_CHARS_MAX),
                    "limit": PAGE["limit"],
                },
                responses={200: {"description": "as of the instant in it", "content": json_content("Expectations")}},
            )
        ]  # fmt: skip

    async def _ask(self, ask: AskExpectations) -> Expectations:
        if not self._url:
            raise Unavailable("no watchdog is known here: start `squirrel watchdog` and set watchdog_url", 60)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False, auto_decompress=False) as session,
                session.post(self._url + PATH, data=encode_ask(ask), headers=self._headers) as response,
            ):
                body = await response.content.read(ANSWER_BYTES_MAX)
                if response.status != 200:
                    raise Unavailable(f"the watchdog answered {response.status}; ask again", 2)
            heard: Expectations = decode_expectations(body)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            raise Unavailable(f"the watchdog cannot be asked now ({type(error).__name__}); ask again", 2) from error
        return heard
