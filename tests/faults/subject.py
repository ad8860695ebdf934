"""A run under test: made so slow that each moment can be met, followed all the time, and judged at its end."""

import contextlib
import http.client
import re
import threading
import time
from pathlib import Path

from typing import Callable, TypeVar

from common.api import FINAL, ApiError
from common.wait import wait_for

from ground import Ground

Value = TypeVar("Value")
STX, ETX = b"\x02", b"\x03"
FOLLOW_SECONDS = 0.25
RUN_SECONDS = 150
INSIST_SECONDS = 60
TICK_SECONDS = 0.5

CONFIGURATION = """
terraform {
  required_providers {
    slow = { source = "hashicorp/slow" }
  }
}

variable "ticks" { type = number }

# Its provider takes its time whenever the engine plans.
resource "time_static" "pace" {
  provider = slow
}

resource "terraform_data" "bulk" {
  input = sensitive(fileexists("bulk.txt") ? file("bulk.txt") : "none")
}

# Made anew by every run, before what takes time.
resource "terraform_data" "first" {
  triggers_replace = plantimestamp()
}

resource "terraform_data" "work" {
  triggers_replace = terraform_data.first.id
  provisioner "local-exec" {
    command = "for i in $(seq -w 1 ${var.ticks}); do echo tick-$i-of-${terraform_data.first.id}; sleep TICK; done"
  }
}

resource "terraform_data" "last" {
  triggers_replace = terraform_data.work.id
}
""".replace("TICK", str(TICK_SECONDS))
RESOURCES = {"time_static.pace", "terraform_data.bulk", "terraform_data.first", "terraform_data.work",
             "terraform_data.last"}


def insist(action: Callable[[], Value], seconds: float = INSIST_SECONDS) -> Value:
    """Does what a client does whose server is away for a moment: the same again, until it is answered."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except (OSError, http.client.HTTPException, ApiError) as problem:
            refused = isinstance(problem, ApiError) and problem.answer.status != 503
            if refused or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


class Workspace:
    """A workspace with the configuration above, for one run after the other."""

    def __init__(self, ground: Ground, name: str, plan_seconds: float = 0, ticks: int = 4, bulk: str = "",
                 ballast: bytes = b""):
        """`bulk` becomes part of plan and state, `ballast` of the configuration alone."""
        self.ground, self.name, self.ticks, self.plan_seconds = ground, name, ticks, plan_seconds
        self.runs = 0
        api = ground.api
        self.id = api.make_workspace("faults", name)["id"]
        # The provider is started three times in a plan.
        api.make_variable(self.id, "SLOW_PLAN", f"{plan_seconds / 3:.2f}", category="env")
        api.make_variable(self.id, "ticks", str(ticks))
        files: dict[str, str | bytes] = {"main.tf": CONFIGURATION}
        if bulk:
            files["bulk.txt"] = bulk
        if ballast:
            files["ballast"] = ballast
        self.configuration = api.make_configuration(self.id, files)

    def rest_seconds(self, status: str) -> float:
        """What a run has before it at most when it is seen in that status, with some room for a busy machine."""
        plan, apply = self.plan_seconds + 10, self.ticks * TICK_SECONDS + 10
        return plan + apply if status == "planning" else apply

    def start(self, auto_apply: bool = True) -> "Subject":
        self.runs += 1
        message = f"run {self.runs} of {self.name}"  # an equal request may be taken for a repeated one
        run = insist(lambda: self.ground.api.make_run(self.id, self.configuration, auto_apply=auto_apply, message=message))
        return Subject(self, run["id"])

    def state_versions(self) -> list[dict]:
        """Newest first."""
        return self.ground.api.get(f"/workspaces/{self.id}/state-versions?page[size]=100")


class Follower(threading.Thread):
    """Reads a phase's log as a client does, from the first byte on, whatever happens to the system."""

    def __init__(self, ground: Ground, run: str, phase: str):
        super().__init__(daemon=True)
        self.ground, self.run_id, self.phase = ground, run, phase
        self.read = b""
        self.refusals: list[str] = []
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        api, url = self.ground.site.api(), ""
        while not self.stop.is_set() and not self.read.endswith(ETX):
            # Whatever is away gives no answer, or says so; anything else is a fault.
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                if not url:
                    answer = api.request("GET", f"/api/v2/runs/{self.run_id}/{self.phase}")
                    if answer.status == 200:
                        url = answer.json["data"]["attributes"]["log-read-url"]
                if url:
                    answer = api.request("GET", f"{url}?limit=65536&offset={len(self.read)}")
                    if answer.status == 200:
                        self.read += answer.body
                    elif answer.status != 503:
                        self.refusals.append(f"{answer.status} {answer.body[:200]!r}")
            self.stop.wait(FOLLOW_SECONDS)


