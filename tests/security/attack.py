#!/usr/bin/env python3
"""What a hostile configuration tries. The same program runs outside a sandbox as the control and inside it.

`attack.py FILE` reads a JSON list of attacks `{"name", "probe", "arguments"}` and prints for each a line
`ATTACK {"name", "reached", "detail"}`: reached says whether the attack got what it wanted. Every attack runs in
a process of its own and is given up after a few seconds, so that no one stops the others.
"""

import base64
import ctypes
import errno
import json
import os
import signal
import socket
import ssl
import stat
import sys
import time
import urllib.request
from pathlib import Path

SECONDS = 8
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
ADD_KEY = 248  # x86_64
CLI_CONFIG = "/run/terrane/cli.tfrc"


class Refused(Exception):
    """The attack did not get what it wanted."""


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# ---- files


def read(path: str, marker: str) -> str:
    content = Path(path).read_bytes()
    if marker.encode() not in content:
        raise Refused(f"{len(content)} bytes without what was sought")
    return f"{len(content)} bytes"


def write(path: str) -> str:
    """Makes a file in a directory, or changes a file's end."""
    if Path(path).is_dir():
        victim = Path(path) / f"attack-{os.getpid()}"
        victim.write_text("was here")
        victim.unlink()
    else:
        with open(path, "ab") as file:
            file.write(b"was here")
    return "written"


def search(roots: list, marker_hex: str) -> str:
    """Looks through whole trees for a marker; it is given in hex so that the order itself is not found."""
    sought, files, denied = bytes.fromhex(marker_hex), 0, 0
    for root in roots:
        for directory, _, names in os.walk(root, onerror=lambda _: None):
            for name in names:
                path = os.path.join(directory, name)
                try:
                    if not stat.S_ISREG(os.lstat(path).st_mode):
                        continue
                    files += 1
                    with open(path, "rb") as file:
                        if sought in file.read(1 << 22):
                            return path
                except OSError:
                    denied += 1
    raise Refused(f"not in {files} files, {denied} denied")


def processes(marker_hex: str, parts: list) -> str:
    """Looks for a marker in parts of /proc of every process that is seen, besides the own family."""
    own, sought, seen = {os.getpid(), os.getppid()}, bytes.fromhex(marker_hex), 0
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid in own:
            continue
        seen += 1
        for part in parts:
            try:
                with open(f"/proc/{pid}/{part}", "rb") as file:
                    if sought in file.read(1 << 20):
                        return f"/proc/{pid}/{part}"
            except OSError:
                continue
    raise Refused(f"not in {seen} processes")


def foreign_process() -> str:
    """Sees a process that another user started."""
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            uid = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
        if uid != os.getuid():
            return f"process {pid} of uid {uid}"
    raise Refused("only own processes")


# ---- privileges


def attach() -> str:
    """Debugs another process of the same user, as one would to read the engine's memory."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        checked(LIBC.ptrace(PTRACE_ATTACH, child, None, None))
        os.waitpid(child, 0)
        LIBC.ptrace(PTRACE_DETACH, child, None, None)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return "attached"


def own_user_namespace() -> str:
    checked(LIBC.unshare(CLONE_NEWUSER))
    return "a user namespace of its own"


def mount_something() -> str:
    """Mounts with the privileges of an own user namespace."""
    checked(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    return "mounted"


def kernel_key() -> str:
    """Leaves something in the kernel's keyring, which users share across sandboxes."""
    checked(LIBC.syscall(ADD_KEY, b"user", b"attack", b"payload", 7, -3))
    return "key added"


def host_socket_family() -> str:
    """vsock reaches the hypervisor whatever the network namespace."""
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "vsock"


def gain_privileges() -> str:
    """Whether a set-user-id program would gain privileges, and whether any are held or can be."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = {name: status[name] for name in ("CapPrm", "CapBnd", "NoNewPrivs")}
    if int(held["CapPrm"], 16) == 0 and int(held["CapBnd"], 16) == 0 and held["NoNewPrivs"] == "1":
        raise Refused(str(held))
    return str(held)


def signal_foreign(pid: int, name: str) -> str:
    os.kill(pid, 0)
    if name.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
        raise Refused("that is another process")
    return "may be signalled"


# ---- network


def connect(host: str, port: int, send: str = "", expect: str = "", tls: bool = False) -> str:
    """Reaches a service: a connection and, when something is expected, that answer."""
    with socket.create_connection((host, port), timeout=SECONDS - 3) as plain:
        channel = plain
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            channel = context.wrap_socket(plain)
        if send:
            channel.sendall(base64.b64decode(send))
        if not expect:
            return "connected"
        answer = channel.recv(4096)
    if expect.encode() not in answer:
        raise Refused(f"answered {answer[:60]!r}")
    return repr(answer[:60])


def connect_unix(path: str, packets: bool = False) -> str:
    """A path that begins with @ names a socket without a file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM) as channel:
        channel.settimeout(SECONDS - 3)
        channel.connect("\0" + path[1:] if path.startswith("@") else path)
    return "connected"


# ---- the platform's own API, with a token


def api(url: str, method: str, path: str, token: str = "", body: dict | None = None, expect: str = "") -> str:
    """A request with a given token or the run's own; reached when it succeeds (and shows `expect`)."""
    token = token or Path(CLI_CONFIG).read_text().split('token = "')[1].split('"')[0]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url + path, method=method, headers={
        "Authorization": f"Bearer {token}", "Content-Type": "application/vnd.api+json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=SECONDS - 2, context=context) as answer:
            shown = answer.read(1 << 20)
    except urllib.error.HTTPError as refusal:
        raise Refused(f"{refusal.code} {refusal.read(200)!r}") from None
    if expect.encode() not in shown:
        raise Refused(f"{answer.status} without what was sought")
    return f"{answer.status} {shown[:120]!r}"


PROBES = {probe.__name__: probe for probe in (
    read, write, search, processes, foreign_process, attach, own_user_namespace, mount_something, kernel_key,
    host_socket_family, gain_privileges, signal_foreign, connect, connect_unix, api)}


def attempt(attack: dict) -> dict:
    try:
        return {"reached": True, "detail": PROBES[attack["probe"]](**attack["arguments"])[:600]}
    except (Refused, OSError) as refusal:
        number = f"{errno.errorcode.get(refusal.errno, '')} " if getattr(refusal, "errno", None) else ""
        return {"reached": False, "detail": f"{number}{refusal}"[:600]}
    except Exception as mistake:  # a mistake of ours must not look like a wall
        return {"mistake": f"{type(mistake).__name__}: {mistake}"[:600]}


def in_own_process(attack: dict) -> dict:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.write(writing, json.dumps(attempt(attack)).encode())
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.005)
    result = os.read(reading, 4096)
    os.close(reading)
    return json.loads(result) if result else {"reached": False, "detail": f"nothing within {SECONDS} s"}


def main() -> None:
    for attack in json.loads(Path(sys.argv[1]).read_text()):
        print("ATTACK " + json.dumps({"name": attack["name"], **in_own_process(attack)}), flush=True)


if __name__ == "__main__":
    main()
