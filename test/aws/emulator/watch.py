"""One thread in which CloudWatch and Application Auto Scaling work: measure, evaluate, scale.

Their minutes are the longest that a deploy and its tests wait for, so their clock may run faster than the
others (--watch-speed).
"""

import threading
import time
import traceback

from alarms import Alarms
from meters import Meters
from scaling import Scaling

TICK_SECONDS_MAX = 0.25     # of real time
FINEST_SECONDS = 10         # the shortest period of an alarm, of the watch's clock


def start(cloud):
    cloud.alarms, cloud.scaling = Alarms(cloud), Scaling(cloud)
    threading.Thread(target=work, args=(cloud, Meters(cloud)), name="watch", daemon=True).start()


def work(cloud, meters):
    while True:
        time.sleep(min(TICK_SECONDS_MAX, FINEST_SECONDS / 2 / cloud.watch_speed))
        for job in (meters.work, cloud.alarms.work, cloud.scaling.work):
            try:
                job(cloud.watch_clock())
            except Exception:
                traceback.print_exc()
