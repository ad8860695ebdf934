"""What stands still for long, forgets, tells a wrong time or comes twice: no run notices."""

import contextlib
import http.client
import re
import statistics
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Callable

from common.wait import wait_for

from ground import Ground, alive, run_tool
from matrix import APPLYING, AS_IF_NOTHING, PLANNING, STORE_SECONDS, Matrix
from report import Report, Row, Skipped
from subject import TICK_SECONDS, Subject, Workspace, insist

ANSWER_SECONDS = 40   # until a request is answered whose dependency is away
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
HAND_OUT_SECONDS = 0.5


def hold(seconds: float) -> None:
    """Lets an outage last."""
    threading.Event().wait(seconds)


def start_all(workspaces: list[Workspace], there: Callable[[Subject], bool], what: str,
              stack: contextlib.ExitStack) -> list[Subject]:
    """A run in each, all of them at the moment."""
    subjects = [stack.enter_context(workspace.start()) for workspace in workspaces]
    for subject in subjects:
        wait_for(f"{subject.run} is {what}", lambda s=subject: there(s), 120, 0.05)
    return subjects


def expect_undisturbed(report: Report, what: str, groups: dict[str, list[Subject]], since: float, back: float) -> None:
    """All runs end in time as if nothing had happened; a row for each group."""
    for moment, subjects in groups.items():
        def judge() -> None:
            for subject in subjects:
                status = "planning" if moment == PLANNING else "applying"
                rest = subject.workspace.rest_seconds(status) + STORE_SECONDS
                subject.wait("applied", seconds=max(1.0, since + back + rest - time.monotonic()))
            ended = time.monotonic() - since
            for subject in subjects:
                subject.check_undisturbed()
            report.add(Row(what, moment, AS_IF_NOTHING, back, ended))
        report.guard(f"{what}, {moment}", judge)


def expect_refusal(ground: Ground) -> float:
    """What needs PostgreSQL is answered with 503 and Retry-After, and does not hang; gives the seconds that took."""
    start = time.monotonic()
    answer = ground.site.api().request("GET", "/api/v2/account/details")
    if answer.status != 503 or not answer.headers.get("Retry-After"):
        raise AssertionError(f"without PostgreSQL the answer is {answer.status} {dict(answer.headers)}")
    return time.monotonic() - start


Outage = Callable[[str], contextlib.AbstractContextManager[None]]


def outage(ground: Ground, report: Report, what: str, victim: str, how: Outage, seconds: float, runs: int,
           meanwhile: Callable[[float], None]) -> None:
    """The victim is out for so long under as many plans and applies: some of them end meanwhile, some afterwards."""
    with contextlib.ExitStack() as stack:
        name = what.lower().replace(" ", "-")
        longest = [seconds * 0.5 + 15 if number % 2 else seconds + 10 for number in range(runs)]
        applying = [Workspace(ground, f"{name}-apply-{number}", ticks=round(longest[number] / TICK_SECONDS))
                    for number in range(runs)]
        planning = [Workspace(ground, f"{name}-plan-{number}", plan_seconds=longest[number]) for number in range(runs)]
        groups = {APPLYING: start_all(applying, Subject.is_applying, APPLYING, stack),
                  PLANNING: start_all(planning, Subject.is_planning, PLANNING, stack)}
        for moment, subjects in groups.items():
            for subject in subjects:
                if not Matrix.is_at(subject, moment):
                    raise AssertionError(f"{subject.run} is not {moment} any more: {subject.status()}")
        old, since = ground.pid(victim), time.monotonic()
        with how(victim):
            meanwhile(since)
            hold(since + seconds - time.monotonic())
        ground.wait_ready(victim, 0 if alive(old) else old)
        back = time.monotonic() - since
        expect_undisturbed(report, f"{what} for {seconds:.0f} s", groups, since, back)


