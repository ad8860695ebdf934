"""The installation that the pages' commands are tried on, and the shell variables that their reader has at hand."""

import json
import os
import subprocess

from common.installation import Installation

site: Installation
variables: dict[str, str] = {}


def start() -> None:
    global site
    site = Installation()
    site.start()
    workspace = site.api().get("/organizations/demo/workspaces/hello")
    variables.update({
        "DATA": str(site.data), "ADDRESS": f"https://{site.hostname}", "PORT": str(site.port),
        "RUN": workspace["relationships"]["current-run"]["data"]["id"], "PATH": f"{site.data}/bin:{os.environ['PATH']}",
    })
    variables["NODE"] = sh('terrane node list --data "$DATA"').splitlines()[1].split()[0]


def stop(failed: bool) -> None:
    site.destroy(keep=failed)


def sh(command: str, **more: str) -> str:
    """Runs a command line as its reader would; gives what it printed."""
    done = subprocess.run(["bash", "-c", command], env={**site.environment(), **variables, **more}, capture_output=True,
                          text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"{command}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def sql(text: str) -> None:
    """Changes the database behind the installation's back."""
    port = json.loads((site.data / "generated.json").read_text())["postgres_port"]
    subprocess.run(["psql", "-qX", "-h", str(site.data / "postgres" / "sock"), "-p", str(port), "-U", "admin", "-d", "terrane",
                    "-v", "ON_ERROR_STOP=1", "-c", text], check=True, timeout=60)
