"""The `squirrel` command: one file per group of verbs.

Verbs that read or change schedules speak to the REST API through `client/`; `dev` and the service verbs start processes
through `runtime/`. It keeps no rules of its own: what is right or wrong about a schedule is said by the server.
"""
