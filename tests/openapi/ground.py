"""What there is for schemathesis to find, and fresh things for operations that use them up."""

import hashlib
import json
import uuid
from base64 import b64encode
from collections.abc import Callable

from common.api import Api, document

CONFIGURATION = {"main.tf": 'resource "terraform_data" "x" {\n  input = 1\n}\noutput "x" {\n  value = 1\n}\n'}


ENGINE = "1.12.6"  # not the latest: versions are registered while runs are made


TAGS = {"data": [{"type": "tags", "attributes": {"name": "standing"}}]}
RETENTION = document("data-retention-policy-delete-olders", {"delete-older-than-n-days": 30})


def name() -> str:
    return "g" + uuid.uuid4().hex[:12]


def state(serial: int, lineage: str) -> bytes:
    return json.dumps({"version": 4, "terraform_version": "1.12.6", "serial": serial, "lineage": lineage,
                       "outputs": {"o": {"value": "v", "type": "string"}}, "resources": []}).encode()


def make(api: Api) -> dict:
    """One of everything: the ids by the words of paths before them, and the workspace's name."""
    organization = name()
    api.make_organization(organization)
    user = api.get("/account/details")["id"]
    workspace = api.make_workspace(organization, "standing", auto_apply=True, terraform_version=ENGINE,
                                   structured_run_output_enabled=True)
    configuration = api.make_configuration(workspace["id"], CONFIGURATION)
    run = api.make_run(workspace["id"], configuration)["id"]
    api.wait_run(run, "applied", seconds=120)
    version = api.current_state(workspace["id"])
    outputs = api.get(f"/state-versions/{version['id']}/outputs")
    events = api.get(f"/runs/{run}/run-events")
    ids = {
        "organizations": organization, "users": user, "workspaces": workspace["id"],
        "projects": api.get(f"/organizations/{organization}/projects")[0]["id"],
        "vars": api.make_variable(workspace["id"], "standing", "value")["id"],
        "configuration-versions": configuration, "runs": run, "plans": f"plan-{run[4:]}",
        "applies": f"apply-{run[4:]}", "run-events": events[0]["id"], "state-versions": version["id"],
        "state-version-outputs": outputs[0]["id"],
        "authentication-tokens": token(api, user), "terraform-versions": terraform_version(api),
    }
    ids["teams"] = team(api, organization)
    ids["organization-memberships"] = membership(api, organization)
    ids["team-workspaces"] = grant(api, ids, "workspace", ids["teams"])
    ids["team-projects"] = grant(api, ids, "project", ids["teams"])
    api.post(f"/workspaces/{workspace['id']}/relationships/tags", TAGS, expect=204)
    ids["tags"] = api.get(f"/organizations/{organization}/tags")[0]["id"]
    ids["feature-sets"] = max(api.get("/feature-sets"), key=lambda item: sum(
        granted is True for granted in item["attributes"].values()))["id"]
    ids["subscriptions"] = api.post(f"/admin/organizations/{organization}/subscription", subscription(ids))["id"]
    ids["agent-pools"] = agent_pool(api, organization)
    ids["ssh-keys"] = ssh_key(api, organization)
    ids["varsets"] = variable_set(api, organization)
    ids["comments"] = api.post(f"/runs/{run}/comments", document("comments", {"body": "standing"}))["id"]
    ids["run-triggers"] = run_trigger(api, ids)
    ids["registry-modules"] = registry_module(api, organization)["id"]
    return {"ids": ids, "workspace": "standing"}


def token(api: Api, user: str) -> str:
    return api.post(f"/users/{user}/authentication-tokens",
                    document("authentication-tokens", {"description": name()}))["id"]


def terraform_version(api: Api) -> str:
    number = uuid.uuid4().int
    return api.post("/admin/terraform-versions", document("terraform-versions", {
        "version": f"{number % 900 + 90}.{number // 1000 % 100}.{number // 100000 % 1000}",
        "archs": [{"url": "https://a.example/b", "sha": "0" * 64, "os": "linux", "arch": "amd64"}]}))["id"]


def team(api: Api, organization: str) -> str:
    return api.post(f"/organizations/{organization}/teams", document("teams", {"name": name()}))["id"]


