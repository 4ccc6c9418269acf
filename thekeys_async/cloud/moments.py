"""A share's start and end: one moment for callers, a date and an hour for the cloud."""

from datetime import date, datetime, time, tzinfo

from thekeys_async.cloud.models import Moment


def joined(day: date | None, hour: time | None, zone: tzinfo) -> Moment | None:
    """Make one moment of the cloud's date and hour."""
    if day is None or hour is None:
        return hour if day is None else day
    return datetime.combine(day, hour, zone)


def split(moment: Moment | None, zone: tzinfo) -> tuple[date | None, time | None]:
    """Make the cloud's date and hour of a moment, to the minute.

    Raises:
        ValueError: A datetime has no zone, or a time has one.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a share starts and ends at an aware datetime, a date, or a time of day")
        local = moment.astimezone(zone)
        return local.date(), time(local.hour, local.minute)
    if isinstance(moment, time):
        if moment.tzinfo is not None:
            raise ValueError("a time of day is the locker's own, without a zone")
        return None, time(moment.hour, moment.minute)
    return moment, None


def rounded(moment: Moment | None, zone: tzinfo) -> Moment | None:
    """Bring a moment into the form in which the cloud hands it back.

    Raises:
        ValueError: As `split`.
    """
    return joined(*split(moment, zone), zone)


def check_order(starts: Moment | None, ends: Moment | None) -> None:
    """Refuse a share that ends before it starts.

    Hours of the day are not compared: from 22:00 to 06:00 is a night.

    Raises:
        ValueError: It does.
    """
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        wrong = ends <= starts
    elif isinstance(starts, date) and isinstance(ends, date):
        wrong = _day(ends) < _day(starts)
    else:
        wrong = False
    if wrong:
        raise ValueError("the share would end before it starts")


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
