"""`x install`: what a fresh Debian 12 machine lacks, and nothing twice."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import golang
from progress import Failure, run_quietly, step

PACKAGES = """
    bubblewrap ca-certificates ccache clang-19 clang-format-19 clang-tidy-19 cmake curl faketime git iproute2
    libacl1-dev libarchive-dev libargon2-dev libbenchmark-dev libboost-json1.81-dev libboost-url1.81-dev libboost1.81-dev
    libcap-ng-dev libclang-rt-19-dev libcli11-dev libcurl4-openssl-dev libgmock-dev libgtest-dev libhiredis-dev
    libpq-dev librabbitmq-dev libseccomp-dev libspdlog-dev libssl-dev libzstd-dev lld-19 llvm-19 ninja-build
    openssl pkg-config postgresql-15 procps rabbitmq-server redis-server slirp4netns
""".split()

# Terrane starts these servers itself; what Debian would start is in the way.
SERVICES = {
    "postgresql-15": ["postgresql.service"],
    "redis-server": ["redis-server.service"],
    "rabbitmq-server": ["rabbitmq-server.service", "epmd.socket", "epmd.service"],
}

POLICY = Path("/usr/sbin/policy-rc.d")


def missing(packages: list[str]) -> list[str]:
    """Those of the packages that are not installed."""
    if shutil.which("dpkg-query") is None:
        raise Failure("this is not a Debian system; install the packages named in tools/x/install.py yourself")
    listed = subprocess.run(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    return [package for package in packages if package not in installed]


def as_root(command: list) -> list:
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo") is None:
        raise Failure(f"needs root or sudo for: {' '.join(command)}")
    return ["sudo", *command]


@contextlib.contextmanager
def no_service_starts():
    """While packages are configured, no service of theirs is started. A policy of the machine's own stays."""
    if POLICY.exists():
        yield
        return
    with tempfile.NamedTemporaryFile("w") as policy:
        policy.write("#!/bin/sh\nexit 101\n")
        policy.flush()
        run_quietly(as_root(["install", "-m", "0755", policy.name, str(POLICY)]))
    try:
        yield
    finally:
        run_quietly(as_root(["rm", "-f", str(POLICY)]))


def install_packages(packages: list[str]) -> None:
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]
    run_quietly(as_root([*apt, "update"]))
    with no_service_starts():
        run_quietly(as_root([*apt, "install", "-y", "--no-install-recommends", *packages]))
    # Not at the next boot either. Servers that were installed before are their owner's business.
    units = [unit for package in packages for unit in SERVICES.get(package, [])]
    if units and Path("/run/systemd/system").exists():
        for unit in units:
            subprocess.run(as_root(["systemctl", "disable", unit]), stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)


def install() -> None:
    lacking = missing(PACKAGES)
    with step(f"packages ({len(lacking)} of {len(PACKAGES)} to install)" if lacking else "packages"):
        if lacking:
            install_packages(lacking)
    if golang.find() is None:
        with step(f"go {golang.required()}"):
            if not golang.any_go():
                install_packages(["golang-go"])
            golang.obtain()