def postgres_out(ground: Ground, report: Report, what: str, how: Outage) -> None:
    def ask(since: float) -> None:
        def refused() -> None:
            longest = expect_refusal(ground)
            hold(since + 50 - time.monotonic())
            longest = max(longest, expect_refusal(ground))
            if longest > ANSWER_SECONDS:
                raise AssertionError(f"the answer took {longest:.0f} s")
            report.add(Row(f"{what} for 60 s", "a client's request", "503 with Retry-After", ended=longest))
        report.guard(f"a request while {what}", refused)
    outage(ground, report, what, "PostgreSQL", how, 60, 5, ask)


def postgres_away(ground: Ground, report: Report) -> None:
    """PostgreSQL is dead for 60 s under five plans and five applies."""
    postgres_out(ground, report, "PostgreSQL away", ground.away)


def postgres_hangs(ground: Ground, report: Report) -> None:
    """PostgreSQL stands still for 60 s, with every connection open, under five plans and five applies."""
    postgres_out(ground, report, "PostgreSQL standing still", ground.stopped)


def web_away(ground: Ground, report: Report) -> None:
    """web is dead for 30 s."""
    outage(ground, report, "web away", "web", ground.away, 30, 2, lambda _: None)


def web_hangs(ground: Ground, report: Report) -> None:
    """web stands still for 30 s, with every connection open."""
    outage(ground, report, "web standing still", "web", ground.stopped, 30, 2, lambda _: None)


def redis_flushed(ground: Ground, report: Report) -> None:
    """Redis loses everything while logs are read."""
    with contextlib.ExitStack() as stack:
        groups = {APPLYING: start_all([Workspace(ground, "redis-applying", ticks=12)], Subject.is_applying, APPLYING, stack),
                  PLANNING: start_all([Workspace(ground, "redis-planning", plan_seconds=2)], Subject.is_planning,
                                      PLANNING, stack)}
        since = time.monotonic()
        ground.flush_redis()
        expect_undisturbed(report, "Redis flushed", groups, since, 0)


def queue_purged(ground: Ground, report: Report) -> None:
    """RabbitMQ loses the messages of jobs that wait."""
    wait_for("the node takes messages", lambda: ground.queue_count("terrane.jobs", "consumers") == 1, 30, 0.5)
    ground.drain(True)
    with contextlib.ExitStack() as stack:
        try:
            wait_for("the drained node takes no message", lambda: ground.queue_count("terrane.jobs", "consumers") == 0, 30, 0.5)
            queued = [stack.enter_context(Workspace(ground, f"purged-{number}").start()) for number in range(3)]
            for subject in queued:
                wait_for(f"{subject.run} waits for a worker", lambda s=subject: s.status() == "plan_queued", 30)
            ground.purge("terrane.jobs")
            if any(subject.status() != "plan_queued" for subject in queued):
                raise AssertionError("a drained node has taken a job")
            since = time.monotonic()
        finally:
            ground.drain(False)
        expect_undisturbed(report, "RabbitMQ's queue of jobs purged", {"queued for a plan": queued}, since, 0)


# ---- clocks


def wrong_clock(ground: Ground, report: Report) -> None:
    """The wall clock of the worker and its shims is an hour ahead, then an hour behind."""
    for offset, words in (("+3600s", "an hour ahead"), ("-3600s", "an hour behind")):
        what = f"the worker's clock {words}"
        report.guard(what, lambda: under_clock(ground, report, offset, what))


