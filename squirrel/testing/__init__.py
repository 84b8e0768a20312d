"""A webhook target that misbehaves on command, for those who test what calls them, and for our own suite.

Reads: what is sent to it. Keeps: every request as it stood on the wire, until it ends. Writes: answers, and with `promise`
the `:complete` of a run.
Promises: listens on 127.0.0.1 only; ends with everything it began, whatever it was told to do without end.
Never: needs a broker, reads a clock, or is imported by a service.
"""

from squirrel.testing.behaviours import (
    answer,
    close_on_receipt,
    close_when_idle,
    delayed,
    drip,
    endless,
    endless_chunk,
    endless_chunks,
    failing,
    gzip_bomb,
    half_close,
    header_flood,
    in_turn,
    no_answer,
    raw,
    redirect,
    reset,
    retry_after,
    signed,
    wrong_length,
)
from squirrel.testing.commands import by_path
from squirrel.testing.in_thread import ThreadTarget, target
from squirrel.testing.promises import broken_promise, promise
from squirrel.testing.target import Behaviour, Line, Received, Target

__all__ = [
    "Behaviour", "Line", "Received", "Target", "ThreadTarget", "answer", "broken_promise", "by_path", "close_on_receipt",
    "close_when_idle", "delayed", "drip", "endless", "endless_chunk", "endless_chunks", "failing", "gzip_bomb", "half_close",
    "header_flood", "in_turn", "no_answer", "promise", "raw", "redirect", "reset", "retry_after", "signed", "target",
    "wrong_length",
]  # fmt: skip
