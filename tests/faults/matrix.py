"""Every process of the node is killed at every moment of a run, and the run ends as if nothing had happened."""

import base64
import os
import signal
import time
from typing import Callable

from common.wait import wait_for

from ground import VICTIMS, Ground, kill
from report import Report, Row
from subject import Subject, Workspace, insist

TAKE_UP_SECONDS = 10   # until a killed worker's shims are taken up
STORE_SECONDS = 30     # from a store's readiness until its runs go on
ATTEMPTS = 5           # a moment may be over before the victim is hit

FETCHING, PLANNING, UPLOADING_PLAN = "fetching", "planning", "uploading the plan"
WAITING, APPLYING, UPLOADING_STATE = "waiting for confirmation", "applying", "uploading state"
SHOWN = {FETCHING: "planning", PLANNING: "planning", UPLOADING_PLAN: "planning", WAITING: "planned",
         APPLYING: "applying", UPLOADING_STATE: "applying"}
THERE: dict[str, Callable[[Subject], bool]] = {
    FETCHING: Subject.is_fetching, PLANNING: Subject.is_planning, UPLOADING_PLAN: Subject.is_uploading_plan,
    WAITING: Subject.is_waiting, APPLYING: Subject.is_applying, UPLOADING_STATE: Subject.is_uploading_state}

HELD_FROM = {UPLOADING_PLAN: PLANNING, UPLOADING_STATE: APPLYING}

AS_IF_NOTHING = "applied, nothing redone"


def random_text(megabytes: float) -> str:
    return base64.b64encode(os.urandom(int(megabytes * 750_000))).decode()


class Matrix:
    def __init__(self, ground: Ground, report: Report):
        self.ground, self.report = ground, report

    # One kill, one run: moments that are over in a moment

    def kill_at(self, victim: str, moment: str, workspace: Workspace) -> None:
        for attempt in range(ATTEMPTS):
            with workspace.start() as subject:
                old = self.hit(victim, moment, subject)
                killed = time.monotonic()
                if old:
                    back = self.ground.wait_back(victim, old)
                    self.judge(victim, moment, subject, killed, back)
                    return
                subject.wait("applied")
        raise AssertionError(f"{moment} was over {ATTEMPTS} times before {victim} could be hit")

    def hit(self, victim: str, moment: str, subject: Subject) -> int | None:
        """Kills the victim at the moment and gives the pid it had; nothing when the moment was over before.

        An upload is held up in its middle: whoever takes it stands still, from shortly before until the victim is dead.
        """
        if moment not in HELD_FROM:
            there = self.meet(subject, moment) and self.is_at(subject, moment)
            return self.ground.kill(victim) if there else None
        if not self.meet(subject, HELD_FROM[moment]):
            return None
        taker = self.ground.pid("archivist")
        kill([taker], signal.SIGSTOP)
        try:
            there = self.meet(subject, moment) and self.is_at(subject, moment)
            return self.ground.kill(victim) if there else None
        finally:
            kill([taker], signal.SIGCONT)

    def meet(self, subject: Subject, moment: str) -> bool:
        """Waits for the moment; false when the run has passed it."""
        there = THERE[moment]
        deadline = time.monotonic() + 60
        look_at_status = time.monotonic() + 5
        while not there(subject):
            if time.monotonic() > look_at_status:
                look_at_status = time.monotonic() + 1
                if subject.is_final():
                    return False
            if time.monotonic() > deadline:
                raise AssertionError(f"{subject.run} never was {moment}")
            time.sleep(0.002)
        return True

    @staticmethod
    def is_at(subject: Subject, moment: str) -> bool:
        """The last look before the kill: the status that users see, then once more what lies on the disk."""
        return subject.status() == SHOWN[moment] and THERE[moment](subject)

    # One kill, several runs: moments that last

    def kill_under(self, victim: str, workspaces: dict[str, Workspace]) -> None:
        subjects: dict[str, Subject] = {}
        try:
            subjects[APPLYING] = workspaces[APPLYING].start()
            subjects[WAITING] = workspaces[WAITING].start(auto_apply=False)
            for moment in (APPLYING, WAITING):
                self.meet(subjects[moment], moment)
            subjects[PLANNING] = workspaces[PLANNING].start()
            self.meet(subjects[PLANNING], PLANNING)
            for moment, subject in subjects.items():
                if not self.is_at(subject, moment):
                    raise AssertionError(f"{subject.run} is not {moment} any more: {subject.status()}")
            old = self.ground.kill(victim)
            killed = time.monotonic()
            back = self.ground.wait_back(victim, old)
            if victim == "worker":
                self.check_taken_up([subjects[APPLYING], subjects[PLANNING]], killed)
            waiting = subjects[WAITING]
            if insist(waiting.status) != "planned":
                raise AssertionError(f"{waiting.run} was planned, and now is {waiting.status()}")
            insist(lambda: self.ground.api.act(waiting.run, "apply"))
            for moment, subject in subjects.items():
                name = f"{victim} killed, {moment}"
                self.report.guard(name, lambda m=moment, s=subject: self.judge(victim, m, s, killed, back))
        finally:
            for subject in subjects.values():
                subject.close()

    def check_taken_up(self, subjects: list[Subject], killed: float) -> None:
        """The next worker has found the spools of what the shims went on with."""
        log = self.ground.site.data / "log" / "worker-1.log"
        for subject in subjects:
            wait_for(f"the phase of {subject.run} is taken up",
                     lambda: any("taken up" in line and subject.run in line for line in log.read_text().splitlines()),
                     max(0.1, killed + TAKE_UP_SECONDS - time.monotonic()))

    @staticmethod
    def steps(subject: Subject, step: str) -> int:
        return subject.trace().count(f"  {step}  ")

    # What must hold

    def judge(self, victim: str, moment: str, subject: Subject, killed: float, back: float) -> None:
        """The run ends in time and is none the worse for it; `back` seconds after the kill the victim was there."""
        rest = subject.workspace.rest_seconds(SHOWN[moment])
        patience = TAKE_UP_SECONDS if victim == "worker" else STORE_SECONDS
        subject.wait("applied", seconds=max(1.0, killed + back + rest + patience - time.monotonic()))
        ended = time.monotonic() - killed
        subject.check_undisturbed()
        self.report.add(Row(f"{victim} killed", moment, AS_IF_NOTHING, back, ended))


