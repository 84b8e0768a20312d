"""The owner of the timeline: it turns commands and results into due executions, completions and releases.

Reads: `squirrel.commands`, `squirrel.results`, its own `squirrel.timeline-changelog` when it recovers.
Keeps: one RocksDB per partition: schedules, who waits for whom, the timeline, indexes, the cursor.
Writes: `squirrel.timeline-changelog`, `squirrel.executions`, `squirrel.completions`, `squirrel.dead-letters`, `squirrel.refused`.
Promises: nothing acknowledged is lost; nothing is emitted twice but after a crash, and then with the same ids.
Never: calls a target, or gets ahead of its changelog.
"""
