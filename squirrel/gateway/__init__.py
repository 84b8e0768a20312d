"""The REST door: an HTTP request becomes a command, a query becomes an answer.

Reads: HTTP requests; the owners' answers about schedules; history, for runs.
Keeps: nothing that a restart would miss.
Writes: `squirrel.commands`, `squirrel.definitions` (routes).
Promises: an acknowledged write is in Kafka; anything wrong is answered with the field, the limit and the fix.
Never: decides when something fires, or changes a schedule's state by itself.
"""
