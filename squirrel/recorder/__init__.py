"""The historian: results go into the history store, in batches.

Reads: `squirrel.results`, `squirrel.completions`.
Keeps: the batch it is writing; offsets are committed after the store has it.
Writes: the history store (SQLite or Cassandra).
Promises: every result is in the history at least once, under the same key; an outage of the store delays it and loses nothing.
Never: holds up firing.
"""
