"""Progress on stderr: one line per step with its seconds. stdout belongs to results."""

import contextlib
import fcntl
import subprocess
import sys
import time
from pathlib import Path


class Failure(Exception):
    """Ends the verb: the message is for the user, there is no traceback."""


def say(text: str) -> None:
    print(f"x: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(name: str):
    """Prints `x: name ... 1.2 s`; the name appears at the start, so that one sees what is waited for."""
    print(f"x: {name} ... ", end="", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"failed after {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        raise
    print(f"{time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def run_quietly(command: list, **arguments) -> str:
    """Runs a command without showing its output, and returns it; a failure carries the output's end."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **arguments)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-100:])
        words = " ".join(str(word) for word in command)
        raise Failure(f"`{words}` ended with status {done.returncode}:\n{tail}")
    return done.stdout


@contextlib.contextmanager
def lock(path: Path, what: str):
    """Only one process at a time may be in here; others wait, and say so."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process to finish with {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old content or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.rename(path)