def membership(api: Api, organization: str) -> str:
    return api.post(f"/organizations/{organization}/organization-memberships",
                    document("organization-memberships", {"email": f"{name()}@ground.example"}))["id"]


def agent_pool(api: Api, organization: str) -> str:
    return api.post(f"/organizations/{organization}/agent-pools", document("agent-pools", {"name": name()}))["id"]


def ssh_key(api: Api, organization: str) -> str:
    return api.post(f"/organizations/{organization}/ssh-keys",
                    document("ssh-keys", {"name": name(), "value": "no real key"}))["id"]


def variable_set(api: Api, organization: str) -> str:
    return api.post(f"/organizations/{organization}/varsets", document("varsets", {"name": name()}))["id"]


def trigger_of(api: Api, ids: dict[str, str]) -> dict:
    source = api.make_workspace(ids["organizations"], name())["id"]
    return document("run-triggers", {}, {"sourceable": ("workspaces", source)})


def run_trigger(api: Api, ids: dict[str, str]) -> str:
    return api.post(f"/workspaces/{ids['workspaces']}/run-triggers", trigger_of(api, ids))["id"]


def registry_module(api: Api, organization: str) -> dict:
    return api.post(f"/organizations/{organization}/registry-modules",
                    document("registry-modules", {"name": name(), "provider": "null", "registry-name": "private"}))


def grant_of(ids: dict[str, str], place: str, team: str) -> dict:
    return document(f"team-{place}s", {"access": "read"},
                    {"team": ("teams", team), place: (f"{place}s", ids[f"{place}s"])})


def grant(api: Api, ids: dict[str, str], place: str, team: str) -> str:
    return api.post(f"/team-{place}s", grant_of(ids, place, team))["id"]


