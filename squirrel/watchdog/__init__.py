"""What is expected to happen, and what did not: an eye on the topics that trusts no other service's word.

Reads: the changelog, executions, results and completions, all partitions, without a group; the calendars.
Keeps: a ledger in one SQLite file: the next instant of each schedule, attempts without a result, and how far it has read.
Writes: nothing but notices; answers questions at its internal door.
Promises: a schedule whose instant passed without the engine doing anything about it is told, also while every engine is frozen or
gone; nothing is judged beyond what it has read.
Never: decides anything, holds up firing, or keeps all schedules in memory.
"""
