"""When a scheduled action is due: cron(minutes hours day-of-month month day-of-week year), rate(…), at(…).

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

import datetime
import re
import zoneinfo

DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
FIELDS = (("minutes", 0, 59, []), ("hours", 0, 23, []), ("day of month", 1, 31, []), ("month", 1, 12, MONTHS),
          ("day of week", 1, 7, DAYS), ("year", 1970, 2199, []))


def check(schedule, timezone):
    """A ValueError for what Application Auto Scaling would refuse."""
    try:
        zoneinfo.ZoneInfo(timezone or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"Invalid timezone: {timezone}") from None
    if schedule.startswith("cron("):
        fields = schedule[5:-1].split()
        if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
            raise ValueError(f"Invalid schedule expression. Details: {schedule}")
        for text, field in zip(fields, FIELDS):
            values_of(text, field)
    elif not re.fullmatch(r"rate\(\d+ (minute|hour|day)s?\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)", schedule):
        raise ValueError(f"Invalid schedule expression. Details: {schedule}")


def values_of(text, field):
    """The set of values that one field of a cron expression allows."""
    _, low, high, _ = field
    if text in ("*", "?"):
        return set(range(low, high + 1))
    found = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else number(first, field)
        end = high if first == "*" else number(last or first, field)
        if step and not last:
            end = high
        # "FRI-MON" goes over the end of the week.
        around = [*range(start, end + 1)] if start <= end else [*range(start, high + 1), *range(low, end + 1)]
        found |= set(around[::int(step or 1)])
    return found


def number(text, field):
    name, low, high, words = field
    known = text.upper() in words
    if not known and not (text.isdigit() and low <= int(text) <= high):
        raise ValueError(f"Invalid {name} in the schedule expression: {text}")
    return words.index(text.upper()) + low if known else int(text)


def due(schedule, timezone, after, until):
    """Whether a moment of `schedule` lies in (after, until], two aware times."""
    zone = zoneinfo.ZoneInfo(timezone or "UTC")
    if schedule.startswith("at("):
        when = datetime.datetime.fromisoformat(schedule[3:-1]).replace(tzinfo=zone)
        return after < when <= until
    if schedule.startswith("rate("):
        count, unit = schedule[5:-1].split()
        seconds = int(count) * {"m": 60, "h": 3600, "d": 86400}[unit[0]]
        return until.timestamp() // seconds > after.timestamp() // seconds
    allowed = [values_of(text, field) for text, field in zip(schedule[5:-1].split(), FIELDS)]
    minute = after.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    while minute <= until:
        here = minute.astimezone(zone)
        shown = (here.minute, here.hour, here.day, here.month, here.isoweekday() % 7 + 1, here.year)
        if all(value in values for value, values in zip(shown, allowed)):
            return True
        minute += datetime.timedelta(minutes=1)
    return False
