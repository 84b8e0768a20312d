"""The owner of the timeline: commands and results in, executions and outcomes out.

Reads: `commands` (changes to schedules), `results` (what became of attempts), `definitions` (routes,
calendars, listeners); at a takeover the ends of `executions` and `completions` (what a former owner said last).
Keeps: one ordered RocksDB per partition, rebuilt from `timeline-changelog`, which is the truth.
Writes: `executions`, `completions`, `dead-letters`, `timeline-changelog`, `refused`, `definitions`
(listeners), and `commands` for other schedules.
Promises: nothing acknowledged is lost; nothing is emitted for an instant before its due time less the emit-ahead; a crash
repeats at most what was in flight, with the same run and attempt; one bad schedule stops no other.
Never: calls a target, waits for one, reads a clock by itself, or starts fresh on an emptied changelog.
"""
