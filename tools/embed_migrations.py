#!/usr/bin/env python3
"""Turns migrations/NNNN_verb_noun.sql into a C++ source that defines terrane::postgres::migrations().

Called as: embed_migrations.py TARGET [FILE…]. Fails on a name of another form and on a number that stands twice.
"""
import pathlib
import re
import sys

NAME = re.compile(r"^([0-9]{4})_[a-z0-9]+(?:_[a-z0-9]+)+\.sql$")


def ordered(files: list[pathlib.Path]) -> list[tuple[int, pathlib.Path]]:
    """Returns (number, file) ascending; raises ValueError that names the file."""
    found: dict[int, pathlib.Path] = {}
    for file in files:
        match = NAME.match(file.name)
        if not match:
            raise ValueError(f"{file}: the name must be NNNN_verb_noun.sql")
        number = int(match.group(1))
        if number in found:
            raise ValueError(f"{file}: number {number} is taken by {found[number].name}")
        found[number] = file
    return sorted(found.items())


def source(migrations: list[tuple[int, str, str]]) -> str:
    """The C++ text for (number, name, sql)."""
    out = ["// Made from migrations/ by tools/embed_migrations.py.", '#include "postgres/migrator.h"', "",
           "namespace terrane::postgres {", "namespace {",
           f"constexpr std::array<Migration, {len(migrations)}> embedded{{{{"]
    for number, name, sql in migrations:
        if ')sql"' in sql:
            raise ValueError(f"{name}: holds the end mark of a raw string")
        out.append(f'    {{{number}, "{name}", R"sql({sql})sql"}},')
    out += ["}};", "}  // namespace", "",
            "std::span<const Migration> migrations() { return embedded; }", "",
            "}  // namespace terrane::postgres", ""]
    return "\n".join(out)


def main() -> int:
    target = pathlib.Path(sys.argv[1])
    try:
        found = ordered([pathlib.Path(name) for name in sys.argv[2:]])
        text = source([(number, file.stem, file.read_text()) for number, file in found])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
