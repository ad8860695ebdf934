"""A run's own token reads what was granted and writes nothing, and it ends with the phase."""

import base64
import hashlib
import json
import secrets
from urllib.parse import urlsplit

from common.api import document
from world import HERE, ORGANIZATION, Case, Once, as_user, attack_outside, parse_attacks, world, NOBODY

CONFIGURATION = '''resource "terraform_data" "attacker" {
  provisioner "local-exec" {
    command = "exec /usr/bin/python3 attack.py attacks.json && true"
  }
  provisioner "local-exec" {
    command = "/usr/bin/sed -n 's/.*token = \\"\\\\(.*\\\\)\\"/TOKEN \\\\1/p' /run/terrane/cli.tfrc"
  }
}
'''
FIRST = 'output "secret" {\n  value = "%s"\n}\n'


def state_document(serial: int, lineage: str) -> dict:
    state = json.dumps({"version": 4, "terraform_version": "1.12.6", "serial": serial, "lineage": lineage,
                        "outputs": {}, "resources": []}).encode()
    return document("state-versions", {"serial": serial, "lineage": lineage, "md5": hashlib.md5(state).hexdigest(),
                                       "state": base64.b64encode(state).decode()})


class Place:
    """A workspace with a state, a variable and a finished run, to be attacked by somebody."""

    def __init__(self, kind: str):
        api = world.site.api()
        self.name = f"token-{kind}-{secrets.token_hex(4)}"
        self.id = api.make_workspace(ORGANIZATION, self.name)["id"]
        self.secret = f"secret-{secrets.token_hex(12)}"
        api.make_variable(self.id, "unused", "a value")
        self.configuration = api.make_configuration(self.id, {"main.tf": FIRST % self.secret})
        self.run = api.make_run(self.id, self.configuration, auto_apply=True)["id"]
        api.wait_run(self.run, "applied")
        state = api.current_state(self.id)
        self.state = state["id"]
        self.download = urlsplit(state["attributes"]["hosted-state-download-url"]).path
        self.lineage = api.state(self.id)["lineage"]
        self.plan = api.phase(self.run, "plan")["id"]


def requests_on(place: Place, user: str) -> dict[str, tuple]:
    """What nobody may do with a run's token: name to (method, path, body, what the answer must show)."""
    workspace = f"/api/v2/workspaces/{place.id}"
    organization = f"/api/v2/organizations/{ORGANIZATION}"
    token = document("authentication-tokens", {"description": "mine"})
    return {
        "read variables": ("GET", f"{workspace}/vars", None, "unused"),
        "add a variable": ("POST", f"{workspace}/vars", document("vars", {
            "key": f"k{secrets.token_hex(4)}", "value": "x", "category": "env"}), ""),
        "change the workspace": ("PATCH", workspace, document("workspaces", {"auto-apply": True}), ""),
        "queue a run": ("POST", "/api/v2/runs", document("runs", {"plan-only": True}, {
            "workspace": ("workspaces", place.id),
            "configuration-version": ("configuration-versions", place.configuration)}), ""),
        "upload a configuration": ("POST", f"{workspace}/configuration-versions",
                                   document("configuration-versions", {"auto-queue-runs": False}), ""),
        "lock the workspace": ("POST", f"{workspace}/actions/lock", {}, ""),
        "write a state": ("POST", f"{workspace}/state-versions", state_document(50, place.lineage), ""),
        "unlock the workspace": ("POST", f"{workspace}/actions/unlock", {}, ""),
        "make a workspace": ("POST", f"{organization}/workspaces",
                             document("workspaces", {"name": f"taken-{secrets.token_hex(4)}"}), ""),
        "make a token of the organization": ("POST", f"{organization}/authentication-token", token, ""),
        "make a token of the user": ("POST", f"/api/v2/users/{user}/authentication-tokens", token, ""),
        "change the account": ("PATCH", "/api/v2/account/update", document("users", {}), ""),
        "make an organization": ("POST", "/api/v2/organizations", document("organizations", {
            "name": f"taken-{secrets.token_hex(4)}", "email": "a@example.com"}), ""),
        "change the organization": ("PATCH", organization, document("organizations", {"session-timeout": 60}), ""),
        "register an engine": ("GET", "/api/v2/admin/terraform-versions", None, ""),
    }


