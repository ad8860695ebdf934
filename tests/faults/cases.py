"""All cases, in the order in which they are performed on the one installation of their part."""

from dataclasses import dataclass
from typing import Callable

import matrix
import outages
import phases
from ground import VICTIMS, Ground
from report import Report


KILLED, OUTAGES = "killed", "outages"
PARTS = (KILLED, OUTAGES)


@dataclass
class Case:
    name: str
    work: Callable[[Ground, Report], None]
    part: str = KILLED
    in_quick: bool = True
    in_all: bool = True


CASES = [
    Case("one-kill", matrix.quick, in_all=False),
    *(Case(f"matrix-{victim.lower()}", matrix.of(victim), in_quick=False) for victim in VICTIMS),
    Case("hand-out", matrix.hand_out),
    Case("one-process", phases.one_process),
    Case("whole-node", phases.whole_node),
    Case("redis-flushed", outages.redis_flushed, OUTAGES),
    Case("queue-purged", outages.queue_purged, OUTAGES),
    Case("two-backgrounds", outages.two_backgrounds, OUTAGES, in_quick=False),
    Case("web-away", outages.web_away, OUTAGES, in_quick=False),
    Case("web-hangs", outages.web_hangs, OUTAGES, in_quick=False),
    Case("postgres-away", outages.postgres_away, OUTAGES, in_quick=False),
    Case("postgres-hangs", outages.postgres_hangs, OUTAGES, in_quick=False),
    Case("clock", outages.wrong_clock, OUTAGES, in_quick=False),
    Case("messages-alone", outages.messages_alone, OUTAGES, in_quick=False),
    Case("put-back", outages.database_put_back, OUTAGES, in_quick=False),
]
