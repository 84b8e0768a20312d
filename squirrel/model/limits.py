"""Every limit of the product, named, with its reason, and held against its neighbours.

It lives in `model/` and not in `runtime/` because the doors that quote a limit (gateway, intake, executor) lie below runtime.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# --- what one schedule may hold ------------------------------------------------------------------------------------
PAYLOAD_BYTES_MAX: Final = 256 * KIB  # rides in the row, in each execution and in the history; Kafka's default is 1 MiB
METADATA_BYTES_MAX: Final = 16 * KIB  # shown in lists, so it must stay small
ID_CHARS_MAX: Final = 255
NAME_CHARS_MAX: Final = 255
EVENT_CHARS_MAX: Final = 255  # travels in a header of every call
DESCRIPTION_CHARS_MAX: Final = 4096
TAGS_MAX: Final = 50  # one index row each
TAG_CHARS_MAX: Final = 255
NAMESPACE_CHARS_MAX: Final = 63
GROUP_CHARS_MAX: Final = 255
URL_CHARS_MAX: Final = 8 * KIB
TARGET_HEADERS_MAX: Final = 64
TARGET_HEADER_BYTES_MAX: Final = 8 * KIB  # one header, name and value
TARGET_CONFIG_BYTES_MAX: Final = 64 * KIB  # of a target type beyond http and kafka; rides in every execution
FALLBACKS_MAX: Final = 8
PARENTS_MAX: Final = 64  # of one `after`; children of one parent have no limit
EXCLUDES_MAX: Final = 1000
RULE_CHARS_MAX: Final = 128 * KIB  # an RRULE text with its RDATE and EXDATE lines; recurrence reads as much
JSON_DEPTH_MAX: Final = 64  # deeper documents are a parser attack, not a payload

# --- flow limits ---------------------------------------------------------------------------------------------------------
FLOW_KEY_CHARS_MAX: Final = 200  # with its prefix it is a group
FLOW_RATE_MIN: Final = 0.001  # a call in about 17 minutes; slower than that is a schedule of its own
FLOW_RATE_MAX: Final = 10_000.0  # above what one partition's owner emits, a limit limits nothing
FLOW_PARALLELISM_MAX: Final = 10_000
FLOW_LANES_KEPT_MAX: Final = 10_000  # flows that one partition's owner remembers while nothing of them is open
FLOW_OPEN_SCANNED_MAX: Final = 20_000  # open runs looked at by a new owner to learn what is under way

# --- conditions, chains and workflows ------------------------------------------------------------------------------
EXPRESSION_CHARS_MAX: Final = 1024
EXPRESSION_NODES_MAX: Final = 128
EXPRESSION_STEPS_MAX: Final = 10_000  # about 10 ms: the engine evaluates between two batches
RETRY_WORDS_MAX: Final = 50  # of `retry.on`
PARENT_BODY_BYTES_MAX: Final = 16 * KIB  # of an answer that is handed to children; longer ones are cut and say so
PARENT_RESULTS_BYTES_MAX: Final = 64 * KIB  # of all parents of one child: they ride in its row until it is called

WORKFLOW_STEPS_MAX: Final = 100
WORKFLOW_BYTES_MAX: Final = 128 * KIB  # of a definition: it rides in the row of each of its runs
WORKFLOW_INPUT_BYTES_MAX: Final = 64 * KIB
WORKFLOW_ANSWERS_BYTES_MAX: Final = 128 * KIB  # of all steps of a run; beyond it bodies are left out, and it is said
WORKFLOW_NAME_CHARS_MAX: Final = 100  # part of event names and tags
STEP_ID_CHARS_MAX: Final = 63
FAN_OUT_ITEMS_MAX: Final = 500
FAN_OUT_PARALLELISM_DEFAULT: Final = 50
WORKFLOW_VERSIONS_KEPT_MAX: Final = 10
WORKFLOWS_MAX: Final = 500  # per namespace: a list is one answer

# --- time --------------------------------------------------------------------------------------------------------
INSTANT_MS_MAX: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: the last instant RFC 3339 can write
SECONDS_MAX: Final = INSTANT_MS_MAX // 1000
TIMEOUT_SECONDS_MAX: Final = 3600
TIMEOUT_SECONDS_DEFAULT: Final = 30
RETRIES_MAX: Final = 1_000_000
MULTIPLIER_MAX: Final = 100.0
RETENTION_MS_DEFAULT: Final = 7 * 86_400_000
RETENTION_MS_MAX: Final = 3650 * 86_400_000
PARK_MS: Final = 60_000  # how long a change waits for the create it belongs to
NO_ROUTE_MS: Final = 5_000  # how long a due run waits for a route that is being written at the same moment
MISSED_GRACE_MS: Final = 1_000  # a slot this late is ordinary work of a busy second, not a missed one
ONCE_PICKED_UP_MS_MAX: Final = 900_000  # an at_most_once execution that no executor took within this is not called
ONCE_ANSWER_MS: Final = 60_000  # beyond that and its timeout, for the result to arrive before the outcome is unknown
COMPLETION_SECONDS_DEFAULT: Final = 3600  # an asynchronous target's promise, when it does not say
COMPLETION_SECONDS_MAX: Final = 366 * 86_400
RETRY_AFTER_MS_MAX: Final = 86_400_000  # a receiver cannot postpone us for ever

# --- what one call to the API may hold ---------------------------------------------------------------------------
BATCH_ITEMS_MAX: Final = 1000
BODY_BYTES_MAX: Final = 32 * MIB  # a full batch of ordinary schedules
REQUEST_BYTES_MAX: Final = MIB  # any other call
PAGE_ITEMS_MAX: Final = 1000
PAGE_ITEMS_DEFAULT: Final = 50
PAGE_BYTES_MAX: Final = 8 * MIB  # of rows from one owner for one page; a thousand of the largest would be 256 MiB
PREVIEW_COUNT_MAX: Final = 1000

# --- engine ------------------------------------------------------------------------------------------------------
PARKED_COMMANDS_MAX: Final = 16  # per unknown id
PARKED_BYTES_MAX: Final = 512 * KIB  # of all of them
OWN_MESSAGES_BYTES_MAX: Final = 300 * KIB  # of open replays that carry a message of their own, per schedule
OPEN_RUNS_MAX: Final = 1000  # per schedule, over all overlaps and triggers
QUEUED_RUNS_MAX: Final = 100  # `overlap: queue`
CATCH_UP_SLOTS_MAX: Final = 1000  # slots planned for one schedule in one step; the rest follow in the next step
DUE_BATCH_MAX: Final = 2000  # rows taken off the timeline in one step
ADMITTED_MS_MAX: Final = 60_000  # an attempt without an answer holds its place in the emit window for so long
UNTRACKED_MS: Final = 200  # one that nobody reports
ADMISSION_DEBT_MAX: Final = 10_000  # attempts that a namespace can owe the turns of the others
RELEASE_BATCH_MAX: Final = 1000  # children released in one step
OUTCOMES_KEPT_MAX: Final = 20_000  # per partition, for gateways that wait
OUTCOMES_BYTES_KEPT_MAX: Final = 16 * MIB  # of the rows in them: one with all its revisions has up to 64 KiB
REVISIONS_KEPT_MAX: Final = 20  # per schedule
REVISION_BYTES_KEPT_MAX: Final = 64 * KIB  # of all of them; a schedule with a large message keeps fewer
UPCOMING_ROWS_MAX: Final = 50_000  # looked at for one answer about what is coming; it says when there are more
UPCOMING_SLOTS_MAX: Final = 100_000  # expanded for one such answer
UPCOMING_ROW_SLOTS_MAX: Final = 1_500  # of one schedule: a day of a rule that runs every minute
UPCOMING_BUCKETS_MAX: Final = 1_500
CROWD_COUNTED_MAX: Final = 3_000  # schedules counted in one minute before a create is warned of it
LISTENERS_MAX: Final = 10_000  # schedules with `on_event`, per namespace
ROW_BYTES_MAX: Final = 900 * KIB  # what the changelog takes in one record

# --- executor and history ----------------------------------------------------------------------------------------
RESPONSE_BYTES_KEPT_MAX: Final = 64 * KIB
RESPONSE_BYTES_READ_MAX: Final = 128 * KIB  # read a little further so that keep-alive survives ordinary answers
RESPONSE_HEADERS_KEPT_MAX: Final = 64
RESPONSE_HEADER_BYTES_MAX: Final = 32 * KIB  # all of them together
WINDOW_PROCESS_MAX: Final = 1024  # calls in flight per executor process
WINDOW_HOST_MAX: Final = 256  # per target host
HELD_EXECUTIONS_MAX: Final = 20_000  # executions held for their due instant, per process
COMMIT_METADATA_BYTES_MAX: Final = 4 * KIB  # Kafka's offset.metadata.max.bytes
REPEATS_REMEMBERED_MAX: Final = 50_000  # (run, attempt) pairs an executor remembers per partition
REIGNS_REMEMBERED_MAX: Final = 1000  # owners heard since the oldest execution that is not finished, per partition
HISTORY_BATCH_MAX: Final = 2000

# --- records on Kafka ----------------------------------------------------------------------------------------------
RECORD_BYTES_MAX: Final = MIB  # internal records; the topics' max.message.bytes is set above it
INBOX_RECORD_BYTES_MAX: Final = MIB

assert DUE_BATCH_MAX <= HELD_EXECUTIONS_MAX, "one emitted batch must fit an executor that holds it"
assert RESPONSE_BYTES_KEPT_MAX <= RESPONSE_BYTES_READ_MAX, "what is kept must have been read"
assert WINDOW_HOST_MAX <= WINDOW_PROCESS_MAX, "one host must not be allowed more than the whole process"
assert PAYLOAD_BYTES_MAX + METADATA_BYTES_MAX + RULE_CHARS_MAX < ROW_BYTES_MAX // 2, (
    "every accepted schedule fits a row"
)
assert PARKED_BYTES_MAX + 64 * KIB < ROW_BYTES_MAX, "changes that wait for a create fit its row"
assert ROW_BYTES_MAX // 2 + OWN_MESSAGES_BYTES_MAX + REVISION_BYTES_KEPT_MAX < ROW_BYTES_MAX, "replays fit a full row"
assert (
    ROW_BYTES_MAX // 2 + OWN_MESSAGES_BYTES_MAX + REVISION_BYTES_KEPT_MAX + PARENT_RESULTS_BYTES_MAX < ROW_BYTES_MAX
), "what parents answered fits a row beside its replays"
assert (
    WORKFLOW_BYTES_MAX
    + WORKFLOW_INPUT_BYTES_MAX
    + WORKFLOW_ANSWERS_BYTES_MAX
    + 512 * (FAN_OUT_ITEMS_MAX + WORKFLOW_STEPS_MAX)
    < ROW_BYTES_MAX
), "a workflow run fits its row"
assert PAYLOAD_BYTES_MAX < OWN_MESSAGES_BYTES_MAX, "one replay may carry the largest message"
assert ROW_BYTES_MAX < RECORD_BYTES_MAX, "every row fits a record"
assert RESPONSE_BYTES_KEPT_MAX * 6 + PAYLOAD_BYTES_MAX < RECORD_BYTES_MAX, (
    "a result with a body of escapes fits a record"
)
assert ROW_BYTES_MAX < PAGE_BYTES_MAX, "every row fits a page"
assert NO_ROUTE_MS < PARK_MS, "waiting for a route is shorter than waiting for a create"