class Workspaces:
    """Those of the matrix: made once for all victims, so that their states are one long chain."""

    def __init__(self, ground: Ground):
        self.lasting = {PLANNING: Workspace(ground, "planning", plan_seconds=4),
                        WAITING: Workspace(ground, "waiting"),
                        APPLYING: Workspace(ground, "applying", ticks=12)}
        self.brief = {FETCHING: Workspace(ground, "fetching", ticks=2, ballast=os.urandom(24_000_000)),
                      UPLOADING_PLAN: Workspace(ground, "uploading-plan", plan_seconds=1, ticks=2, bulk=random_text(3)),
                      UPLOADING_STATE: Workspace(ground, "uploading-state", ticks=8, bulk=random_text(3))}


def of(victim: str) -> Callable[[Ground, Report], None]:
    """One victim at every moment."""
    def work(ground: Ground, report: Report) -> None:
        matrix = Matrix(ground, report)
        workspaces = ground.once(Workspaces)
        report.guard(f"{victim} killed while planning, waiting and applying",
                     lambda: matrix.kill_under(victim, workspaces.lasting))
        for moment, workspace in workspaces.brief.items():
            report.guard(f"{victim} killed while {moment}", lambda: matrix.kill_at(victim, moment, workspace))
    work.__doc__ = f"{victim} is killed at every moment of a run."
    return work


def quick(ground: Ground, report: Report) -> None:
    """Every victim once, one after the other, under runs that are all applying all the time."""
    matrix = Matrix(ground, report)
    seconds = 55
    subjects = {victim: Workspace(ground, f"under-{victim.lower()}", ticks=2 * seconds).start() for victim in VICTIMS}
    killed: dict[str, tuple[float, float]] = {}
    try:
        for victim, subject in subjects.items():
            matrix.meet(subject, APPLYING)
        for victim, subject in subjects.items():
            def hit() -> None:
                if not matrix.is_at(subject, APPLYING):
                    raise AssertionError(f"{subject.run} is not applying any more: {subject.status()}")
                old = ground.kill(victim)
                at = time.monotonic()
                killed[victim] = at, ground.wait_back(victim, old)
                if victim == "worker":
                    matrix.check_taken_up([subject], at)
            report.guard(f"{victim} killed, {APPLYING}", hit)
        for victim, (at, back) in killed.items():
            report.guard(f"{victim} killed, {APPLYING}",
                         lambda: matrix.judge(victim, APPLYING, subjects[victim], at, back))
    finally:
        for subject in subjects.values():
            subject.close()


def hand_out(ground: Ground, report: Report) -> None:
    """The worker is killed in the very moment in which it takes a job, before or after the shim has it."""
    matrix = Matrix(ground, report)
    for moment, status in ((PLANNING, "planning"), (APPLYING, "applying")):
        ended = []
        for number in range(3):
            with Workspace(ground, f"taken-{status}-{number}", ticks=2).start() as subject:
                wait_for(f"{subject.run} is {status}", lambda: subject.status() == status, 60, 0.001)
                old = ground.kill("worker")
                killed = time.monotonic()
                ground.wait_back("worker", old)
                subject.wait("applied", seconds=subject.workspace.rest_seconds(status) + STORE_SECONDS)
                ended.append(time.monotonic() - killed)
                redone, requeued = (matrix.steps(subject, step) for step in ("redo plan", "requeue apply"))
                subject.check_trace(claim_plan=1 + redone, finish_plan=1, claim_apply=1 + requeued, finish_apply=1, fail=0)
                subject.check_apply_log()
                subject.check_ended()
        report.add(Row("worker killed", f"taking the job, just {status}", "applied, once", ended=max(ended)))
