"""Every limit of a rule, named, with its reason. Recurrence only; the door's own limits are in `squirrel/model/limits.py`."""

from __future__ import annotations

# A rule is text typed by a person or exported by a calendar; it rides in the row and in each former revision.
RULE_CHARS_MAX = 128 * 1024
# A cron line with every minute listed has 170 characters.
CRON_CHARS_MAX = 1_024
# Past this many exceptions the schedule wants a calendar, which is shared and looked up by day.
EXDATES_MAX = 5_000
RDATES_MAX = 5_000
RRULE_LINES_MAX = 20
# Counted as far as somebody asks; a run every second for 115 days is within it.
RRULE_COUNT_MAX = 10_000_000
# Above every value a BY part can hold: BYDAY has 7 + 7 x 106, BYYEARDAY and BYSETPOS 732.
BY_VALUES_MAX = 800
INTERVAL_MAX = 1_000_000_000
# Steps one question may take when an interval and BY parts almost never meet: about 4 ms on a slow core.
SEARCH_STEPS_MAX = 4_000
# Years after DTSTART in which COUNT is counted out; a count not reached by then never ends in practice.
COUNT_YEARS_MAX = 1_000
# Excluded slots in a row, runs of excluded days counted once, after which a rule is over: 4 years of a weekly one.
EXCLUDED_DAYS_MAX = 200
# The longest run of excluded days a slot is moved over.
EXCLUDED_RUN_DAYS_MAX = 366
EXCLUDE_ENTRIES_MAX = 1_000
SPREAD_SECONDS_MAX = 86_400
# 100 years, which keeps every instant inside year 9999.
DELAY_SECONDS_MAX = 3_155_760_000
PREVIEW_MAX = 1_000
WARNINGS_MAX = 10
# Compiled rules kept; schedules with equal content share one.
COMPILED_MAX = 4_096
# Rules with text above LARGE_RULE_CHARS are kept apart and fewer of them: one with 5,000 EXDATEs takes half a megabyte.
LARGE_COMPILED_MAX = 64
LARGE_RULE_CHARS = 2_048
# Years of expanded days a compiled rule remembers.
YEARS_KEPT_MAX = 16

assert BY_VALUES_MAX * 8 < RULE_CHARS_MAX, "one BY part at its limit fits in a rule"
assert EXDATES_MAX * 17 < RULE_CHARS_MAX, "the exceptions at their limit fit in a rule"
