"""API v2 as a client uses it: over TLS, with the installation's CA, by the standard library alone."""

import contextlib
import hashlib
import http.client
import io
import json
import ssl
import tarfile
import threading
import urllib.parse
from base64 import b64encode
from dataclasses import dataclass

from .wait import wait_for

MEDIA_TYPE = "application/vnd.api+json"
FINAL = {"applied", "planned_and_finished", "planned_and_saved", "discarded", "canceled", "errored"}
REQUEST_SECONDS = 40


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def errors(self) -> str:
        """Titles, details and pointers of an error document, for comparing with parts of them."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return "\n".join(" ".join([error.get("title") or "", error.get("detail") or "",
                                       (error.get("source") or {}).get("pointer") or ""])
                             for error in self.json["errors"])
        return self.body.decode(errors="replace")


class ApiError(AssertionError):
    """An answer with another status than was expected."""

    def __init__(self, what: str, answer: Answer):
        super().__init__(f"{what}: {answer.status} {answer.body[:2000].decode(errors='replace')}")
        self.answer = answer


def tarball(files: dict[str, str | bytes]) -> bytes:
    """A gzipped tar archive of text files by their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def document(kind: str, attributes: dict | None = None, relationships: dict | None = None) -> dict:
    """A JSON:API document; a relationship is (type, id)."""
    data: dict = {"type": kind, "attributes": attributes or {}}
    if relationships:
        data["relationships"] = {name: {"data": {"type": type_, "id": id_}}
                                 for name, (type_, id_) in relationships.items()}
    return {"data": data}


