"""docs/api-coverage.md says what the program's routes cover."""

import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import api_coverage  # noqa: E402

ROUTES = """GET     /api/v2/runs/:id
POST    /api/v2/runs
GET     /api/v2/inventions/:id
GET     /_archivist/*rest  (no token)
"""


class Coverage(unittest.TestCase):
    def test_the_page_is_that_of_the_program(self):
        binary = os.environ.get("TERRANE_BINARY")
        if not binary or not Path(binary).exists():
            self.skipTest("TERRANE_BINARY names no program; ./x test sets it")
        self.assertEqual(api_coverage.PAGE.read_text(), api_coverage.printed_by(binary),
                         f"run tools/api_coverage.py {binary} --write")

    def test_parameters_have_no_name(self):
        self.assertEqual(api_coverage.routes(ROUTES)[0], ("GET", "/api/v2/runs/*"))
        self.assertEqual(api_coverage.routes(ROUTES)[3], ("GET", "/_archivist/*"))

    def test_what_is_there_counts_and_what_is_not_is_named(self):
        page = api_coverage.page(api_coverage.routes(ROUTES))
        operations = api_coverage.known()
        self.assertIn(f"| both lists together | 2 of {len(operations)} |", page)
        self.assertNotIn("`GET /runs/*`", page)
        self.assertIn("`POST /runs/*/actions/apply`", page)
        self.assertIn("- `GET /api/v2/inventions/*`", page)
        self.assertNotIn("_archivist", page)


if __name__ == "__main__":
    unittest.main()
