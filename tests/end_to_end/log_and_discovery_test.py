"""What a client learns before it starts, and the logs, byte by byte."""

import http.client
import json
import threading

from common.wait import wait_for
from configurations import ONE, slow_apply
from system import ORGANIZATION, Case


class Discovery(Case):
    def test_names_the_services(self):
        answer = self.site.api(token="").request("GET", "/.well-known/terraform.json", headers={"Accept": "*/*"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        services = answer.json
        for name in ["tfe.v2", "tfe.v2.1", "tfe.v2.2", "state.v2"]:
            self.assertTrue(services[name].endswith("/api/v2/"), name)

    def test_ping_carries_what_the_cli_reads(self):
        answer = self.api.request("GET", "/api/v2/ping")
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["TFP-API-Version"], "2.6")
        self.assertEqual(answer.headers["TFP-AppName"], "Terraform Enterprise")
        self.assertRegex(answer.headers["X-TFE-Version"], r"^v20\d{4}-\d+$")
        self.assertGreaterEqual(int(answer.headers["X-TFE-Version"][1:7]), 202302)

    def test_without_a_token_is_refused(self):
        for token in ["", "nonsense", self.site.token[:-1]]:
            answer = self.site.api(token=token).request("GET", "/api/v2/account/details")
            self.assertEqual(answer.status, 401, token)
            self.assertEqual(answer.json["errors"][0]["status"], "401")

    def test_account_organization_and_entitlements(self):
        self.assertTrue(self.api.get("/account/details")["attributes"]["username"])
        self.assertEqual(self.api.get(f"/organizations/{ORGANIZATION}")["id"], ORGANIZATION)
        self.assertTrue(self.api.get(f"/organizations/{ORGANIZATION}/entitlement-set")["attributes"]["operations"])

    def test_health(self):
        quick = self.site.api(token="").request("GET", "/_health_check")
        self.assertEqual(quick.status, 200)
        self.assertEqual(self.site.api(token="").request("GET", "/_health_check?full=1").status, 200)

    def test_lists_have_pages(self):
        names = [f"{self.name}-{number}" for number in range(3)]
        for name in names:
            self.workspace(name)
        seen = []
        for page in [1, 2, 3]:
            answer = self.api.ask("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces?search[name]={self.name}"
                                         f"&page[size]=1&page[number]={page}")
            self.assertEqual(answer["meta"]["pagination"]["total-count"], 3)
            self.assertEqual(answer["meta"]["pagination"]["total-pages"], 3)
            seen += [item["attributes"]["name"] for item in answer["data"]]
        self.assertEqual(sorted(seen), names)
        beyond = self.api.ask("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces?search[name]={self.name}"
                                     "&page[size]=1&page[number]=999")
        self.assertEqual([beyond["data"], beyond["meta"]["pagination"]["current-page"]], [[], 999])


class Logs(Case):
    def applied_run(self) -> str:
        workspace = self.workspace(auto_apply=True)
        configuration = self.api.make_configuration(workspace, {"main.tf": ONE})
        run = self.api.make_run(workspace, configuration)["id"]
        self.api.wait_run(run, "applied")
        return run

    def read(self, url: str, query: str) -> bytes:
        answer = self.site.api(token="").request("GET", url + query)  # the secret is in the path
        self.assertEqual(answer.status, 200, query)
        return answer.body

    def test_ranges_are_exact_to_the_byte(self):
        run = self.applied_run()
        for phase, words in [("plan", "1 to add, 0 to change, 0 to destroy"),
                             ("apply", "1 added, 0 changed, 0 destroyed")]:
            self.api.whole_log(run, phase)
            url = self.api.phase(run, phase)["attributes"]["log-read-url"]
            log = self.read(url, "?limit=65536&offset=0")
            self.assertEqual([log[:1], log[-1:]], [b"\x02", b"\x03"])
            self.assertEqual([log.count(b"\x02"), log.count(b"\x03")], [1, 1])
            self.assertIn(words, log.decode())
            self.assertEqual(self.read(url, ""), log)
            for limit in [1, 7, 100, len(log)]:
                for offset in [0, 1, 17, len(log) - 8, len(log) - 1]:
                    self.assertEqual(self.read(url, f"?limit={limit}&offset={offset}"), log[offset:offset + limit])
            for offset in [len(log), len(log) + 1, 10**12]:
                self.assertEqual(self.read(url, f"?limit=65536&offset={offset}"), b"")
            pieces = [self.read(url, f"?limit=11&offset={offset}") for offset in range(0, len(log), 11)]
            self.assertEqual(b"".join(pieces), log)
            for odd in ["?limit=-1&offset=0", "?limit=x&offset=y", "?offset=99999999999999999999"]:
                self.read(url, odd)  # whatever a reader asks, it is no error

    def test_apply_log_begins_with_three_lines_that_the_cli_drops(self):
        run = self.applied_run()
        lines = self.api.whole_log(run, "apply").splitlines()
        self.assertEqual(lines[:3], ["OpenTofu v1.12.6", "on linux_amd64", "Initializing plugins and modules..."])
        self.assertTrue(any(line.startswith("Apply complete!") for line in lines[3:]), lines)

    def test_is_streamed_while_the_engine_works(self):
        workspace = self.workspace(auto_apply=True)
        configuration = self.api.make_configuration(workspace, {"main.tf": slow_apply(3)})
        run = self.api.make_run(workspace, configuration)["id"]
        wait_for("the log shows the beginning", lambda: b"it has begun" in self.api.log(run, "apply"))
        self.assertEqual(self.api.run_status(run), "applying")
        begun = self.api.log(run, "apply")
        self.assertNotIn(b"\x03", begun)
        self.api.wait_run(run, "applied")
        wait_for("the log has ended", lambda: self.api.log(run, "apply").endswith(b"\x03"))
        self.assertTrue(self.api.log(run, "apply").startswith(begun))  # what was shown is never taken back

    def test_large_output_arrives_whole_for_several_readers(self):
        workspace = self.workspace(auto_apply=True)
        configuration = self.api.make_configuration(workspace, {"main.tf": '''
resource "terraform_data" "talkative" {
  provisioner "local-exec" {
    command = "seq -f 'line %06.0f of a long log' 1 20000"
  }
}
'''})
        run = self.api.make_run(workspace, configuration)["id"]
        self.api.wait_run(run, "applying", "applied")
        logs: list[str] = []
        threads = [threading.Thread(target=lambda: logs.append(self.api.whole_log(run, "apply"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(logs), 3)
        self.assertEqual(len(set(logs)), 1)
        # The engine breaks a line of which a part is late, so what was said is compared without white space.
        mark = "(local-exec): "
        said = [line.split(mark, 1)[1] for line in logs[0].splitlines() if mark in line and "Executing" not in line]
        expected = "".join(f"line{number:06}ofalonglog" for number in range(1, 20001))
        self.assertEqual("".join("".join(said).split()), expected)

    def test_urls_of_strangers_open_nothing(self):
        run = self.applied_run()
        url = self.api.phase(run, "plan")["attributes"]["log-read-url"]
        token = url.rsplit("/", 1)[1]
        for forged in [token[:-1] + ("A" if token[-1] != "A" else "B"), token[:10], "x", token.swapcase()]:
            answer = self.api.request("GET", url.replace(token, forged))
            self.assertEqual(answer.status, 404, forged)
        as_object = self.api.request("GET", url.replace("/log/", "/object/"))
        self.assertEqual(as_object.status, 404)


class Connections(Case):
    def test_requests_on_one_connection_are_answered_in_order(self):
        with self.api.socket() as raw:
            head = f"Host: {self.site.hostname}\r\nAuthorization: Bearer {self.site.token}\r\n\r\n"
            raw.sendall("".join(f"GET /api/v2/{path} HTTP/1.1\r\n{head}" for path in
                                ["account/details", "runs/run-nonexistent", "ping"]).encode())
            statuses = []
            for _ in range(3):
                response = http.client.HTTPResponse(raw)
                # Pipelined answers come through one buffer: each is read exactly, byte by byte.
                response.fp = Unbuffered(raw)
                response.begin()
                body = response.read()
                statuses.append(response.status)
                if response.status != 204:
                    json.loads(body)
        self.assertEqual(statuses, [200, 404, 204])


class Unbuffered:
    """A socket as a file that never takes more than is asked for."""

    def __init__(self, raw):
        self.raw = raw

    def readline(self, limit: int = -1) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (limit < 0 or len(line) < limit):
            byte = self.raw.recv(1)
            if not byte:
                break
            line += byte
        return line

    def read(self, count: int = -1) -> bytes:
        data = b""
        while count < 0 or len(data) < count:
            more = self.raw.recv(65536 if count < 0 else count - len(data))
            if not more:
                break
            data += more
        return data

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
