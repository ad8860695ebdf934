#!/usr/bin/env python3
"""Turns a file of named SQL statements into a C++ header of constants.

A statement begins with a line `-- name: the_name` and ends at the next such line. The name is the constant, the prepared
statement's name and the key in logs and metrics, so it is unique in the whole program.
"""
import pathlib
import re
import sys

NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$")


def parse(text: str, path: str) -> list[tuple[str, str]]:
    """Returns (name, statement) pairs in file order; raises ValueError that names file and line."""
    statements: list[tuple[str, str]] = []
    lines: list[str] = []
    name = None
    for number, line in enumerate(text.splitlines(), start=1):
        match = NAME.match(line)
        if match:
            if name:
                statements.append((name, "\n".join(lines)))
            name, lines = match.group(1), []
            if any(name == seen for seen, _ in statements):
                raise ValueError(f"{path}:{number}: statement '{name}' stands twice")
        elif line.strip().startswith("--") or not line.strip():
            continue
        elif name is None:
            raise ValueError(f"{path}:{number}: SQL before the first '-- name:' line")
        else:
            lines.append(line.rstrip())
    if name:
        statements.append((name, "\n".join(lines)))
    for name, body in statements:
        if not body.strip():
            raise ValueError(f"{path}: statement '{name}' is empty")
    return statements


def header(statements: list[tuple[str, str]], source: str) -> str:
    out = [f"// Made from {source} by tools/embed_sql.py.", "#pragma once", '#include "postgres/statement.h"', "", "namespace terrane::sql {"]
    for name, body in statements:
        body = body.rstrip().rstrip(";")
        out.append(f'inline constexpr Statement {name}{{"{name}", R"sql({body})sql"}};')
    out += ["}  // namespace terrane::sql", ""]
    return "\n".join(out)


def main() -> int:
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    try:
        text = header(parse(source.read_text(), str(source)), source.name)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
