"""A run sees only its own: each attack first succeeds outside a sandbox, then is refused inside."""

import grp
import json
import secrets
import tempfile
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

import networks
from common.cli import Cli
from common.wait import wait_for
from world import (HERE, NOBODY, ORGANIZATION, Case, Once, as_account, as_user, attack_outside, parse_attacks,
                   processes_with, world)

VICTIM = '''variable "marker" {}
resource "terraform_data" "victim" {
  provisioner "local-exec" {
    command = "exec /usr/bin/python3 hog.py victim $MARKER"
    environment = { MARKER = var.marker }
  }
}
'''
ATTACKER = '''resource "terraform_data" "attacker" {
  provisioner "local-exec" {
    command = "exec /usr/bin/python3 attack.py attacks.json"
  }
}
'''
GET = b64encode(b"GET / HTTP/1.0\r\nHost: stand-in\r\n\r\n").decode()
AMQP_HELLO = b64encode(b"AMQP\x00\x00\x09\x01").decode()
POSTGRES_HELLO = b64encode((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")).decode()


@dataclass
class Attack:
    """One attack; `control` are the arguments that differ outside, `user` runs it there (nobody by default)."""
    name: str
    probe: str
    arguments: dict
    control: dict = field(default_factory=dict)
    user: list | None = None

    def inside(self) -> dict:
        return {"name": self.name, "probe": self.probe, "arguments": self.arguments}

    def outside(self) -> dict:
        return {"name": self.name, "probe": self.probe, "arguments": {**self.arguments, **self.control}}


class Siege:
    """A victim's run that holds a secret, attacks on it and on everything else, outside and inside."""

    def __init__(self) -> None:
        self.api, self.site, self.data = world.site.api(), world.site, world.site.data
        self.marker = f"secret-{secrets.token_hex(16)}"
        self.allowed = self._allowed()
        self.victim_run = self._start_victim()
        try:
            self.parts = {"files": self._files(), "other runs": self._other_runs(), "stores": self._stores(),
                          "network": self._network(), "privileges": self._privileges()}
            attacks = [attack for part in self.parts.values() for attack in part]
            self.outside = self._attack_outside(attacks)
            self.inside = self._attack_inside([attack.inside() for attack in attacks] + self.allowed)
        finally:
            self.api.act(self.victim_run, "cancel")
        self.api.wait_run(self.victim_run, "canceled")

    def _start_victim(self) -> str:
        workspace = self.api.make_workspace(ORGANIZATION, f"victim-{secrets.token_hex(4)}")["id"]
        self.api.make_variable(workspace, "marker", self.marker, sensitive=True)
        hog = (HERE / "hog.py").read_text()
        configuration = self.api.make_configuration(workspace, {"main.tf": VICTIM, "hog.py": hog})
        run = self.api.make_run(workspace, configuration, auto_apply=True)["id"]
        self.api.wait_run(run, "applying")
        wait_for("the victim holds its secret", lambda: b"holds" in self.api.log(run, "apply"), 60)
        return run

    def _attack_outside(self, attacks: list[Attack]) -> dict[str, dict]:
        by_user: dict[tuple, list[dict]] = {}
        for attack in attacks:
            user = attack.user or as_user(NOBODY, NOBODY, [], [])
            by_user.setdefault(tuple(user), []).append(attack.outside())
        found = {}
        for user, orders in by_user.items():
            found.update(attack_outside(orders, list(user)))
        return found

    def _attack_inside(self, orders: list[dict]) -> dict[str, dict]:
        with Cli(self.site, ORGANIZATION, f"attacker-{secrets.token_hex(4)}", ATTACKER) as cli:
            cli.write("attack.py", (HERE / "attack.py").read_text())
            cli.write("attacks.json", json.dumps(orders))
            cli.init()
            return parse_attacks(cli.apply().output)

    def _files(self) -> list[Attack]:
        data = self.data
        shadow = as_user(NOBODY, NOBODY, [grp.getgrnam("shadow").gr_gid], [])
        worker, core = as_account("terrane-worker", []), as_account("terrane", [])
        own = Path(tempfile.mkdtemp(prefix="stand-in-", dir=world.public))
        own.chmod(0o777)
        program = own / "program"
        program.touch()
        program.chmod(0o666)
        return [
            Attack("passwords of the host", "read", {"path": "/etc/shadow", "marker": "root:"}, user=shadow),
            Attack("users of the host", "read", {"path": "/etc/passwd", "marker": "root:"}),
            Attack("name of the host", "read", {"path": "/etc/hostname", "marker": ""}),
            Attack("public part of the data directory", "read",
                   {"path": f"{data}/status.json", "marker": "postgres"}),
            Attack("configuration of the worker", "read",
                   {"path": f"{data}/etc/worker-1.json", "marker": "amqp_password"}, user=worker),
            Attack("configuration of web", "read", {"path": f"{data}/etc/web.json", "marker": "vault_token"},
                   user=core),
            Attack("key of the server's certificate", "read",
                   {"path": f"{data}/tls/server.key", "marker": "PRIVATE KEY"}, user=core),
            Attack("key of the node's certificate", "read",
                   {"path": f"{data}/tls/worker-1.key", "marker": "PRIVATE KEY"}, user=worker),
            Attack("files of PostgreSQL", "read", {"path": f"{data}/postgres/data/PG_VERSION", "marker": "15"},
                   user=as_account("terrane-store", [])),
            Attack("cookie of RabbitMQ", "read", {"path": f"{data}/rabbitmq/.erlang.cookie", "marker": ""},
                   user=as_account("terrane-store", [])),
            Attack("key material of vault", "search", {"roots": [f"{data}/vault-keys"], "marker_hex": ""},
                   user=as_account("terrane-vault", [])),
            Attack("blobs", "search", {"roots": [f"{data}/blobs"], "marker_hex": ""}, user=core),
            Attack("spools", "search", {"roots": [f"{data}/spool"], "marker_hex": self.victim_run.encode().hex()},
                   user=worker),
            Attack("change the system", "write", {"path": "/usr/bin"}, {"path": str(own)}),
            Attack("change the configuration of the system", "write", {"path": "/etc"}, {"path": str(own)}),
            Attack("change the engine for all", "write", {"path": "/run/terrane/engine"}, {"path": str(own)}),
            Attack("change the providers for all", "write", {"path": "/run/terrane/providers"}, {"path": str(own)}),
            Attack("change the platform's program", "write", {"path": "/run/terrane/bin/terrane"},
                   {"path": str(program)}),
        ]

    def _other_runs(self) -> list[Attack]:
        directory = self.data / "sandbox" / "runs" / self.victim_run
        uid = directory.stat().st_uid
        worker_group = grp.getgrnam("terrane-worker").gr_gid
        victim = as_user(uid, uid, [worker_group], [])
        marker = self.marker.encode().hex()
        pid = processes_with(self.marker, uid)[0]
        places = ["/run", "/tmp", "/var", "/home", "/root", "/srv", "/opt", "/mnt", "/dev/shm", str(directory)]
        inside = "run/terrane/work/secret.txt"
        return [
            Attack("files of another run", "search", {"roots": places, "marker_hex": marker},
                   {"roots": [str(directory)]}, victim),
            Attack("arguments of another run", "processes", {"marker_hex": marker, "parts": ["cmdline"]}, user=victim),
            Attack("environment of another run", "processes", {"marker_hex": marker, "parts": ["environ"]},
                   user=victim),
            Attack("another run's files by its processes", "processes",
                   {"marker_hex": marker, "parts": [f"root/{inside}", "cwd/secret.txt"]}, user=victim),
            Attack("processes of others", "foreign_process", {}),
            Attack("signal another run", "signal_foreign", {"pid": pid, "name": self.marker[:12]}, user=victim),
        ]

    def _stores(self) -> list[Attack]:
        data, made = self.data, json.loads((self.data / "generated.json").read_text())
        core = as_account("terrane:terrane", [])
        attacks = [
            Attack("PostgreSQL's socket", "connect_unix",
                   {"path": f"{data}/postgres/sock/.s.PGSQL.{made['postgres_port']}"}),
            Attack("Redis' socket", "connect_unix", {"path": f"{data}/redis/redis.sock"}, user=core),
            Attack("vault's socket", "connect_unix", {"path": f"{data}/sock/vault/vault.sock"}, user=core),
            Attack("archivist's socket", "connect_unix", {"path": f"{data}/sock/archivist.sock"}, user=core),
            Attack("the broker's socket", "connect_unix", {"path": f"{data}/sock/broker/broker.sock", "packets": True},
                   user=as_account("terrane-worker", [])),
            Attack("a socket without a file", "connect_unix", {"path": networks.ABSTRACT}),
        ]
        ports = {"PostgreSQL": (made["postgres_port"], {"send": POSTGRES_HELLO, "expect": "N"}),
                 "RabbitMQ": (made["amqp_port"], {"send": AMQP_HELLO, "expect": "RabbitMQ"}),
                 "epmd": (made["epmd_port"], {}), "RabbitMQ's own": (made["dist_port"], {}),
                 "the job API": (made["job_port"], {"tls": True}),
                 "another service": (networks.PORT, {"send": GET, "expect": "stand-in"})}
        for service, (port, rest) in ports.items():
            for host in ("127.0.0.1", "10.0.2.2"):
                attacks.append(Attack(f"{service} on the host's loopback by {host}", "connect",
                                      {"host": host, "port": port, **rest}, {"host": "127.0.0.1"}))
        attacks.append(Attack("web past the relay", "connect",
                              {"host": "10.0.2.2", "port": self.site.port, "tls": True}, {"host": "127.0.0.1"}))
        return attacks

    def _network(self) -> list[Attack]:
        http = {"send": GET, "expect": "stand-in"}
        return [
            Attack("the metadata address", "connect", {"host": networks.METADATA, "port": 80, **http}),
            Attack("the metadata address, mapped", "connect",
                   {"host": f"::ffff:{networks.METADATA}", "port": 80, **http}),
            Attack("a private address", "connect", {"host": networks.PRIVATE_HOST, "port": networks.PORT, **http}),
            Attack("the host's own address", "connect", {"host": networks.OWN_ADDRESS, "port": networks.PORT, **http}),
        ]

    def _privileges(self) -> list[Attack]:
        return [Attack("another process' memory", "attach", {}),
                Attack("a user namespace", "own_user_namespace", {}),
                Attack("mounts", "mount_something", {}),
                Attack("the kernel's keyring", "kernel_key", {}),
                Attack("the hypervisor's sockets", "host_socket_family", {}),
                Attack("privileges", "gain_privileges", {})]

    def _allowed(self) -> list[dict]:
        """What a run may: without it, walls would prove nothing."""
        return [{"name": "allowed: another host", "probe": "connect",
                 "arguments": {"host": networks.OTHER_HOST, "port": networks.PORT, "send": GET, "expect": "stand-in"}},
                {"name": "allowed: the platform", "probe": "connect",
                 "arguments": {"host": "localhost", "port": self.site.port, "tls": True}},
                {"name": "allowed: own files", "probe": "search",
                 "arguments": {"roots": ["/run/terrane/work"], "marker_hex": b"ATTACK {".hex()}},
                {"name": "allowed: own processes", "probe": "processes",
                 "arguments": {"marker_hex": b"tofu".hex(), "parts": ["cmdline"]}},
                {"name": "allowed: own scratch files", "probe": "write", "arguments": {"path": "/tmp"}}]


siege = Once(Siege)


class Containment(Case):
    """Each attack succeeds outside as the user named there, and nothing of it inside."""

    def check(self, part: str) -> None:
        held = siege.get()
        names = [attack.name for attack in held.parts[part]]
        for name in names:
            with self.subTest(name):
                self.assertIn(name, held.outside)
                self.assertIs(held.outside[name].get("reached"), True, f"the control: {held.outside[name]}")
                self.assertIn(name, held.inside)
                self.assertIs(held.inside[name].get("reached"), False, held.inside[name])

    def test_files_of_the_host_are_out_of_reach(self):
        self.check("files")

    def test_other_runs_are_out_of_reach(self):
        self.check("other runs")

    def test_stores_and_internal_listeners_are_out_of_reach(self):
        self.check("stores")

    def test_addresses_that_are_restricted_are_out_of_reach(self):
        self.check("network")

    def test_privileges_cannot_be_gained(self):
        self.check("privileges")

    def test_a_run_has_what_it_needs(self):
        held = siege.get()
        for order in held.allowed:
            with self.subTest(order["name"]):
                self.assertIs(held.inside[order["name"]].get("reached"), True, held.inside[order["name"]])
