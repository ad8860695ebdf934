"""Hooks of schemathesis: ids that exist, things to use up, no redirects; and what was answered.

Random ids find nothing, so most requests get those of the ground. Operations that use up what they name get a fresh
thing until they have succeeded once.
"""

import functools
import json
import os
import random
import threading
from pathlib import Path

import schemathesis

import ground
from common.api import Api

GROUND = json.loads(Path(os.environ["GROUND"]).read_text())
IDS = GROUND["ids"]
API = Api(GROUND["host"], GROUND["port"], GROUND["certificate"], GROUND["token"])
FRESH = ground.Fresh(API, IDS)
STANDING = {*IDS.values(), GROUND["workspace"]}
KNOWN = 0.7  # of the requests name what exists

PREFIX = "/api/v2"
ORGANIZATION = "/organizations/{organization}"
BY_NAME = f"{ORGANIZATION}/workspaces/{{name}}"
WORKSPACE = "/workspaces/{id}"
CONSUMERS = f"{WORKSPACE}/relationships/remote-state-consumers"
TEAM = "/teams/{id}/relationships"
VARIABLE = "/workspaces/{owner}/vars/{id}"
VARIABLE_OF_SET = "/varsets/{owner}/relationships/vars/{id}"
ADMIN = f"/admin{ORGANIZATION}"
RETENTION = "/relationships/data-retention-policy"
MODULE = f"{ORGANIZATION}/registry-modules/{{registry}}/{{namespace}}/{{name}}"
DELETED_MODULE = "/registry-modules/actions/delete/{organization}/{name}"
TESTS = f"{ORGANIZATION}/tests/registry-modules/{{registry}}/{{namespace}}/{{name}}/{{provider}}"
OLD = {"configuration-versions": FRESH.old_configuration, "state-versions": FRESH.old_state_version}