def requests_on_other(place: Place) -> dict[str, tuple]:
    """What only who may see another workspace gets."""
    workspace = f"/api/v2/workspaces/{place.id}"
    return {
        "read a workspace": ("GET", workspace, None, place.name),
        "find a workspace by its name": ("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces/{place.name}", None,
                                         place.id),
        "find a workspace in the list": ("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces?page[size]=100", None,
                                         place.id),
        "read a state": ("GET", f"{workspace}/current-state-version", None, place.state),
        "read outputs": ("GET", f"{workspace}/current-state-version-outputs", None, "secret"),
        "read a state by its id": ("GET", f"/api/v2/state-versions/{place.state}", None, place.state),
        "download a state": ("GET", f"/api/v2/state-versions/{place.state}/download", None, place.secret),
        "list states": ("GET", f"/api/v2/state-versions?filter[workspace][name]={place.name}"
                               f"&filter[organization][name]={ORGANIZATION}", None, place.state),
        "read runs": ("GET", f"{workspace}/runs", None, place.run),
        "read a run": ("GET", f"/api/v2/runs/{place.run}", None, place.run),
        "read a plan": ("GET", f"/api/v2/plans/{place.plan}", None, "log-read-url"),
        "read a plan's JSON": ("GET", f"/api/v2/plans/{place.plan}/json-output", None, place.secret),
        "read a configuration": ("GET", f"/api/v2/configuration-versions/{place.configuration}/download", None, ""),
        "remove a workspace": ("DELETE", workspace, None, ""),
    }


class Theft:
    """A run that tries all of it with its own token, against a control with the admin's."""

    def __init__(self) -> None:
        api = world.site.api()
        user = api.get("/account/details")["id"]
        own, other, spare, spare_other = Place("own"), Place("other"), Place("spare"), Place("spare")
        self.own, self.other = own, other
        self.names = [*requests_on(own, user), *requests_on_other(other)]
        admin = {"url": f"https://{world.site.hostname}", "token": world.site.token}
        control = self._orders({**requests_on(spare, user), **requests_on_other(spare_other)}, admin)
        self.outside = attack_outside(control, as_user(NOBODY, NOBODY, [], []))
        self.allowed = {"read the own workspace": ("GET", f"/api/v2/workspaces/{own.id}", None, own.name),
                        "read the own state": ("GET", f"/api/v2/state-versions/{own.state}/download", None, own.secret)}
        platform = {"url": f"https://{world.site.hostname}"}
        forged = other.download[:-4] + ("AAAA" if not other.download.endswith("AAAA") else "BBBB")
        orders = self._orders({**requests_on(own, user), **requests_on_other(other), **self.allowed,
                               "a forged URL": ("GET", forged, None, "")}, platform)
        configuration = api.make_configuration(own.id, {
            "main.tf": CONFIGURATION, "attack.py": (HERE / "attack.py").read_text(),
            "attacks.json": json.dumps(orders)})
        self.before = api.current_state(own.id)["attributes"]["serial"]
        run = api.make_run(own.id, configuration, auto_apply=True)["id"]
        api.wait_run(run, "applied")
        log = api.whole_log(run, "apply")
        self.inside = parse_attacks(log)
        self.token = next(line.split("TOKEN ")[1].split()[0] for line in log.splitlines() if "TOKEN " in line)
        self.run = run

    @staticmethod
    def _orders(requests: dict[str, tuple], access: dict) -> list[dict]:
        return [{"name": name, "probe": "api",
                 "arguments": {"method": method, "path": path, "body": body, "expect": expect, **access}}
                for name, (method, path, body, expect) in requests.items()]


theft = Once(Theft)


class RunToken(Case):
    def test_reads_what_was_granted(self):
        for name in theft.get().allowed:
            with self.subTest(name):
                self.assertIs(theft.get().inside[name].get("reached"), True, theft.get().inside[name])

    def test_does_nothing_else(self):
        held = theft.get()
        for name in held.names:
            with self.subTest(name):
                self.assertIs(held.outside[name].get("reached"), True, f"the control: {held.outside[name]}")
                self.assertIs(held.inside[name].get("reached"), False, held.inside[name])

    def test_hidden_things_are_not_found(self):
        held = theft.get()
        for name in requests_on_other(held.other):
            if name not in ("find a workspace in the list", "remove a workspace"):
                with self.subTest(name):
                    self.assertTrue(held.inside[name]["detail"].startswith("404 "), held.inside[name])

    def test_left_no_trace(self):
        held = theft.get()
        variables = self.api.get(f"/workspaces/{held.own.id}/vars")
        self.assertEqual([variable["attributes"]["key"] for variable in variables], ["unused"])
        self.assertFalse(self.api.get(f"/workspaces/{held.own.id}")["attributes"]["auto-apply"])
        self.assertEqual(len(self.api.runs(held.own.id)), 2)
        self.assertEqual(self.api.get(f"/workspaces/{held.other.id}")["attributes"]["name"], held.other.name)
        self.assertEqual(self.api.current_state(held.own.id)["relationships"]["run"]["data"]["id"], held.run)

    def test_a_signed_url_cannot_be_forged(self):
        held = theft.get()
        self.assertIs(held.inside["a forged URL"].get("reached"), False, held.inside["a forged URL"])
        self.assertEqual(self.api.request("GET", f"https://{self.site.hostname}{held.other.download}").status, 200)

    def test_ends_with_its_run(self):
        held = theft.get()
        late = self.site.api(token=held.token)
        for path in (f"/workspaces/{held.own.id}", f"/state-versions/{held.own.state}/download", "/account/details"):
            self.assertEqual(late.request("GET", f"/api/v2{path}").status, 401, path)
