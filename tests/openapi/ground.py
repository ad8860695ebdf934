"""What there is for schemathesis to find, and fresh things for operations that use them up."""

import hashlib
import json
import uuid
from base64 import b64encode

from common.api import Api, document

CONFIGURATION = {"main.tf": 'resource "terraform_data" "x" {\n  input = 1\n}\noutput "x" {\n  value = 1\n}\n'}


ENGINE = "1.12.6"  # not the latest: versions are registered while runs are made


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
    workspace = api.make_workspace(organization, "standing", auto_apply=True, terraform_version=ENGINE)
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


def grant_of(ids: dict[str, str], place: str, team: str) -> dict:
    return document(f"team-{place}s", {"access": "read"},
                    {"team": ("teams", team), place: (f"{place}s", ids[f"{place}s"])})


def grant(api: Api, ids: dict[str, str], place: str, team: str) -> str:
    return api.post(f"/team-{place}s", grant_of(ids, place, team))["id"]


class Fresh:
    """Things made for one request each; every method gives path parameters, and perhaps a body."""

    def __init__(self, api: Api, ids: dict[str, str]):
        self.api, self.ids = api, ids

    def organization(self) -> dict:
        made = name()
        self.api.make_organization(made)
        return {"organization": made}

    def organization_with_token(self) -> dict:
        made = self.organization()
        self.api.post(f"/organizations/{made['organization']}/authentication-token",
                      document("authentication-tokens"))
        return made

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
        return {"workspace_id": workspace, "id": self.api.make_variable(workspace, name(), "value")["id"]}

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

    def pending_run(self) -> dict:
        workspace = self.locked_workspace()["id"]
        return {"id": self.api.make_run(workspace, self.api.make_configuration(workspace, CONFIGURATION))["id"]}


def consumers(ids: dict[str, str]) -> dict:
    return {"data": [{"type": "workspaces", "id": ids["workspaces"]}]}


def state_version() -> dict:
    lineage = str(uuid.uuid4())
    content = state(1, lineage)
    return document("state-versions", {"serial": 1, "lineage": lineage, "md5": hashlib.md5(content).hexdigest(),
                                       "state": b64encode(content).decode()})


def run(ids: dict[str, str]) -> dict:
    return document("runs", {"plan-only": True}, {"workspace": ("workspaces", ids["workspaces"])})