# What an operation uses up or changes.
PREPARED = {
    ("PATCH", ORGANIZATION): FRESH.organization,
    ("DELETE", ORGANIZATION): FRESH.organization,
    ("GET", f"{ORGANIZATION}/authentication-token"): FRESH.organization_with_token,
    ("DELETE", f"{ORGANIZATION}/authentication-token"): FRESH.organization_with_token,
    ("PATCH", "/projects/{id}"): FRESH.project,
    ("DELETE", "/projects/{id}"): FRESH.project,
    ("PATCH", BY_NAME): FRESH.workspace_by_name,
    ("DELETE", BY_NAME): FRESH.workspace_by_name,
    ("POST", f"{BY_NAME}/actions/safe-delete"): FRESH.workspace_by_name,
    ("PATCH", WORKSPACE): FRESH.workspace,
    ("DELETE", WORKSPACE): FRESH.workspace,
    ("POST", f"{WORKSPACE}/actions/safe-delete"): FRESH.workspace,
    ("POST", f"{WORKSPACE}/actions/lock"): FRESH.workspace,
    ("POST", f"{WORKSPACE}/actions/unlock"): FRESH.locked_workspace,
    ("POST", f"{WORKSPACE}/actions/force-unlock"): FRESH.locked_workspace,
    ("POST", CONSUMERS): FRESH.workspace,
    ("PATCH", CONSUMERS): FRESH.workspace,
    ("DELETE", CONSUMERS): FRESH.workspace,
    ("POST", f"{WORKSPACE}/state-versions"): FRESH.locked_workspace,
    ("PATCH", VARIABLE): FRESH.variable,
    ("DELETE", VARIABLE): FRESH.variable,
    ("DELETE", "/authentication-tokens/{id}"): FRESH.token,
    ("PATCH", "/admin/terraform-versions/{id}"): FRESH.terraform_version,
    ("DELETE", "/admin/terraform-versions/{id}"): FRESH.terraform_version,
    ("PATCH", "/teams/{id}"): FRESH.team,
    ("DELETE", "/teams/{id}"): FRESH.team,
    ("POST", f"{TEAM}/users"): FRESH.team,
    ("DELETE", f"{TEAM}/users"): FRESH.team_with_members,
    ("POST", f"{TEAM}/organization-memberships"): FRESH.team,
    ("DELETE", f"{TEAM}/organization-memberships"): FRESH.team_with_members,
    ("GET", "/teams/{id}/authentication-token"): FRESH.team_with_token,
    ("DELETE", "/teams/{id}/authentication-token"): FRESH.team_with_token,
    ("DELETE", "/organization-memberships/{id}"): FRESH.membership,
    ("PATCH", "/team-workspaces/{id}"): lambda: FRESH.grant("workspace"),
    ("DELETE", "/team-workspaces/{id}"): lambda: FRESH.grant("workspace"),
    ("PATCH", "/team-projects/{id}"): lambda: FRESH.grant("project"),
    ("DELETE", "/team-projects/{id}"): lambda: FRESH.grant("project"),
    ("DELETE", f"{ORGANIZATION}/tags"): FRESH.organization,
    ("POST", f"{ORGANIZATION}{RETENTION}"): FRESH.organization,
    ("PATCH", f"{ORGANIZATION}{RETENTION}"): FRESH.organization,
    ("GET", f"{ORGANIZATION}{RETENTION}"): FRESH.organization_with_retention,
    ("DELETE", f"{ORGANIZATION}{RETENTION}"): FRESH.organization_with_retention,
    ("GET", f"{WORKSPACE}{RETENTION}"): FRESH.workspace_with_retention,
    ("DELETE", f"{WORKSPACE}{RETENTION}"): FRESH.workspace_with_retention,
    ("PATCH", ADMIN): FRESH.organization,
    ("DELETE", ADMIN): FRESH.organization,
    ("POST", f"{ADMIN}/subscription"): FRESH.organization,
    ("PATCH", f"{ADMIN}/relationships/module-consumers"): FRESH.organization,
    ("DELETE", f"{WORKSPACE}/relationships/tags"): FRESH.workspace_with_tags,
    ("PATCH", f"{WORKSPACE}/relationships/ssh-key"): FRESH.workspace,
    ("PATCH", f"{WORKSPACE}/state-versions"): FRESH.workspace_to_roll_back,
    ("PATCH", "/agent-pools/{id}"): FRESH.agent_pool,
    ("DELETE", "/agent-pools/{id}"): FRESH.agent_pool,
    ("PATCH", "/ssh-keys/{id}"): FRESH.ssh_key,
    ("DELETE", "/ssh-keys/{id}"): FRESH.ssh_key,
    ("PATCH", "/varsets/{id}"): FRESH.variable_set,
    ("DELETE", "/varsets/{id}"): FRESH.variable_set,
    **{(method, VARIABLE_OF_SET): FRESH.variable_of_set for method in ("GET", "PATCH", "DELETE")},
    ("DELETE", "/run-triggers/{id}"): FRESH.run_trigger,
    **{(method, f"{MODULE}/{{provider}}"): FRESH.registry_module for method in ("GET", "DELETE")},
    ("DELETE", MODULE): FRESH.registry_module,
    ("POST", DELETED_MODULE): FRESH.registry_module,
    ("POST", f"{DELETED_MODULE}/{{provider}}"): FRESH.registry_module,
    ("POST", f"{TESTS}/test-runs/configuration-versions"): FRESH.registry_module,
    ("POST", "/configuration-versions/{id}/actions/archive"): FRESH.old_configuration,
    **{("POST", f"/{kind}/{{id}}/actions/soft_delete_backing_data"): make for kind, make in OLD.items()},
    **{("POST", f"/{kind}/{{id}}/actions/{action}_backing_data"): functools.partial(FRESH.old_and_deleted, kind, make)
       for kind, make in OLD.items() for action in ("restore", "permanently_delete")},
    ("POST", "/runs/{id}/actions/apply"): FRESH.planned_run,
    ("POST", "/runs/{id}/actions/discard"): FRESH.planned_run,
    ("POST", "/runs/{id}/actions/cancel"): FRESH.pending_run,
    ("POST", "/runs/{id}/actions/force-execute"): FRESH.waiting_run,
}
# Bodies in which more must fit together than a schema can say.
BODIES = {
    ("POST", CONSUMERS): lambda: ground.consumers(IDS),
    ("PATCH", CONSUMERS): lambda: ground.consumers(IDS),
    ("DELETE", CONSUMERS): lambda: ground.consumers(IDS),
    ("POST", f"{WORKSPACE}/state-versions"): ground.state_version,
    ("POST", "/runs"): lambda: ground.run(IDS),
    ("POST", f"{TEAM}/users"): FRESH.users,
    ("DELETE", f"{TEAM}/users"): FRESH.users,
    ("POST", f"{TEAM}/organization-memberships"): FRESH.memberships,
    ("DELETE", f"{TEAM}/organization-memberships"): FRESH.memberships,
    ("POST", f"{ORGANIZATION}/organization-memberships"):
        lambda: ground.document("organization-memberships", {"email": f"{ground.name()}@ground.example"}),
    ("POST", "/team-workspaces"): lambda: ground.grant_of(IDS, "workspace", FRESH.team()["id"]),
    ("POST", "/team-projects"): lambda: ground.grant_of(IDS, "project", FRESH.team()["id"]),
    ("POST", "/projects/{id}/relationships/workspaces"): lambda: ground.named(IDS, "workspaces"),
    ("DELETE", f"{ORGANIZATION}/tags"): lambda: {"data": []},
    ("POST", "/tags/{id}/relationships/workspaces"): lambda: ground.named(IDS, "workspaces"),
    ("PATCH", f"{ADMIN}/relationships/module-consumers"): lambda: ground.named(IDS, "organizations"),
    ("POST", f"{ADMIN}/subscription"): lambda: ground.subscription(IDS),
    **{(method, f"/varsets/{{id}}/relationships/{kind}"): functools.partial(ground.named, IDS, kind)
       for method in ("POST", "DELETE") for kind in ("workspaces", "projects")},
    ("PATCH", f"{WORKSPACE}/relationships/ssh-key"):
        lambda: ground.document("workspaces", {"id": IDS["ssh-keys"]}),
    ("PATCH", f"{WORKSPACE}/state-versions"): FRESH.rollback,
    ("POST", f"{WORKSPACE}/run-triggers"): lambda: ground.trigger_of(API, IDS),
    ("POST", "/agent-pools/{id}/authentication-tokens"):
        lambda: ground.document("authentication-tokens", {"description": "a token"}),
    ("DELETE", f"{ORGANIZATION}/team-tokens"): lambda: {"data": []},
}
# Parameters that an operation cannot do without, though each is optional by itself.
QUERIES = {
    ("GET", f"{WORKSPACE}/run-triggers"): {"filter[run-trigger][type]": "inbound"},
    ("GET", "/state-versions"): {"filter[workspace][name]": GROUND["workspace"],
                                 "filter[organization][name]": IDS["organizations"]},
    ("GET", "/team-workspaces"): {"filter[workspace][id]": IDS["workspaces"]},
    ("GET", "/team-projects"): {"filter[project][id]": IDS["projects"]},
}
USED_UP = {operation for operation in PREPARED if operation[0] != "GET"}

