"""All cases, in the order in which they are performed on the one installation."""

from dataclasses import dataclass
from typing import Callable

import matrix
import outages
import phases
from ground import VICTIMS, Ground
from report import Report


@dataclass
class Case:
    name: str
    work: Callable[[Ground, Report], None]
    in_quick: bool = True
    in_all: bool = True


CASES = [
    Case("one-kill", matrix.quick, in_all=False),
    *(Case(f"matrix-{victim.lower()}", matrix.of(victim), in_quick=False) for victim in VICTIMS),
    Case("hand-out", matrix.hand_out),
    Case("one-process", phases.one_process),
    Case("redis-flushed", outages.redis_flushed),
    Case("queue-purged", outages.queue_purged),
    Case("two-backgrounds", outages.two_backgrounds, in_quick=False),
    Case("web-away", outages.web_away, in_quick=False),
    Case("postgres-away", outages.postgres_away, in_quick=False),
    Case("clock", outages.wrong_clock, in_quick=False),
    Case("messages-alone", outages.messages_alone, in_quick=False),
    Case("whole-node", phases.whole_node),
    Case("put-back", outages.database_put_back, in_quick=False),
]
