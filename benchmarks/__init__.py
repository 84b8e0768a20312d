"""The benchmarks: `make bench`, one JSON object a line on stdout, each with a ceiling measured in the same run.

Every file with a `run(small)` is one benchmark. It starts its own Kafka and the services it needs as real processes (stage.py),
in a fresh directory, on 127.0.0.1, and ends them. `--small` is the form that the tests run for what is counted, never for time.
"""
