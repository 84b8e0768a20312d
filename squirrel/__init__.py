"""Squirrel fires things later: once, after a delay, on a cron or RRULE, or after another run, on the Kafka you already run.

The rooms, from the top (imports point down, rooms of one layer never import each other): `cli`; `runtime`; `gateway`,
`intake`, `engine`, `executor`, `recorder`, `console`; `streams`, `stores`, `client`, `wire`; `recurrence`, `model`.
ARCHITECTURE.md says why.
"""
