"""Chaos: the product as processes, a load, a seeded plan of faults, and the judge over what was left behind.

`python -m tests.chaos --minutes 10 --seed 7` (`make chaos`), `--short` for the form of `make test`, `--only poison,swizzle` for
some kinds of faults. A run starts an embedded broker with one listener and one proxy for each process, three engines, two
executors, gateway, intake, recorder and, in the long form, Cassandra. What clients asked and were told (`ledger.jsonl`), what the
target received (`sink.jsonl`), the faults, all topics and how it ended go into one directory, which `tests.judge` reads.

Reads: nothing but what a client, a target and an operator could see.
Promises: the same seed is the same plan of faults and the same clients; how they meet is for the machine to decide.
Never: decides by time, but for E after the last heal, which grows with the load that others put on the machine.
"""
