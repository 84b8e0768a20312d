"""The public inbox -> validated commands, or refusals with their reason.

Reads: `squirrel.inbox`, from any producer, with any partitioner, key or none.
Keeps: nothing; routes and settings are handed in.
Writes: `squirrel.commands`, to the partition that owns the schedule; `squirrel.refused`.
Promises: one command or one refused record for each inbox record, in the inbox partition's order for one schedule; a record
that is read again after a crash becomes the same command with the same ids, so the engine drops it.
Never: lets a bad record stop its neighbours, trusts a record's own partition, drops anything silently.
"""

from __future__ import annotations

from squirrel.intake.shell import IntakeLane
from squirrel.intake.step import Accepted, InboxRecord, Refusal, Surroundings, decide

__all__ = ["Accepted", "InboxRecord", "IntakeLane", "Refusal", "Surroundings", "decide"]
