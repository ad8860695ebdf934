"""What is large, and what breaks off while it is sent."""

import hashlib
import json
import os
import uuid

from configurations import ONE
from system import Case

MEGABYTE = 1024 * 1024


def attributes_in(state: str | bytes) -> dict[str, dict]:
    """By resource name; the CLI sorts resources."""
    return {item["name"]: item["instances"][0]["attributes"] for item in json.loads(state)["resources"]}


class Large(Case):
    alone = True  # these need the disk and the processor for themselves

    def test_configuration_of_60_megabytes(self):
        cli = self.cli(ONE)
        (cli.directory / "data").mkdir()
        for part in range(6):
            (cli.directory / "data" / f"part{part}.bin").write_bytes(os.urandom(10 * MEGABYTE))
        expected = hashlib.sha256((cli.directory / "data" / "part3.bin").read_bytes()).hexdigest()
        cli.write("sum.tf", 'output "sum" {\n  value = filesha256("${path.module}/data/part3.bin")\n}\n')
        shown = cli.run("apply", "-input=false", "-auto-approve", seconds=240).output
        self.assertIn("1 added", shown)
        self.assertEqual(cli.run("output", "-raw", "sum").output, expected)

    def state(self, lineage: str, serial: int) -> bytes:
        """A state of 50 MB with many resources, as the CLI writes them."""
        payload = "x" * 50_000
        resources = [{"mode": "managed", "type": "terraform_data", "name": f"r{number}",
                      "provider": 'provider["terraform.io/builtin/terraform"]',
                      "instances": [{"schema_version": 0, "attributes": {
                          "id": str(uuid.uuid4()), "input": {"value": payload, "type": "string"},
                          "output": {"value": payload, "type": "string"}, "triggers_replace": None},
                          "sensitive_attributes": []}]}
                     for number in range(525)]
        return json.dumps({"version": 4, "terraform_version": "1.12.6", "serial": serial, "lineage": lineage,
                           "outputs": {"late": {"value": "at the end", "type": "string"}}, "resources": resources,
                           "check_results": None}).encode()

    def test_state_of_50_megabytes(self):
        self.workspace(execution_mode="local", terraform_version="1.12.6")
        cli = self.cli(ONE)
        state = self.state(str(uuid.uuid4()), 1)
        self.assertGreater(len(state), 50 * MEGABYTE)
        (cli.directory / "large.tfstate").write_bytes(state)
        cli.run("state", "push", "large.tfstate", seconds=240)
        pulled = cli.run("state", "pull", seconds=240).output
        self.assertTrue(attributes_in(pulled) == attributes_in(state))  # without a diff of 50 MB
        self.assertEqual(cli.run("output", "-raw", "late", seconds=240).output, "at the end")
        self.assertEqual(len(cli.run("state", "list", seconds=240).output.split()), 525)

    def test_upload_of_a_state_that_breaks_off_changes_nothing(self):
        workspace = self.workspace(execution_mode="local")
        lineage = str(uuid.uuid4())
        self.api.lock(workspace)
        first = self.state(lineage, 1)[:-1] + b"\n}"
        self.assertEqual(self.upload(workspace, first, lineage, 1), 200)
        second = self.state(lineage, 2)
        made = self.api.make_state_version(workspace, second, 2, lineage, inline=False)
        url = made.json["data"]["attributes"]["hosted-state-upload-url"]
        path = url.split(self.site.hostname, 1)[1]
        with self.api.socket() as raw:
            raw.sendall(f"PUT {path} HTTP/1.1\r\nHost: {self.site.hostname}\r\nContent-Length: {len(second)}\r\n\r\n"
                        .encode() + second[:len(second) // 2])
        self.assertEqual(hashlib.md5(self.api.state_bytes(workspace)).digest(), hashlib.md5(first).digest())
        # The same URL takes the whole of it afterwards.
        self.assertEqual(self.api.request("PUT", url, second).status, 200)
        self.assertEqual(hashlib.md5(self.api.state_bytes(workspace)).digest(), hashlib.md5(second).digest())
        self.api.unlock(workspace)

    def upload(self, workspace: str, state: bytes, lineage: str, serial: int) -> int:
        made = self.api.make_state_version(workspace, state, serial, lineage, inline=False)
        return self.api.request("PUT", made.json["data"]["attributes"]["hosted-state-upload-url"], state).status
