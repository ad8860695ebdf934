#!/usr/bin/env python3
"""What takes more than its share, always a bounded amount: so it succeeds where nothing limits it.

`hog.py WHAT ...` ends with status 0 when it got everything.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PYTHON = "/usr/bin/python3"


def memory(mebibytes: str) -> None:
    """Takes memory and touches every page."""
    taken = bytearray()
    for _ in range(int(mebibytes)):
        taken += os.urandom(4096) * 256
    print(f"took {len(taken) >> 20} MiB", flush=True)


def processes(count: str) -> None:
    """A fork bomb with an end: as many processes as that, all alive at once."""
    children = []
    try:
        for _ in range(int(count)):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
        print(f"started {len(children)} processes", flush=True)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def disk(directory: str, mebibytes: str) -> None:
    """Fills a directory and leaves it full."""
    with open(Path(directory) / "hog", "wb") as file:
        for _ in range(int(mebibytes)):
            file.write(b"x" * (1 << 20))
    print(f"wrote {mebibytes} MiB", flush=True)


def files(directory: str, count: str) -> None:
    """Makes many empty files."""
    base = Path(directory) / "hogs"
    base.mkdir()
    for number in range(int(count)):
        (base / str(number)).touch()
    print(f"made {count} files", flush=True)


def log(mebibytes: str) -> None:
    """Says more than anybody wants to hear, with the marks that end a log among it."""
    line = b"\x02\x03" + b"x" * 1021 + b"\n"
    for _ in range(int(mebibytes)):
        sys.stdout.buffer.write(line * 1024)
    sys.stdout.buffer.flush()


def spin(seconds: str) -> None:
    """Computes with two processes at once and says how much of a processor both got, in percent."""
    end = time.monotonic() + float(seconds)
    began = time.monotonic()
    child = os.fork()
    while time.monotonic() < end:
        pass
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    times = os.times()
    used = times.user + times.system + times.children_user + times.children_system
    print(f"used {100 * used / (time.monotonic() - began):.0f} %", flush=True)


def stubborn() -> None:
    """Stops the process that started this one, which then obeys nobody."""
    os.kill(os.getppid(), signal.SIGSTOP)
    print("stopped its parent", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(600)


def endless() -> None:
    """Takes for ever, but listens."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    print("takes for ever", flush=True)
    time.sleep(600)


def kill_all() -> None:
    """Kills every process that this one may."""
    print("kills all", flush=True)
    os.kill(-1, signal.SIGKILL)


def daemon(name: str) -> None:
    """Leaves a process behind that nobody is to notice."""
    subprocess.Popen([PYTHON, "-c", "import time; time.sleep(600)", name], start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("left a process", flush=True)


def victim(marker: str) -> None:
    """Somebody's run with a secret in its files, its arguments and its environment."""
    for place in (".", "/tmp", os.environ["HOME"]):
        (Path(place) / "secret.txt").write_text(marker)
    os.environ["SECRET"] = marker
    hold = "import signal; print('holds', flush=True); signal.pause()"
    os.execv(PYTHON, [PYTHON, "-c", hold, marker])


WHAT = {what.__name__: what for what in (
    memory, processes, disk, files, log, spin, stubborn, endless, kill_all, daemon, victim)}

if __name__ == "__main__":
    WHAT[sys.argv[1]](*sys.argv[2:])