def under_clock(ground: Ground, report: Report, offset: str, what: str) -> None:
    if not Path(FAKETIME).exists():
        raise Skipped("libfaketime is not installed")
    workspace = Workspace(ground, f"clock-{offset.strip('+-')}-{'ahead' if offset.startswith('+') else 'behind'}", ticks=6)
    deceived = {"LD_PRELOAD": FAKETIME, "FAKETIME": offset, "FAKETIME_DONT_RESET": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    old = ground.pid("worker")
    with (ground.shims_with(deceived), ground.away("worker"),
          ground.another("worker", "worker-1", "terrane-worker", deceived)):
        wait_for("the deceived worker is up", lambda: '"worker is up"' in ground.log_of_another("worker-1"), 30)
        shown = datetime.fromisoformat(re.search(r'"time":"([^"]+)Z"', ground.log_of_another("worker-1"))[1])
        if abs((shown - datetime.utcnow()).total_seconds()) < 3000:
            raise Skipped(f"faketime has no effect on the worker: its log says {shown}")
        with workspace.start() as subject:
            since = time.monotonic()
            wait_for(f"{subject.run} is applying", subject.is_applying, 60, 0.02)
            if FAKETIME not in Path(f"/proc/{ground.shim(subject.run)}/maps").read_text():
                raise AssertionError("the shim is not deceived")
            subject.wait("applied")
            ended = time.monotonic() - since
            subject.check_undisturbed()
    ground.wait_ready("worker", old)
    report.add(Row(what, "the whole run", AS_IF_NOTHING, ended=ended))


# ---- two at once, messages alone


def two_backgrounds(ground: Ground, report: Report) -> None:
    """A second background decides at the same time; there is no lock between them."""
    workspaces = [Workspace(ground, f"twice-{number}", ticks=2) for number in range(4)]
    with ground.another("background", "background", "terrane"), contextlib.ExitStack() as stack:
        wait_for("the second background is ready", lambda: '"ready"' in ground.log_of_another("background"), 30)
        since = time.monotonic()
        runs = [[stack.enter_context(workspace.start()) for _ in range(2)] for workspace in workspaces]
        for first, second in runs:
            second.wait("applied")
            first.wait("applied")
        ended = time.monotonic() - since
        for first, second in runs:
            for subject in (first, second):
                subject.check_trace(create=1, queue_plan=1, confirm=1, queue_apply=1)
                subject.check_undisturbed()
            if step_time(first, "finish apply") > step_time(second, "queue plan"):
                raise AssertionError(f"{second.run} began before {first.run} had ended")
    report.add(Row("two backgrounds at once", "the whole run, two runs in each workspace", "applied in order, nothing done twice",
                   ended=ended))


def step_time(subject: Subject, step: str) -> datetime:
    """When a step was made, by the trace."""
    found = re.search(rf"^(\S+)Z .*  {step}  ", subject.trace(), re.MULTILINE)
    if not found:
        raise AssertionError(f"{subject.run} has no step {step}")
    return datetime.fromisoformat(found[1])


STEPS = [("create", "queue plan"), ("queue plan", "claim plan"), ("finish plan", "queue apply"), ("queue apply", "claim apply")]


def messages_alone(ground: Ground, report: Report) -> None:
    """Nobody looks by himself any more: runs go on by messages, and without delay."""
    settings = ground.site.data / "terrane.env"
    before = settings.read_text()
    ground.site.stop()
    settings.write_text(before + "TERRANE_LOOK_INTERVAL=0\n")
    try:
        ground.site.start()
        workspace = Workspace(ground, "messages-alone", ticks=1)
        pauses: dict[tuple[str, str], list[float]] = {step: [] for step in STEPS}
        since = time.monotonic()
        for _ in range(5):
            with workspace.start() as subject:
                subject.wait("applied")
                subject.check_undisturbed()
                trace = subject.trace()
                # An apply may also be found by the look of a worker whose plan has just ended.
                if not re.search(r"claim plan .*woken_by=message", trace):
                    raise AssertionError(f"no message led to the plan of {subject.run}:\n{trace}")
                for step in STEPS:
                    pause = step_time(subject, step[1]) - step_time(subject, step[0])
                    pauses[step].append(pause.total_seconds())
        for step, seconds in pauses.items():
            print(f"        {step[0]} to {step[1]}: {statistics.median(seconds) * 1000:.0f} ms (median of {len(seconds)})", flush=True)
            if statistics.median(seconds) > HAND_OUT_SECONDS:
                raise AssertionError(f"from {step[0]} to {step[1]} it took {seconds} s")
        report.add(Row("nobody looks by himself", "the whole run", "applied by messages alone",
                       ended=(time.monotonic() - since) / 5))
    finally:
        ground.site.stop()
        settings.write_text(before)
        ground.site.start()


# ---- the past


def database_put_back(ground: Ground, report: Report) -> None:
    """PostgreSQL's data directory is put back to an older copy under runs that have gone on since."""
    what = "PostgreSQL put back to an older copy"
    data = ground.site.data / "postgres" / "data"
    copy = data.parent / "copy"
    done, under_way, queued = (Workspace(ground, f"past-{name}", ticks=ticks)
                               for name, ticks in (("applied-since", 10), ("applying", 160), ("queued", 2)))
    waiting = Workspace(ground, "past-waiting", ticks=2)
    with contextlib.ExitStack() as stack:
        applied_since, applying = start_all([done, under_way], Subject.is_applying, APPLYING, stack)
        confirmed = stack.enter_context(queued.start(auto_apply=False))
        held, second, third = (stack.enter_context(waiting.start(auto_apply=False)) for _ in range(3))
        for subject in (confirmed, held):
            wait_for(f"{subject.run} waits", subject.is_waiting, 60)
        ground.drain(True)
        ground.api.act(confirmed.run, "apply")
        wait_for("the apply is queued", lambda: confirmed.status() == "apply_queued", 30)
        if [subject.status() for subject in (applied_since, applying, held, second)] != ["applying", "applying", "planned", "pending"]:
            raise AssertionError("the runs are not where they should be when the copy is made")
        with ground.stopped("PostgreSQL"):
            run_tool(["/bin/cp", "-a", str(data), str(copy)])
        ground.drain(False)
        applied_since.wait("applied")
        confirmed.wait("applied")  # the copy does not know

        ground.site.stop()
        since = time.monotonic()
        run_tool(["/bin/mv", str(data), str(data.parent / "newer")])
        run_tool(["/bin/mv", str(copy), str(data)])
        (data / "postmaster.pid").unlink()
        ground.restart_supervisor()
        ground.site.wait_until_ready(90)
        back = time.monotonic() - since
        ground.drain(False)  # as it was when the copy was made
        for subject, moment, claims in ((applied_since, "applying in the copy, applied since", 1),
                                        (applying, "applying in the copy and still", 1),
                                        (confirmed, "apply queued in the copy, applied since", 0)):
            report.guard(f"{what}, {moment}", lambda s=subject, m=moment, c=claims: expect_past(report, what, s, m, c, back))
        report.guard(f"{what}, the queue", lambda: expect_order(report, what, held, second, third))


def expect_past(report: Report, what: str, subject: Subject, moment: str, claims: int, back: float) -> None:
    """A run that may have been applied is not applied again: it ends, and says what is to be done."""
    since = time.monotonic()
    wait_for(f"{subject.run} has ended", subject.is_final, 30)
    ended = time.monotonic() - since
    attributes = insist(lambda: subject.ground.api.run(subject.run))["attributes"]
    if attributes["status"] != "errored" or "went back" not in (attributes["error-message"] or ""):
        raise AssertionError(f"{subject.run} is {attributes['status']}: {attributes['error-message']}")
    wait_for(f"nothing executes for {subject.run}", lambda: not subject.ground.sandboxed(subject.run), 20)
    wait_for(f"the spool of {subject.run} is gone", lambda: subject.run not in subject.ground.spools(), 30)
    subject.check_trace(claim_apply=claims, fail=1)
    if subject.ground.api.get(f"/workspaces/{subject.workspace.id}")["attributes"]["locked"]:
        raise AssertionError(f"{subject.workspace.name} is locked")
    report.add(Row(what, moment, "errored, says that the apply may have happened; not applied again", back, ended))


def expect_order(report: Report, what: str, held: Subject, second: Subject, third: Subject) -> None:
    """What waits keeps its place: planned, then two pending ones in their order."""
    if [subject.status() for subject in (held, second, third)] != ["planned", "pending", "pending"]:
        raise AssertionError(f"the queue has changed: {[subject.status() for subject in (held, second, third)]}")
    for subject, following in ((held, second), (second, third), (third, None)):
        wait_for(f"{subject.run} waits", subject.is_waiting, 60)
        if following and following.status() != "pending":
            raise AssertionError(f"{following.run} is {following.status()} while {subject.run} waits")
        insist(lambda: subject.ground.api.act(subject.run, "apply"))
        subject.wait("applied")
    report.add(Row(what, "planned, and pending behind it", "go on in their order"))
