"""The verbs of ./x. Results go to stdout, progress to stderr."""

import argparse
import os
import sys

sys.dont_write_bytecode = True

import bench
import build
import check
import conformance
import demo
import install
import paths
import suites
from progress import Failure
from store import Store

if sys.version_info < (3, 11):
    sys.exit("x: needs Python 3.11 or newer, as Debian 12 has it")


def engine(_) -> int:
    Store(paths.cache()).install(paths.ENGINE)
    print(paths.cache())
    return 0


def run_install(_) -> int:
    install.install()
    return 0


def run_build(options) -> int:
    build.build(options.preset)
    return 0


def run_format(options) -> int:
    check.format_sources(options.check)
    return 0


def run_check(options) -> int:
    if options.part is None:
        check.list_parts()
        return 0
    return check.check(options.part)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="./x", description="Everything one does in this repository.",
                                  epilog="`./x VERB --help` explains a verb. What is fetched or built once per "
                                         "machine lies in $TERRANE_CACHE, by default /var/cache/terrane for root "
                                         "and ~/.cache/terrane for others.")
    verbs = top.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, help: str, run) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(run=run)
        return added

    text = "build Terrane, start it in the background and perform a run on it"
    demo.add_flags(verb("demo", text, lambda options: demo.demo(options, "release")))
    text = "the same from a debug build"
    demo.add_flags(verb("dev", text, lambda options: demo.demo(options, "debug")))
    added = verb("build", "build one preset into build/PRESET", run_build)
    added.add_argument("--preset", choices=build.PRESETS, default="debug")
    added = verb("test", "run all tests, or the named suites", lambda options: suites.test(options.suites))
    added.add_argument("suites", nargs="*", metavar="SUITE", help="`unit`, or a folder of tests/")
    added = verb("check", "run one of the long checks, or list them with their results for this tree", run_check)
    added.add_argument("part", nargs="?", choices=list(check.PARTS), metavar="PART", help=", ".join(check.PARTS))
    text = "run the official client's own tests against this build, or against the demo that TFE_ADDRESS names"
    added = verb("conformance", text, lambda options: conformance.conformance(options.rest))
    added.set_defaults(passes_on=True)
    added.epilog = "Takes -run RE, --file NAME, --tier T1 and all else that tests/conformance/run --help names."
    added = verb("format", "format the C++ sources", run_format)
    added.add_argument("--check", action="store_true", help="change nothing, fail if something is not formatted")
    if bench.offered():
        added = verb("bench", "run the benchmarks, or the named ones", lambda options: bench.bench(options.names))
        added.add_argument("names", nargs="*", metavar="NAME")
    verb("install", "install what this machine lacks (as root or with sudo)", run_install)
    verb("engine", "build engine and providers into the store, and print its path", engine)
    verb("help", "list the verbs", lambda _: top.print_help() or 0)
    return top


def main() -> int:
    os.umask(0o022)
    top = parser()
    options, options.rest = top.parse_known_args(sys.argv[1:] or ["help"])
    if options.rest and not getattr(options, "passes_on", False):
        top.error(f"unrecognized arguments: {' '.join(options.rest)}")
    try:
        return options.run(options)
    except Failure as failure:
        print(f"x: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
