"""Bad input over the real listener: refused with a reason, nothing stored, every process alive."""

import hashlib
import io
import json
import tarfile
import uuid
import zlib

import system
from common.api import Answer, document, tarball
from common.wait import wait_for
from configurations import ONE
from system import ORGANIZATION, Case


class BadInput(Case):
    def setUp(self) -> None:
        super().setUp()
        self.processes = {part["name"]: part["pid"] for part in self.site.status()}
        self.addCleanup(self.check_processes)

    def check_processes(self) -> None:
        """Nothing crashed, and web still answers."""
        self.assertEqual({part["name"]: part["pid"] for part in self.site.status()}, self.processes)
        self.assertEqual(self.api.request("GET", "/api/v2/ping").status, 204)


class Http(BadInput):
    def answer_to(self, data: bytes) -> bytes:
        """What comes back for raw bytes, up to the end of the connection."""
        with self.api.socket() as raw:
            raw.settimeout(20)
            raw.sendall(data)
            answer = b""
            try:
                while more := raw.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
            return answer

    def test_garbage_is_refused(self):
        host = f"Host: {self.site.hostname}\r\n".encode()
        for data in [b"\x00\xff\xfe garbage\r\n\r\n",
                     b"GET\r\n\r\n",
                     b"GET /api/v2/ping HTTP/9.9\r\n" + host + b"\r\n",
                     b"GET /api/v2/ping HTTP/1.1\r\nno colon here\r\n\r\n",
                     b"POST /api/v2/runs HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n",
                     b"POST /api/v2/runs HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                     b"POST /api/v2/runs HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nnot hex\r\n",
                     b"GET /api/v2/ping HTTP/1.1\r\n" + host + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
                     b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + host + b"\r\n"]:
            answer = self.answer_to(data)
            self.assertRegex(answer[:13], rb"^HTTP/1\.[01] 4\d\d|^$", data[:60])

    def test_paths_that_lead_nowhere(self):
        for path in ["/api/v2/nothing", "/api/v2/runs/%2e%2e%2f%2e%2e", "/api/v2/workspaces/%00", "/../etc/passwd",
                     "/api/v2/runs/" + "x" * 3000, "/api/v2/runs/%ff%fe", "/_archivist/../etc/passwd",
                     "/api/v2/runs/run-'--"]:
            self.assertIn(self.api.request("GET", path).status, [400, 404, 422], path)
        self.assertIn(self.api.request("PUT", "/api/v2/runs", b"").status, [404, 405])
        for path in ["/internal/v1/objects/x", "/internal/v1/logs/x/text"]:  # archivist's own, for other processes
            self.assertEqual(self.api.request("GET", path).status, 404)

    def test_bodies_that_are_no_json_api(self):
        workspace = self.workspace()
        before = self.api.ask("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces?search[name]={self.name}")
        deep = b'{"data":' * 10_000
        bodies = [b"", b"{", b"[]", b"null", b"42", b'"text"', b'{"data":null}', b'{"data":[]}', b'{"data":{}}',
                  b'{"data":{"type":"wrong"}}', b'{"data":{"type":"workspaces","attributes":[]}}', b"\xff\xfe", deep,
                  b'{"data":{"type":"workspaces","attributes":{"name":42}}}',
                  b'{"data":{"type":"workspaces","attributes":{"name":"a b/c"}}}',
                  b'{"data":{"type":"workspaces","attributes":{"name":"\\ud800"}}}',
                  b'{"data":{"type":"workspaces","attributes":{"name":"' + self.name.encode() + b'"}}}']
        for body in bodies:
            answer = self.api.request("POST", f"/api/v2/organizations/{ORGANIZATION}/workspaces", body,
                                      {"Content-Type": "application/vnd.api+json"})
            self.assertIn(answer.status, [400, 422], body[:80])
            self.assertTrue(answer.json["errors"][0]["title"] or answer.json["errors"][0]["detail"], body[:80])
        typed = self.api.request("POST", f"/api/v2/organizations/{ORGANIZATION}/workspaces",
                                 document("workspaces", {"name": f"{self.name}-x", "auto-apply": "yes"}))
        self.assertEqual(typed.status, 422)
        self.assertEqual(typed.json["errors"][0]["source"]["pointer"], "/data/attributes/auto-apply")
        for run in [document("runs"), document("runs", {}, {"workspace": ("workspaces", "ws-nonexistent")}),
                    document("runs", {"target-addrs": "x"}, {"workspace": ("workspaces", workspace)}),
                    document("runs", {"variables": [{"key": 1}]}, {"workspace": ("workspaces", workspace)}),
                    document("runs", {}, {"workspace": ("workspaces", workspace)})]:  # it has no configuration yet
            self.assertIn(self.api.request("POST", "/api/v2/runs", run).status, [404, 422], run)
        after = self.api.ask("GET", f"/api/v2/organizations/{ORGANIZATION}/workspaces?search[name]={self.name}")
        self.assertEqual(after["meta"], before["meta"])
        self.assertEqual(self.api.runs(workspace), [])

    def test_bodies_that_are_too_large(self):
        big = document("workspaces", {"name": self.name, "description": "x" * 9_000_000})
        path = f"/api/v2/organizations/{ORGANIZATION}/workspaces"
        self.assertEqual(self.refused_early("POST", path, json.dumps(big).encode()).status, 413)
        self.assertEqual(self.api.request("GET", f"{path}/{self.name}").status, 404)

    def refused_early(self, method: str, path: str, body: bytes) -> Answer:
        """A server may answer and close before it has read everything; the answer counts."""
        connection = self.api.connection()
        try:
            connection.putrequest(method, path)
            for name, value in [("Authorization", f"Bearer {self.site.token}"), ("Content-Length", str(len(body))),
                                ("Content-Type", "application/vnd.api+json")]:
                connection.putheader(name, value)
            connection.endheaders()
            try:
                connection.send(body)
            except OSError:
                pass
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry, data in [(entry_of("main.tf"), ONE.encode()), *entries]:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def entry_of(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, link, 0o644
    return entry


class Archives(BadInput):
    def assert_errored(self, content: bytes, pattern: str) -> None:
        """The run of such a configuration ends errored, with a message that says why."""
        workspace = self.workspace()
        configuration = self.api.make_configuration(workspace, content)
        run = self.api.make_run(workspace, configuration)["id"]
        ended = self.api.wait_run(run, "errored", seconds=30)
        self.assertRegex(ended["attributes"]["error-message"] or "", pattern)
        self.assertIn(ended["attributes"]["error-message"].split(".")[0][:60], self.api.whole_log(run, "plan"))
        self.assert_unlocked()

    def test_path_outside(self):
        self.assert_errored(archive((entry_of("../../evil.tf"), b"x")), r"\.\./\.\./evil\.tf")

    def test_absolute_path(self):
        self.assert_errored(archive((entry_of("/var/tmp/evil.tf"), b"x")), "/var/tmp/evil.tf")

    def test_link_outside(self):
        self.assert_errored(archive((entry_of("out", tarfile.SYMTYPE, "../../.."), b""),
                                    (entry_of("out/evil.tf"), b"x")), "out")

    def test_hard_link_outside(self):
        self.assert_errored(archive((entry_of("shadow", tarfile.LNKTYPE, "/etc/shadow"), b"")), "shadow")

    def test_device(self):
        device = entry_of("null", tarfile.CHRTYPE)
        device.devmajor, device.devminor = 1, 3
        self.assert_errored(archive((device, b"")), "null")

    def test_fifo(self):
        self.assert_errored(archive((entry_of("pipe", tarfile.FIFOTYPE), b"")), "pipe")

    def test_no_archive(self):
        self.assert_errored(b"this is no archive at all" * 100, ".")

    def test_damaged_archive(self):
        whole = tarball({"main.tf": ONE, "data": hashlib.sha512(b"x").hexdigest() * 5000})
        self.assert_errored(whole[:len(whole) // 2], ".")

    def test_bomb(self):
        # The header of one entry promises 20 GB of zeros; that many would take long to pack, so only some follow.
        entry = entry_of("zeros")
        entry.size = 20 << 30
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        parts = [packer.compress(entry.tobuf())]
        block = b"\0" * (1 << 20)
        parts += [packer.compress(block) for _ in range(1200)]
        parts.append(packer.flush())
        self.assert_errored(b"".join(parts), "zeros|bytes|space|large|limit")


class Uploads(BadInput):
    def pending_configuration(self) -> tuple[str, str, str]:
        workspace = self.workspace()
        made = self.api.post(f"/workspaces/{workspace}/configuration-versions",
                             document("configuration-versions", {"auto-queue-runs": False}))
        return workspace, made["id"], made["attributes"]["upload-url"]

    def test_url_is_shown_once(self):
        _, configuration, _ = self.pending_configuration()
        self.assertFalse(self.api.get(f"/configuration-versions/{configuration}")["attributes"].get("upload-url"))

    def test_truncated_upload_stores_nothing(self):
        workspace, configuration, url = self.pending_configuration()
        content = tarball({"main.tf": ONE})
        path = url.split(self.site.hostname, 1)[1]
        with self.api.socket() as raw:
            raw.sendall(f"PUT {path} HTTP/1.1\r\nHost: {self.site.hostname}\r\nContent-Length: {len(content)}\r\n\r\n"
                        .encode() + content[:-20])
        self.assertEqual(self.api.get(f"/configuration-versions/{configuration}")["attributes"]["status"], "pending")
        refused = self.api.request("POST", "/api/v2/runs", document("runs", {}, {
            "workspace": ("workspaces", workspace),
            "configuration-version": ("configuration-versions", configuration)}))
        self.assertEqual(refused.status, 422)
        # A whole upload still works, and the run with it.
        self.assertEqual(self.api.request("PUT", url, content).status, 200)
        run = self.api.make_run(workspace, configuration, plan_only=True)["id"]
        self.api.wait_run(run, "planned_and_finished")

    def test_second_upload_of_other_bytes_is_refused_once_a_run_has_the_first(self):
        workspace, configuration, url = self.pending_configuration()
        content = tarball({"main.tf": ONE})
        self.assertEqual(self.api.request("PUT", url, content).status, 200)
        self.assertEqual(self.api.request("PUT", url, content).status, 200)
        run = self.api.make_run(workspace, configuration, auto_apply=True)["id"]
        self.assertIn(self.api.request("PUT", url, tarball({"main.tf": "# other"})).status, [404, 409, 422])
        wait_for(f"{run} is applied", lambda: self.api.run_status(run) == "applied", 60)
        self.assertEqual(self.api.get(f"/configuration-versions/{configuration}")["attributes"]["status"], "uploaded")

    def test_forged_urls_are_unknown(self):
        _, configuration, url = self.pending_configuration()
        head, token = url.rsplit("/", 1)
        for forged in [token[:-1] + ("A" if token[-1] != "A" else "B"), token[1:], "x" * len(token), token + "x"]:
            self.assertEqual(self.api.request("PUT", f"{head}/{forged}", b"x").status, 404, forged)
        self.assertEqual(self.api.request("GET", url).status, 404)  # the right to write is no right to read
        self.assertEqual(self.api.get(f"/configuration-versions/{configuration}")["attributes"]["status"], "pending")

    def test_read_url_does_not_write(self):
        workspace = self.workspace()
        self.api.lock(workspace)
        lineage = str(uuid.uuid4())
        state = json.dumps({"version": 4, "serial": 1, "lineage": lineage, "outputs": {}, "resources": []}).encode()
        self.assertEqual(self.api.make_state_version(workspace, state, 1, lineage).status, 201)
        url = self.api.current_state(workspace)["attributes"]["hosted-state-download-url"]
        self.assertEqual(self.api.request("PUT", url, b"overwritten").status, 404)
        self.assertEqual(self.api.state_bytes(workspace), state)
        self.api.unlock(workspace)

    def test_life_of_a_url_cannot_be_prolonged(self):
        # It is in the token, signed: to say more than was granted is a forgery.
        _, _, url = self.pending_configuration()
        head, token = url.rsplit("/", 1)
        changed = [token[:at] + ("0" if token[at] != "0" else "1") + token[at + 1:] for at in range(0, len(token), 5)]
        for forged in changed:
            self.assertEqual(self.api.request("PUT", f"{head}/{forged}", b"x").status, 404, forged)

    def test_state_of_wrong_md5_is_not_kept(self):
        workspace = self.workspace()
        self.api.lock(workspace)
        made = self.api.make_state_version(workspace, b"{}", 1, "lineage", inline=False).json["data"]
        refused = self.api.request("PUT", made["attributes"]["hosted-state-upload-url"], b'{"other": true}')
        self.assertIn(refused.status, [409, 422])
        self.assertEqual(self.api.request("GET", f"/api/v2/workspaces/{workspace}/current-state-version").status, 404)
        self.api.unlock(workspace)


class OtherPeoplesThings(BadInput):
    def test_are_not_found(self):
        for path in ["/workspaces/ws-nonexistent", "/runs/run-nonexistent", "/plans/plan-nonexistent",
                     "/applies/apply-nonexistent", "/configuration-versions/cv-nonexistent",
                     "/state-versions/sv-nonexistent", "/state-version-outputs/wsout-nonexistent",
                     "/organizations/nobody", "/organizations/nobody/workspaces", "/run-events/re-nonexistent",
                     "/organizations/nobody/entitlement-set", "/plans/x", "/applies/y"]:
            answer = self.api.request("GET", f"/api/v2{path}")
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.json["errors"][0]["status"], "404")
        for path in ["/runs/run-nonexistent/actions/apply", "/workspaces/ws-nonexistent/actions/lock"]:
            self.assertEqual(self.api.request("POST", f"/api/v2{path}", {}).status, 404, path)


class Expiry(Case):
    alone = True  # after all others, when the URL of the beginning is nearly as old as it can be

    def test_expired_url_is_unknown(self):
        wait_for("the URL of a plan's JSON has expired after a minute",
                 lambda: self.api.request("GET", system.short_lived_url).status == 404, 70, interval=1)
