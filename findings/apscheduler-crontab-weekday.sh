#!/usr/bin/env bash
# Part: APScheduler 3.11.3 (PyPI)
# from_crontab("0 0 * * 0") of APScheduler fires on Mondays.
#
# One would guess Sundays: the function reads a line of crontab(5), where 0 and 7 are Sunday. The numbers are APScheduler's own, 0 is Monday, 7 is an
# error, and only names mean the same as in cron.
# A job that moves from cron to a Python program runs a day later from then on, and a clean-up for the weekend runs on a working day.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install apscheduler==3.11.3 tzlocal==5.3.1
version "APScheduler 3.11.3"
guess "Sunday for 0, sun and 7, Monday for 1"
result=$(probe <<'END'
from datetime import datetime, timezone
from apscheduler.triggers.cron import CronTrigger
for day in ("0", "1", "sun", "7"):
    try:
        trigger = CronTrigger.from_crontab(f"0 0 * * {day}", timezone="UTC")
        print(f"{day}: {trigger.get_next_fire_time(None, datetime(2026, 3, 1, 12, tzinfo=timezone.utc)):%A}")
    except ValueError:
        print(f"{day}: refused")
END
)
seen "$result"
holds "$result" = "0: Monday
1: Tuesday
sun: Sunday
7: refused"
