"""All cases, in the order in which they are performed on the one installation."""

from dataclasses import dataclass
from typing import Callable

import matrix
import phases
from ground import Ground
from report import Report


@dataclass
class Case:
    name: str
    work: Callable[[Ground, Report], None]
    in_quick: bool = True
    in_all: bool = True


CASES = [
    Case("one-kill", matrix.quick, in_all=False),
    Case("matrix", matrix.whole, in_quick=False),
    Case("one-process", phases.one_process),
    Case("whole-node", phases.whole_node),
]
