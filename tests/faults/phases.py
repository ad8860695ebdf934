"""What keeps or performs a phase is killed: the shim, the engine, everything on the node at once."""

import contextlib
import json
import time
from typing import Callable

from common.wait import wait_for

from ground import SUPERVISOR, Ground, alive, descendants, kill
from matrix import APPLYING, PLANNING, WAITING
from report import Report, Row
from subject import Subject, Workspace, insist, ticks_in

TICKS_BEFORE = 6        # the slow resource is in the making for 3 s by then, the others are made
TELL_SECONDS = 10       # from the end of a phase's last process until its run says so
GRACE_SECONDS = 75      # an engine without its shim is interrupted, and has so long
START_SECONDS = 60      # from a start of everything until old runs have ended

PLAN_REDONE = "plan redone, then applied"
APPLY_ERRORED = "errored; what was made is in the state or in the import list"
STILL_WAITING = "still waits; confirmed, applied"

WHY_REDONE = "The worker was lost while planning; the plan is run again."


class Made:
    """What an engine has reported made, read from its events for as long as they are there."""

    def __init__(self, subject: Subject):
        self.file = subject.ground.run_directory(subject.run) / "home" / "terrane.events"
        self.ids: dict[str, str] = {}

    def look(self) -> None:
        with contextlib.suppress(OSError):
            for line in self.file.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError):
                    event = json.loads(line)
                    if event["type"] == "apply_complete":
                        self.ids[event["hook"]["resource"]["addr"]] = event["hook"]["id_value"]


def made_again(plan: str) -> None:
    """The log of a redone plan says why it begins anew, and its plan stands there once."""
    if plan.count(WHY_REDONE) != 1:
        raise AssertionError(f"the plan's log does not say why it begins anew:\n{plan}")


def check_redone(subject: Subject) -> None:
    subject.wait("applied")
    subject.check_trace(claim_plan=2, redo_plan=1, finish_plan=1, claim_apply=1, finish_apply=1, fail=0)
    made_again(subject.check_plan_log(times=2))
    subject.check_apply_log()
    subject.check_ended()


def check_errored(subject: Subject, made: Made) -> None:
    """An apply that was cut off: what it made is known, its log is whole, and its workspace is free."""
    subject.check_trace(claim_apply=1, finish_apply=0, fail=1, requeue_apply=0)
    log = subject.log("apply")
    ticks = ticks_in(log)
    if ticks != list(range(1, len(ticks) + 1)) or len(ticks) < TICKS_BEFORE - 1:
        raise AssertionError(f"the log has the lines {ticks}:\n{log}")
    message = insist(lambda: subject.ground.api.run(subject.run))["attributes"]["error-message"]
    if not message:
        raise AssertionError(f"{subject.run} does not say why it is errored")
    if len(made.ids) < 3:
        raise AssertionError(f"the engine had reported only {made.ids} made")
    imports = subject.import_list()
    saved = subject.saved_ids()
    for address, made_id in made.ids.items():
        listed = f"to = {address}\n" in imports and f'"{made_id}"' in imports
        if not listed and saved.get(address) != made_id:
            raise AssertionError(f"{address} ({made_id}) is neither in the state {saved} nor to be imported:\n{imports}")
    subject.check_ended()


def wait_for_end(subject: Subject, made: Made, pids: list[int]) -> tuple[float, float]:
    """When the last process of a phase was gone, and when its run had ended (monotonic)."""
    def gone() -> bool:
        made.look()
        return not any(alive(pid) for pid in pids)
    wait_for(f"the processes of {subject.run} are gone", gone, GRACE_SECONDS, 0.02)
    last = time.monotonic()
    wait_for(f"{subject.run} has ended", subject.is_final, TELL_SECONDS, 0.05)
    return last, time.monotonic()


def kill_in_plan(report: Report, workspace: Workspace, what: str, victim: Callable[[Subject], int]) -> None:
    with workspace.start() as subject:
        wait_for(f"{subject.run} is planning", subject.is_planning, 60, 0.02)
        pid = victim(subject)
        if subject.status() != "planning" or not alive(pid):
            raise AssertionError(f"{subject.run} is {subject.status()}, process {pid} is {alive(pid)}")
        kill([pid])
        killed = time.monotonic()
        check_redone(subject)
        report.add(Row(f"{what} killed", PLANNING, PLAN_REDONE, ended=time.monotonic() - killed))


