"""Faust, made fast and safe for this: batch lanes, timeline store and table, recovery, idempotent writer.

It knows topics, partitions, offsets and bytes; what the records mean is known by the rooms above. Only Faust's official doors
are used (a transport, a store, the class settings); ARCHITECTURE.md says what is replaced and why.
"""
