"""The Kafka door: a record in the public inbox becomes a validated command, or a refusal with its reason.

Reads: `squirrel.inbox`, from any producer, any language, any partitioner.
Keeps: nothing but its committed offsets.
Writes: `squirrel.commands`, `squirrel.refused`.
Promises: every record ends in exactly one of the two, and its offset is committed after that.
Never: trusts a record's own partition or key, or stops for a bad record.
"""
