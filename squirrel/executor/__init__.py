"""Executions become calls, calls become results.

Reads:    `squirrel.executions`, one record per due attempt, and the marks of new owners, behind which older ones are not heard.
Keeps:    pooled connections, names resolved a second ago, and what is in flight; nothing that outlives the process.
Writes:   `squirrel.results`, one record per finished attempt.
Promises: one attempt is at most one request on the wire; it starts at its due millisecond or later, never earlier; its slot is
          free at the deadline whatever the target does; every address is checked before it is dialled.
Never:    retries by itself, follows a redirect, unpacks a body, trusts a proxy variable, or tells anyone an address.
"""
