"""The seeds' own APIs on our port: one module per foreign API, each a translation and nothing else.

Reads: calls in the words of five other schedulers (shared/seeds), and what the native parts of the gateway know.
Keeps: nothing; what a foreign API shows and we have no field for rides in the schedule's own `dialect_fields`.
Writes: commands, through the same writer as the native API.
Promises: requests and answers of the seed documents unchanged, statuses and texts too; a schedule answers in the dialect it was
    made in; docs/compat.md says what was decided wherever a seed's code and its document disagree.
Never: decides when anything runs, calls our own HTTP, or invents a rule that the native API does not have.
"""