class Api:
    """One client; threads may share it, each has a connection of its own."""

    def __init__(self, host: str, port: int, certificate: str, token: str):
        self.host, self.port, self.token = host, port, token
        self.tls = ssl.create_default_context(cafile=certificate)
        self._local = threading.local()

    # Requests

    def connection(self) -> http.client.HTTPSConnection:
        """A new connection that the caller owns."""
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=REQUEST_SECONDS)

    def socket(self) -> ssl.SSLSocket:
        """A new TLS connection for bytes that are no HTTP of the ordinary kind; the caller closes it."""
        connection = self.connection()
        connection.connect()
        return connection.sock

    def request(self, method: str, path: str, body: dict | bytes | None = None,
                headers: dict[str, str] | None = None) -> Answer:
        """Any request, any answer. `path` may be an absolute URL of this host, such as a signed one."""
        sent = {"Accept": MEDIA_TYPE, **(headers or {})}
        if path.startswith("https://"):
            url = urllib.parse.urlsplit(path)
            if url.netloc != f"{self.host}:{self.port}":
                raise AssertionError(f"{path} is not a URL of {self.host}:{self.port}")
            path = url.path + (f"?{url.query}" if url.query else "")
        elif self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, dict):
            sent.setdefault("Content-Type", MEDIA_TYPE)
            body = json.dumps(body).encode()
        return self._send(method, path, body, sent)

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = getattr(self._local, "connection", None)
        fresh = connection is None
        if connection is None:
            connection = self._local.connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            self._local.connection = None
            if fresh:
                raise
        # The kept connection had been closed by the other side: once more on a new one.
        return self._send(method, path, body, headers)

    def ask(self, method: str, path: str, body: dict | bytes | None = None,
            expect: int | tuple[int, ...] = 200) -> dict:
        """A request that must be answered with `expect`; the answer's document, or {} when there is none."""
        answer = self.request(method, path, body)
        expected = expect if isinstance(expect, tuple) else (expect,)
        if answer.status not in expected:
            raise ApiError(f"{method} {path}", answer)
        return answer.json if answer.body else {}

    def get(self, path: str) -> dict:
        """The `data` of a resource or list."""
        return self.ask("GET", f"/api/v2{path}")["data"]

    def all(self, path: str) -> list[dict]:
        """All items of a list, page by page."""
        items, page = [], 1
        while page:
            answer = self.ask("GET", f"/api/v2{path}{'&' if '?' in path else '?'}page[size]=100&page[number]={page}")
            items += answer["data"]
            page = answer["meta"]["pagination"]["next-page"]
        return items

    def post(self, path: str, body: dict | None = None, expect: int | tuple[int, ...] = 201) -> dict:
        return self.ask("POST", f"/api/v2{path}", body if body is not None else {}, expect).get("data") or {}

    def patch(self, path: str, body: dict) -> dict:
        return self.ask("PATCH", f"/api/v2{path}", body).get("data") or {}

    def delete(self, path: str, body: dict | None = None) -> None:
        self.ask("DELETE", f"/api/v2{path}", body, expect=204)

    # Resources

    def make_organization(self, name: str) -> dict:
        return self.post("/organizations", document("organizations", {"name": name, "email": "admin@example.com"}))

    def make_workspace(self, organization: str, name: str, **attributes) -> dict:
        """Attribute names with underscores stand for those with hyphens."""
        return self.post(f"/organizations/{organization}/workspaces",
                         document("workspaces", {"name": name, **hyphens(attributes)}))

    def workspace(self, organization: str, name: str) -> dict:
        return self.get(f"/organizations/{organization}/workspaces/{name}")

    def make_variable(self, workspace: str, key: str, value: str, category: str = "terraform", **attributes) -> dict:
        return self.post(f"/workspaces/{workspace}/vars", document("vars", {"key": key, "value": value,
                                                                           "category": category, **attributes}))

    def make_configuration(self, workspace: str, content: dict[str, str | bytes] | bytes, **attributes) -> str:
        """Uploads files, or an archive as it is; gives the id of the configuration version."""
        made = self.post(f"/workspaces/{workspace}/configuration-versions",
                         document("configuration-versions", {"auto-queue-runs": False, **hyphens(attributes)}))
        archive = content if isinstance(content, bytes) else tarball(content)
        answer = self.request("PUT", made["attributes"]["upload-url"], archive)
        if answer.status != 200:
            raise ApiError("the upload of the configuration", answer)
        wait_for(f"{made['id']} is uploaded",
                 lambda: self.get(f"/configuration-versions/{made['id']}")["attributes"]["status"] == "uploaded")
        return made["id"]

    def make_run(self, workspace: str, configuration: str | None = None, **attributes) -> dict:
        relations = {"workspace": ("workspaces", workspace)}
        if configuration:
            relations["configuration-version"] = ("configuration-versions", configuration)
        return self.post("/runs", document("runs", hyphens(attributes), relations))

    def run(self, run: str) -> dict:
        return self.get(f"/runs/{run}")

    def runs(self, workspace: str) -> list[dict]:
        """All of them, also those that only plan; newest first."""
        operations = "plan_and_apply,plan_only,save_plan,refresh_only,destroy,empty_apply"
        return self.all(f"/workspaces/{workspace}/runs?filter%5Boperation%5D={operations}")

    def run_status(self, run: str) -> str:
        return self.run(run)["attributes"]["status"]

    def act(self, run: str, action: str, expect: int = 202) -> None:
        """apply, discard, cancel, force-cancel."""
        self.post(f"/runs/{run}/actions/{action}", {}, expect)

    def wait_run(self, run: str, *statuses: str, seconds: float = 60) -> dict:
        """Waits until the run has one of `statuses` (or any final one, when none is named); gives the run.

        Fails at once when it ended in another one. While the system does not answer, it goes on waiting.
        """
        wanted = set(statuses) or FINAL

        def there() -> dict | None:
            try:
                answer = self.request("GET", f"/api/v2/runs/{run}")
            except (OSError, http.client.HTTPException):
                return None
            if answer.status in (500, 502, 503, 504):
                return None
            if answer.status != 200:
                raise ApiError(f"reading {run}", answer)
            found = answer.json["data"]
            status = found["attributes"]["status"]
            if status in wanted:
                return found
            if status in FINAL - {"planned_and_saved"}:
                raise AssertionError(f"{run} ended {status}, not {' or '.join(sorted(wanted))}: "
                                     f"{found['attributes'].get('error-message')}")
            return None
        return wait_for(f"{run} is {' or '.join(sorted(wanted))}", there, seconds)

    def phase(self, run: str, phase: str) -> dict:
        """The plan or apply of a run: phase is "plan" or "apply"."""
        return self.get(f"/runs/{run}/{phase}")

    def log(self, run: str, phase: str) -> bytes:
        """The log as it is now, markers included, read in one piece after the other as clients do."""
        url = self.phase(run, phase)["attributes"]["log-read-url"]
        whole = b""
        while True:
            answer = self.request("GET", f"{url}?limit=65536&offset={len(whole)}")
            if answer.status != 200:
                raise ApiError("reading a log", answer)
            if not answer.body:
                return whole
            whole += answer.body

    def whole_log(self, run: str, phase: str, seconds: float = 20) -> str:
        """The text of a phase's log once it has ended, without its markers."""
        def ended() -> bytes | None:
            log = self.log(run, phase)
            return log if log.endswith(b"\x03") else None
        return wait_for(f"the log of {run}'s {phase} has ended", ended, seconds)[1:-1].decode()

    # States

    def lock(self, workspace: str, reason: str = "a test") -> None:
        self.post(f"/workspaces/{workspace}/actions/lock", {"reason": reason}, expect=200)

    def unlock(self, workspace: str) -> None:
        self.post(f"/workspaces/{workspace}/actions/unlock", {}, expect=200)

    def make_state_version(self, workspace: str, state: bytes, serial: int, lineage: str, inline: bool = True,
                           **attributes) -> Answer:
        """Asks for a state version; the caller looks at the answer. The workspace must be locked."""
        given = {"serial": serial, "lineage": lineage, "md5": hashlib.md5(state).hexdigest(), **hyphens(attributes)}
        if inline:
            given["state"] = b64encode(state).decode()
        return self.request("POST", f"/api/v2/workspaces/{workspace}/state-versions", document("state-versions", given))

    def current_state(self, workspace: str) -> dict:
        """The current state version's resource."""
        return self.get(f"/workspaces/{workspace}/current-state-version")

    def state_bytes(self, workspace: str) -> bytes:
        """The current state exactly as it was uploaded."""
        url = self.current_state(workspace)["attributes"]["hosted-state-download-url"]
        answer = self.request("GET", url)
        if answer.status != 200:
            raise ApiError("downloading a state", answer)
        return answer.body

    def state(self, workspace: str) -> dict:
        return json.loads(self.state_bytes(workspace))


def hyphens(attributes: dict) -> dict:
    return {name.replace("_", "-"): value for name, value in attributes.items()}
