"""Networks for attacks: everything of the suite runs in a network namespace that leads to stand-ins and nowhere else.

The suite's own namespace plays the host of the installation. A second one plays the world outside: another host
with a public, a private and the metadata address. Neither has a way to the machine's real network, so no attack can
reach a real address, contained or not. Its mounts are its own as well: nothing is left of them, whatever happens.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARK = "TERRANE_TEST_NETWORK"

OWN_ADDRESS = "198.18.0.1"  # of the host of the installation; a range for benchmarks that is routed nowhere
OTHER_HOST = "198.18.0.2"
PRIVATE_HOST = "10.77.0.2"
METADATA = "169.254.169.254"
PORT = 8080  # of all stand-ins but the metadata service
ABSTRACT = "@terrane-stand-in"


def enter() -> None:
    """Starts this program again in namespaces of its own, network and mounts, unless it is there already."""
    if os.environ.get(MARK):
        return
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


class Networks:
    """The world around the installation's host. Ends with stop(), and with this process."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen] = []

    def start(self) -> None:
        # cat holds the namespace until its standard input ends, which it does with this process.
        outside = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self._children.append(outside)
        outside.stdout.readline()
        there = ["nsenter", f"--net=/proc/{outside.pid}/ns/net"]

        def configure(*commands: str, inside: list[str] | None = None) -> None:
            for command in commands:
                subprocess.run([*(inside or []), "ip", *command.split()], check=True)

        configure("link set lo up", f"link add sec0 type veth peer name sec1 netns {outside.pid}",
                  f"addr add {OWN_ADDRESS}/24 dev sec0", "link set sec0 up")
        configure("link set lo up", f"addr add {OTHER_HOST}/24 dev sec1", f"addr add {PRIVATE_HOST}/32 dev sec1",
                  f"addr add {METADATA}/32 dev sec1", "link set sec1 up", inside=there)
        configure(f"route add {PRIVATE_HOST}/32 via {OTHER_HOST}", f"route add {METADATA}/32 via {OTHER_HOST}")
        self._stand_in(f"{OTHER_HOST}:{PORT}", f"{PRIVATE_HOST}:{PORT}", f"{METADATA}:80", inside=there)
        self._stand_in(f"{OWN_ADDRESS}:{PORT}", f"127.0.0.1:{PORT}", ABSTRACT)

    def _stand_in(self, *places: str, inside: list[str] | None = None) -> None:
        child = subprocess.Popen([*(inside or []), sys.executable, str(HERE / "standin.py"), *places],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._children.append(child)
        if child.stdout.readline() != b"listening\n":
            raise RuntimeError(f"no stand-in at {', '.join(places)}")

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stdin.close()
            child.wait(timeout=10)
            child.stdout.close()