class Subject:
    """One run. Those of `is_…` that look at the disk cost next to nothing. Use it in `with`, or close it."""

    def __init__(self, workspace: Workspace, run: str):
        self.workspace, self.run = workspace, run
        self.ground = workspace.ground
        self.spool: Path | None = None
        self.followers = {phase: Follower(self.ground, run, phase) for phase in ("plan", "apply")}

    def __enter__(self) -> "Subject":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for follower in self.followers.values():
            follower.stop.set()

    # What it does now

    def status(self) -> str:
        return self.ground.api.run_status(self.run)

    def wait(self, *statuses: str, seconds: float = RUN_SECONDS) -> dict:
        return self.ground.api.wait_run(self.run, *statuses, seconds=seconds)

    def find_spool(self) -> Path | None:
        if self.spool is None or not self.spool.exists():
            self.spool = self.ground.spools().get(self.run)
        return self.spool

    def is_fetching(self) -> bool:
        """The configuration is coming and not unpacked yet."""
        directory = self.ground.run_directory(self.run)
        return (directory / "home" / "configuration.tar.gz").exists() and not (directory / "work" / "main.tf").exists()

    def is_planning(self) -> bool:
        """The engine is at it: it plans, and has not written its plan."""
        directory = self.ground.run_directory(self.run)
        return ((directory / "work" / ".terraform.lock.hcl").exists() and not (directory / "home" / "terrane.plan").exists()
                and self.ground.engine(self.run, "plan") is not None)

    def _waits_in_spool(self, folder: str) -> bool:
        spool = self.find_spool()
        return spool is not None and any((spool / folder).glob("*.json"))

    def is_uploading_plan(self) -> bool:
        return self._waits_in_spool("objects")

    def is_applying(self) -> bool:
        """The slow resource is being made, and some of its lines have been read."""
        return self.ticks() >= 2

    def ticks(self) -> int:
        """How many lines of the slow resource have been read."""
        return self.followers["apply"].read.count(b"(local-exec): tick-")

    def is_uploading_state(self) -> bool:
        return self._waits_in_spool("states")

    def is_waiting(self) -> bool:
        return insist(self.status) == "planned"

    # What became of it

    def trace(self) -> str:
        return self.ground.site.trace(self.run)

    def log(self, phase: str) -> str:
        """The whole log, checked: its marks, and that it is what the follower saw."""
        follower = self.followers[phase]
        whole = wait_for(f"the log of {self.run}'s {phase} has ended", lambda: self._ended_log(phase), 30)
        if whole[:1] != STX or whole.count(STX) != 1 or whole.count(ETX) != 1:
            raise AssertionError(f"the {phase} log's marks are not one at each end:\n{whole!r}")
        with contextlib.suppress(AssertionError):
            wait_for("the follower is done", lambda: not follower.is_alive(), 10)
        follower.stop.set()
        if follower.read != whole:
            raise AssertionError(f"who followed the {phase} log saw something else:\n{follower.read!r}\nnow:\n{whole!r}")
        if follower.refusals:
            raise AssertionError(f"reading the {phase} log was refused: {follower.refusals}")
        return whole[1:-1].decode()

    def _ended_log(self, phase: str) -> bytes | None:
        log = self.ground.api.log(self.run, phase)
        return log if log.endswith(ETX) else None

    def check_plan_log(self, times: int = 1) -> str:
        text = self.log("plan")
        expect_lines(text, ["OpenTofu v"] * times, "OpenTofu v")
        expect_lines(text, ["Plan: "], "Plan: ")
        return text

    def check_apply_log(self) -> str:
        """Every line that was to come, once and in order."""
        text = self.log("apply")
        found = ticks_in(text)
        if found != list(range(1, self.workspace.ticks + 1)):
            raise AssertionError(f"of {self.workspace.ticks} lines of the slow resource there are {found} in\n{text}")
        expect_lines(text, ["Apply complete!"], "Apply complete!")
        return text

    def check_trace(self, **counts: int) -> str:
        """How often each step was made: `claim_plan=1`; steps that are not named are not counted."""
        trace = self.trace()
        for step, count in counts.items():
            name = step.replace("_", " ")
            found = len(re.findall(rf"  {name}  ", trace))
            if found != count:
                raise AssertionError(f"{self.run}: {found} times \"{name}\", not {count}:\n{trace}")
        return trace

    def check_ended(self) -> None:
        """No lock, no spool, no process is left, and the states are one chain."""
        workspace = self.ground.api.get(f"/workspaces/{self.workspace.id}")["attributes"]
        if workspace["locked"]:
            raise AssertionError(f"{self.workspace.name} is locked after {self.run} has ended")
        wait_for(f"the spool of {self.run} is gone", lambda: self.run not in self.ground.spools(), 20)
        versions = [version["attributes"] for version in self.workspace.state_versions()]
        serials = [version["serial"] for version in versions]
        if serials != sorted(set(serials), reverse=True):
            raise AssertionError(f"{self.workspace.name} has states of the serials {serials}")
        if len({version["lineage"] for version in versions}) > 1:
            raise AssertionError(f"{self.workspace.name} has states of several lineages: {versions}")
        if any(version["recovered"] for version in versions):
            raise AssertionError(f"{self.workspace.name} has recovered states: {versions}")

    def resources(self) -> set[str]:
        """The resources of the current state, from its bytes."""
        state = self.ground.api.state(self.workspace.id)
        return {f"{one['type']}.{one['name']}" for one in state["resources"] if one["instances"]}

    def saved_ids(self) -> dict[str, str]:
        """The ids of the current state's instances by address; of its very bytes, which must be whole."""
        answer = self.ground.api.request("GET", f"/api/v2/workspaces/{self.workspace.id}/current-state-version")
        if answer.status == 404:
            return {}
        state = self.ground.api.state(self.workspace.id)
        if not state["lineage"] or not state["resources"]:
            raise AssertionError(f"the state of {self.workspace.name} is empty: {state}")
        return {f"{one['type']}.{one['name']}": instance["attributes"]["id"]
                for one in state["resources"] for instance in one["instances"]}

    def check_undisturbed(self) -> None:
        """All that holds when a run ended as if nothing had happened."""
        self.check_trace(claim_plan=1, finish_plan=1, redo_plan=0, claim_apply=1, finish_apply=1, requeue_apply=0, fail=0)
        self.check_plan_log()
        self.check_apply_log()
        self.check_ended()
        if self.resources() != RESOURCES:
            raise AssertionError(f"the state of {self.workspace.name} has {self.resources()}")

    def is_final(self) -> bool:
        try:
            return self.status() in FINAL
        except (OSError, http.client.HTTPException, AssertionError):
            return False

    def import_list(self) -> str:
        apply = self.ground.api.phase(self.run, "apply")["id"]
        answer = self.ground.api.request("GET", f"/api/v2/applies/{apply}/import-list")
        return answer.body.decode() if answer.status == 200 else ""


def ticks_in(text: str) -> list[int]:
    """The numbers of the slow resource's lines in a log. The engine may show a line in two pieces, each on its own."""
    shown = "".join(line.partition("(local-exec): ")[2] for line in text.splitlines() if "Executing:" not in line)
    return [int(number) for number in re.findall(r"tick-(\d+)-of-[0-9a-f-]{36}", shown)]


def expect_lines(text: str, starts: list[str], common: str) -> None:
    """The lines of a log that have `common` in them, from there on, are those of `starts` and no other."""
    found = [line[line.index(common):] for line in text.splitlines() if common in line and "Executing:" not in line]
    if len(found) != len(starts) or any(not line.startswith(start) for line, start in zip(found, starts)):
        raise AssertionError(f"expected the lines {starts}, found {found} in\n{text}")
