"""What `terrane openapi` prints is whole: references resolve, names are unique, objects are closed."""

import json
import os
import subprocess
import unittest
from pathlib import Path

BINARY = os.environ.get("TERRANE_BINARY")


def every(value, kind: type):
    """Every dict (or list) within a value."""
    if isinstance(value, kind):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from every(item, kind)


@unittest.skipUnless(BINARY and Path(BINARY).exists(), "TERRANE_BINARY names no program; ./x test sets it")
class Document(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        made = subprocess.run([BINARY, "openapi"], check=True, capture_output=True, text=True)
        cls.document, cls.undescribed = json.loads(made.stdout), made.stderr

    def operations(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield path, method, operation

    def test_every_row_is_described(self):
        self.assertEqual(self.undescribed, "")

    def test_operations_have_names_of_their_own(self):
        names = [operation["operationId"] for _, _, operation in self.operations()]
        self.assertGreater(len(names), 50)
        self.assertEqual(len(names), len(set(names)))

    def test_references_resolve(self):
        schemas = self.document["components"]["schemas"]
        for item in every(self.document, dict):
            if isinstance(item.get("$ref"), str):
                self.assertIn(item["$ref"].removeprefix("#/components/schemas/"), schemas)

    def test_parameters_of_the_path_are_described(self):
        for path, method, operation in self.operations():
            given = {item["name"] for item in operation.get("parameters", []) if item["in"] == "path"}
            self.assertEqual(given, {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path))

    def test_members_have_plain_names(self):
        for item in every(self.document["components"]["schemas"], dict):
            if item.get("additionalProperties") is False:
                for name in item.get("properties", {}):
                    self.assertRegex(name, r"\A[a-z][a-z0-9_-]*\Z")

    def test_objects_of_answers_are_closed_and_name_what_is_required(self):
        for name, schema in self.document["components"]["schemas"].items():
            for item in every(schema, dict):
                if item.get("type") == "object" and "properties" in item:
                    self.assertIs(item.get("additionalProperties"), False, name)
                    self.assertLessEqual(set(item.get("required", [])), set(item["properties"]), name)
            if "id" in schema.get("properties", {}):
                self.assertIn("attributes", schema["required"], name)

    def test_each_operation_says_what_it_gives_and_what_an_error_is(self):
        for path, method, operation in self.operations():
            answers = operation["responses"]
            self.assertIn("default", answers, (method, path))
            self.assertTrue(any(status[0] in "23" for status in answers if status != "default"), (method, path))


if __name__ == "__main__":
    unittest.main()