def kill_in_apply(report: Report, workspace: Workspace, what: str, victim: Callable[[Subject], int]) -> None:
    with workspace.start() as subject:
        made = Made(subject)
        wait_for(f"{subject.run} is applying", lambda: subject.ticks() >= TICKS_BEFORE, 60, 0.05)
        pid = victim(subject)
        pids = [subject.ground.shim(subject.run), *subject.ground.sandboxed(subject.run)]
        made.look()
        if subject.status() != "applying" or not alive(pid):
            raise AssertionError(f"{subject.run} is {subject.status()}, process {pid} is {alive(pid)}")
        kill([pid])
        last, told = wait_for_end(subject, made, pids)
        check_errored(subject, made)
    with workspace.start() as following:  # nothing is in the way of the next run
        following.wait("applied")
        following.check_ended()
    report.add(Row(f"{what} killed", "applying, one resource in the making", APPLY_ERRORED, ended=told - last))


def one_process(ground: Ground, report: Report) -> None:
    """The shim, then the engine of a phase is killed; each run in a workspace of its own."""
    def shim(subject: Subject) -> int:
        return ground.shim(subject.run)

    def engine(command: str) -> Callable[[Subject], int]:
        return lambda subject: wait_for(f"the engine of {subject.run}", lambda: ground.engine(subject.run, command), 2, 0.01)

    works = {}
    for what, plans, applies in (("shim", shim, shim), ("engine", engine("plan"), engine("apply"))):
        works[f"{what} killed, {PLANNING}"] = lambda w=what, v=plans: kill_in_plan(
            report, Workspace(ground, f"{w}-of-plan", plan_seconds=3), w, v)
        works[f"{what} killed, {APPLYING}"] = lambda w=what, v=applies: kill_in_apply(
            report, Workspace(ground, f"{w}-of-apply", ticks=16), w, v)
    report.together(works)


def whole_node(ground: Ground, report: Report) -> None:
    """Every process of the node is killed at once, and everything is started again."""
    what = "all processes of the node killed"
    plan = Workspace(ground, "node-planning", plan_seconds=4)
    wait = Workspace(ground, "node-waiting")
    apply = Workspace(ground, "node-applying", ticks=20)
    with apply.start() as applying, wait.start(auto_apply=False) as waiting, plan.start() as planning:
        made = Made(applying)
        wait_for("a run waits", waiting.is_waiting, 60)
        wait_for("a run is planning", planning.is_planning, 60, 0.02)
        wait_for("a run is applying", lambda: applying.ticks() >= TICKS_BEFORE, 60, 0.05)
        shown = [subject.status() for subject in (planning, waiting, applying)]
        if shown != ["planning", "planned", "applying"]:
            raise AssertionError(f"the runs are {shown}")
        old = ground.pid(SUPERVISOR)
        pids = set(descendants(old)) | set(ground.processes())
        for subject in (planning, applying):
            pids |= {ground.shim(subject.run), *ground.sandboxed(subject.run)}
        made.look()
        kill(sorted(pids))
        wait_for("everything is dead", lambda: not any(alive(pid) for pid in pids), 20)
        killed = time.monotonic()
        back = ground.wait_back(SUPERVISOR, old)
        if insist(waiting.status) != "planned":
            raise AssertionError(f"{waiting.run} was planned, and now is {waiting.status()}")
        insist(lambda: ground.api.act(waiting.run, "apply"))
        ended = {}
        for subject in (applying, waiting, planning):
            wait_for(f"{subject.run} has ended", subject.is_final, START_SECONDS)
            ended[subject] = time.monotonic() - killed

        def check_applying() -> None:
            check_errored(applying, made)
            report.add(Row(what, APPLYING, APPLY_ERRORED, back, ended[applying]))

        def check_waiting() -> None:
            waiting.wait("applied")
            waiting.check_undisturbed()
            report.add(Row(what, WAITING, STILL_WAITING, back, ended[waiting]))

        def check_planning() -> None:
            check_redone(planning)
            report.add(Row(what, PLANNING, PLAN_REDONE, back, ended[planning]))
        report.guard(f"{what}, {APPLYING}", check_applying)
        report.guard(f"{what}, {WAITING}", check_waiting)
        report.guard(f"{what}, {PLANNING}", check_planning)
