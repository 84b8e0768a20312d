"""What turns the rooms below into running processes: settings, clock, wiring, supervision, logging, metrics, health.

The only room that knows all others, the only one that reads the environment (`settings.py`) and the clock (`clock.py`).
`local/` runs Kafka, and Cassandra for the tests, as child processes for `squirrel dev`.
"""
