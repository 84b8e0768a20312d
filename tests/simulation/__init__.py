"""A whole installation in one process and one thread: real services over twins of Kafka, the clocks, the network and the targets.

What is real: engine, executor, intake and recorder with their own wiring (`runtime/services`), `step`, the timeline in RocksDB,
the history in SQLite, codecs, writer, offsets, ownership of partitions, recovery, the clock's judgement. What is played, by
twins that pass the contract suite of `tests/contract/log`: the broker with its topics and groups, the consumer's thread, the
machine's clocks, the targets. Time is virtual, so a year passes in seconds; chance comes from one seed, so a run can be repeated:

    make simulate SEED=8412
"""
