"""The historian: results go into the history store, in batches.

Reads: `squirrel.results`, `squirrel.completions`, `squirrel.dead-letters`.
Keeps: the batch it is writing; offsets are committed after the store has it.
Writes: the history store (SQLite or Cassandra); what can never be written goes to `squirrel.refused`.
Promises: every result is in the history at least once, under the same key; an outage of the store delays it and loses nothing.
Never: holds up firing.
"""