class Fresh:
    """Things made for one request each; every method gives path parameters, and perhaps a body."""

    def __init__(self, api: Api, ids: dict[str, str]):
        self.api, self.ids = api, ids
        self.version = ""  # the state version to which the next rollback goes

    def organization(self) -> dict:
        made = name()
        self.api.make_organization(made)
        return {"organization": made}

    def organization_with_token(self) -> dict:
        made = self.organization()
        self.api.post(f"/organizations/{made['organization']}/authentication-token",
                      document("authentication-tokens"))
        return made

    def organization_with_retention(self) -> dict:
        made = self.organization()
        self.api.post(f"/organizations/{made['organization']}/relationships/data-retention-policy", RETENTION,
                      expect=200)
        return made

    def workspace_with_retention(self) -> dict:
        made = self.workspace()
        self.api.post(f"/workspaces/{made['id']}/relationships/data-retention-policy", RETENTION, expect=200)
        return made

    def workspace_with_tags(self) -> dict:
        made = self.workspace()
        self.api.post(f"/workspaces/{made['id']}/relationships/tags", TAGS, expect=204)
        return made

    def agent_pool(self) -> dict:
        return {"id": agent_pool(self.api, self.ids["organizations"])}

    def ssh_key(self) -> dict:
        return {"id": ssh_key(self.api, self.ids["organizations"])}

    def variable_set(self) -> dict:
        return {"id": variable_set(self.api, self.ids["organizations"])}

    def variable_of_set(self) -> dict:
        owner = self.variable_set()["id"]
        made = self.api.post(f"/varsets/{owner}/relationships/vars",
                             document("vars", {"key": name(), "value": "value", "category": "env"}))
        return {"owner": owner, "id": made["id"]}

    def run_trigger(self) -> dict:
        return {"id": run_trigger(self.api, self.ids)}

    def registry_module(self) -> dict:
        made = registry_module(self.api, self.ids["organizations"])["attributes"]
        return {"organization": self.ids["organizations"], "registry": made["registry-name"],
                **{part: made[part] for part in ("namespace", "name", "provider")}}

    def old_configuration(self) -> dict:
        """One that no run needs."""
        workspace = self.workspace()["id"]
        old = self.api.make_configuration(workspace, CONFIGURATION)
        self.api.make_configuration(workspace, CONFIGURATION)
        return {"id": old}

    def old_state_version(self) -> dict:
        """One that is not current; its workspace is locked."""
        workspace, lineage = self.locked_workspace()["id"], str(uuid.uuid4())
        made = [self.api.make_state_version(workspace, state(serial, lineage), serial, lineage) for serial in (1, 2)]
        return {"id": made[0].json["data"]["id"]}

    def old_and_deleted(self, kind: str, make: Callable[[], dict]) -> dict:
        made = make()
        self.api.post(f"/{kind}/{made['id']}/actions/soft_delete_backing_data", expect=(200, 204))
        return made

    def workspace_to_roll_back(self) -> dict:
        version = self.old_state_version()["id"]
        self.version = version
        workspace = self.api.get(f"/state-versions/{version}")["relationships"]["workspace"]["data"]["id"]
        return {"id": workspace}

    def rollback(self) -> dict:
        return document("state-versions", {}, {"rollback-state-version": ("state-versions", self.version)})

    def project(self) -> dict:
        made = self.api.post(f"/organizations/{self.ids['organizations']}/projects",
                             document("projects", {"name": name()}))
        return {"id": made["id"]}

    def workspace(self) -> dict:
        made = self.api.make_workspace(self.ids["organizations"], name(), terraform_version=ENGINE)
        return {"id": made["id"]}

    def workspace_by_name(self) -> dict:
        made = name()
        self.api.make_workspace(self.ids["organizations"], made)
        return {"organization": self.ids["organizations"], "name": made}

    def locked_workspace(self) -> dict:
        made = self.workspace()
        self.api.lock(made["id"])
        return made

    def variable(self) -> dict:
        workspace = self.ids["workspaces"]
        return {"owner": workspace, "id": self.api.make_variable(workspace, name(), "value")["id"]}

    def token(self) -> dict:
        return {"id": token(self.api, self.ids["users"])}

    def terraform_version(self) -> dict:
        return {"id": terraform_version(self.api)}

    def team(self) -> dict:
        return {"id": team(self.api, self.ids["organizations"])}

    def team_with_token(self) -> dict:
        made = self.team()
        self.api.post(f"/teams/{made['id']}/authentication-token", document("authentication-tokens"))
        return made

    def team_with_members(self) -> dict:
        made = self.team()
        for kind, members in [("users", self.users()), ("organization-memberships", self.memberships())]:
            self.api.post(f"/teams/{made['id']}/relationships/{kind}", members, expect=204)
        return made

    def users(self) -> dict:
        """Users are named when they join a team."""
        return {"data": [{"type": "users", "id": self.api.get("/account/details")["attributes"]["username"]}]}

    def memberships(self) -> dict:
        return {"data": [{"type": "organization-memberships", "id": self.ids["organization-memberships"]}]}

    def membership(self) -> dict:
        return {"id": membership(self.api, self.ids["organizations"])}

    def grant(self, place: str) -> dict:
        return {"id": grant(self.api, self.ids, place, self.team()["id"])}

    def planned_run(self) -> dict:
        workspace = self.workspace()["id"]
        run = self.api.make_run(workspace, self.api.make_configuration(workspace, CONFIGURATION))["id"]
        self.api.wait_run(run, "planned", seconds=120)
        return {"id": run}

    def waiting_run(self) -> dict:
        """One that a planned run keeps from being planned."""
        first = self.planned_run()["id"]
        workspace = self.api.run(first)["relationships"]["workspace"]["data"]["id"]
        return {"id": self.api.make_run(workspace)["id"]}

    def pending_run(self) -> dict:
        workspace = self.locked_workspace()["id"]
        return {"id": self.api.make_run(workspace, self.api.make_configuration(workspace, CONFIGURATION))["id"]}


def named(ids: dict[str, str], kind: str) -> dict:
    """A body that names the standing one of a kind."""
    return {"data": [{"type": kind, "id": ids[kind]}]}


def subscription(ids: dict[str, str]) -> dict:
    return document("subscription", {}, {"feature-set": ("feature-sets", ids["feature-sets"])})


def consumers(ids: dict[str, str]) -> dict:
    return {"data": [{"type": "workspaces", "id": ids["workspaces"]}]}


def state_version() -> dict:
    lineage = str(uuid.uuid4())
    content = state(1, lineage)
    return document("state-versions", {"serial": 1, "lineage": lineage, "md5": hashlib.md5(content).hexdigest(),
                                       "state": b64encode(content).decode()})


def run(ids: dict[str, str]) -> dict:
    return document("runs", {"plan-only": True}, {"workspace": ("workspaces", ids["workspaces"])})
