"""Named cron expressions to start from. `category` groups them in lists; `id` is stable and safe in a URL."""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """One preset, in the fields the public API shows."""

    id: str
    name: str
    description: str
    expression: str
    category: str


PRESETS = (
    Preset("every-minute", "Every minute", "Once a minute", "* * * * *", "minutes"),
    Preset("every-2-minutes", "Every 2 minutes", "Minutes 0, 2, 4 …", "*/2 * * * *", "minutes"),
    Preset("every-5-minutes", "Every 5 minutes", "Minutes 0, 5, 10 …", "*/5 * * * *", "minutes"),
    Preset("every-10-minutes", "Every 10 minutes", "Minutes 0, 10, 20 …", "*/10 * * * *", "minutes"),
    Preset("every-15-minutes", "Every 15 minutes", "Each quarter of an hour", "*/15 * * * *", "minutes"),
    Preset("every-30-minutes", "Every 30 minutes", "On the hour and half past", "*/30 * * * *", "minutes"),
    Preset("every-10-seconds", "Every 10 seconds", "Six fields, seconds first", "*/10 * * * * *", "seconds"),
    Preset("every-30-seconds", "Every 30 seconds", "Six fields, seconds first", "*/30 * * * * *", "seconds"),
    Preset("hourly", "Hourly", "On the hour", "0 * * * *", "hours"),
    Preset("hourly-half-past", "Hourly at half past", "Away from the crowd on the hour", "30 * * * *", "hours"),
    Preset("every-2-hours", "Every 2 hours", "00:00, 02:00, 04:00 …", "0 */2 * * *", "hours"),
    Preset("every-3-hours", "Every 3 hours", "00:00, 03:00, 06:00 …", "0 */3 * * *", "hours"),
    Preset("every-4-hours", "Every 4 hours", "00:00, 04:00, 08:00 …", "0 */4 * * *", "hours"),
    Preset("every-6-hours", "Every 6 hours", "00:00, 06:00, 12:00, 18:00", "0 */6 * * *", "hours"),
    Preset("every-12-hours", "Every 12 hours", "Midnight and noon", "0 */12 * * *", "hours"),
    Preset(
        "business-hours-hourly",
        "Hourly in business hours",
        "09:00 to 17:00, Monday to Friday",
        "0 9-17 * * 1-5",
        "business",
    ),
    Preset(
        "business-hours-quarterly",
        "Quarter-hourly in business hours",
        "09:00 to 16:45, Monday to Friday",
        "*/15 9-16 * * 1-5",
        "business",
    ),
    Preset("weekdays-9am", "Weekdays at 09:00", "Monday to Friday, start of work", "0 9 * * 1-5", "business"),
    Preset("weekdays-5pm", "Weekdays at 17:00", "Monday to Friday, end of work", "0 17 * * 1-5", "business"),
    Preset("daily-midnight", "Daily at midnight", "00:00 every day", "0 0 * * *", "days"),
    Preset("daily-2am", "Daily at 02:00", "Quiet hours; mind the clock changes", "0 2 * * *", "days"),
    Preset("daily-6am", "Daily at 06:00", "Before the day begins", "0 6 * * *", "days"),
    Preset("daily-9am", "Daily at 09:00", "Every day, weekends too", "0 9 * * *", "days"),
    Preset("daily-noon", "Daily at noon", "12:00 every day", "0 12 * * *", "days"),
    Preset("daily-6pm", "Daily at 18:00", "Every evening", "0 18 * * *", "days"),
    Preset("twice-daily", "Twice a day", "06:00 and 18:00", "0 6,18 * * *", "days"),
    Preset("weekly-monday-9am", "Mondays at 09:00", "Start of the week", "0 9 * * 1", "weeks"),
    Preset("weekly-friday-5pm", "Fridays at 17:00", "End of the week", "0 17 * * 5", "weeks"),
    Preset("weekly-sunday-midnight", "Sundays at midnight", "Once a week, 00:00 on Sunday", "0 0 * * 0", "weeks"),
    Preset("weekends-10am", "Weekends at 10:00", "Saturday and Sunday", "0 10 * * 0,6", "weeks"),
    Preset("monthly-first", "Monthly on the 1st", "00:00 on the first day", "0 0 1 * *", "months"),
    Preset("monthly-15th", "Monthly on the 15th", "00:00 in the middle of the month", "0 0 15 * *", "months"),
    Preset(
        "monthly-last-day",
        "Monthly on the last day",
        "00:00, whether that is the 28th or the 31st",
        "0 0 L * *",
        "months",
    ),
    Preset(
        "monthly-last-weekday",
        "Last weekday of the month",
        "18:00 on the last Monday-to-Friday day",
        "0 18 LW * *",
        "months",
    ),
    Preset("monthly-first-monday", "First Monday of the month", "09:00", "0 9 * * 1#1", "months"),
    Preset("monthly-last-friday", "Last Friday of the month", "17:00", "0 17 * * 5L", "months"),
    Preset("semi-monthly", "Twice a month", "00:00 on the 1st and the 15th", "0 0 1,15 * *", "months"),
    Preset("quarterly", "Quarterly", "00:00 on 1 January, April, July, October", "0 0 1 1,4,7,10 *", "years"),
    Preset("half-yearly", "Twice a year", "00:00 on 1 January and 1 July", "0 0 1 1,7 *", "years"),
    Preset("yearly", "Yearly", "00:00 on 1 January", "0 0 1 1 *", "years"),
)
