"""Cron, RRULE, interval, calendars and DST policy become instants; pure: the time is always an argument."""
