"""The Python SDK: `Client` and `AsyncClient` over the REST API, `completions` from Kafka, `receiver` for those who are called.

Nothing is decided twice: a call is a conversation in `talk` and `calls` (pure), which both clients only carry out.
Reads: answers of the REST API; `squirrel.completions`. Keeps: a pool of connections, nothing else.
Promises: a create is made at most once however often it is sent; a call that may not be made twice is not.
Never: reads the environment, follows a redirect, or judges a schedule: the server says what is wrong with it.
"""

from squirrel.client.async_client import AsyncClient
from squirrel.client.completions import completions
from squirrel.client.errors import ClientError, Conflict, Invalid, NotFound, Unauthorised, Unavailable, Unreachable
from squirrel.client.live import Live
from squirrel.client.records import (
    Attempt,
    Completion,
    Created,
    DeadLetter,
    NewSchedule,
    Page,
    Preview,
    Route,
    Run,
    Schedule,
)
from squirrel.client.repair import Operation, RunsWhere
from squirrel.client.sync_client import Client
from squirrel.client.workflows import Workflow, WorkflowRun, WorkflowStep

__all__ = [
    "AsyncClient", "Attempt", "Client", "ClientError", "Completion", "Conflict", "Created", "DeadLetter", "Invalid", "Live",
    "NewSchedule", "NotFound", "Operation", "Page", "Preview", "Route", "Run", "RunsWhere", "Schedule", "Unauthorised",
    "Unavailable", "Unreachable", "Workflow", "WorkflowRun", "WorkflowStep", "completions",
]  # fmt: skip