_dice = random.Random()  # hypothesis forbids the common one
_lock = threading.Lock()
_succeeded: set[tuple[str, str]] = set()
_answers = Path(os.environ["ANSWERS"]).open("a")


def operation_of(case) -> tuple[str, str]:
    return case.operation.method.upper(), case.operation.path.removeprefix(PREFIX)


def standing(path: str) -> dict[str, str]:
    """Ids for the path's parameters by the word before each."""
    found, words = {}, path.split("/")
    for before, word in zip(words, words[1:]):
        if word == "{name}":
            found["name"] = GROUND["workspace"]
        elif word.startswith("{") and before in IDS:
            found[word[1:-1]] = IDS[before]
    return found


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["allow_redirects"] = False
    operation = operation_of(case)
    given = dict(case.path_parameters or {})
    first = operation not in _succeeded
    # Answers taught it ids that exist: what all others need is not used up.
    if operation in PREPARED and (first or STANDING & {str(value) for value in given.values()}):
        made = {**given, **PREPARED[operation]()}
        case.path_parameters = {key: value for key, value in made.items() if f"{{{key}}}" in operation[1]}
    elif operation not in USED_UP and (first or _dice.random() < KNOWN):
        case.path_parameters = {**given, **standing(operation[1])}
    if first and operation in BODIES:
        case.body = BODIES[operation]()
    if first and operation in QUERIES:
        case.query = QUERIES[operation]


@schemathesis.hook
def after_call(context, case, response):
    operation = operation_of(case)
    with _lock:
        if 200 <= response.status_code < 400:
            _succeeded.add(operation)
        _answers.write(json.dumps([operation[0], case.operation.path, response.status_code]) + "\n")
        _answers.flush()
