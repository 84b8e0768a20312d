"""The timeline: one RocksDB per partition, ordered by time, rebuilt from the changelog whenever it has to be.

Reads: the changelog of its partition. Keeps: S, W, D, X and C rows (`keys.py`). Writes: nothing to Kafka.
Promises: rows, indexes, cursor and changelog offset change in one WriteBatch; what is open is assigned or followed.
Never: opens any other partition, starts fresh on a changelog that was emptied.
"""
