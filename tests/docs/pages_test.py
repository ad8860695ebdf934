"""The commands of docs/operating, in order, against an installation without a user and then one that works."""

import json
import os
import re
import unittest
from pathlib import Path

import subject

PAGES = Path(__file__).resolve().parents[2] / "docs" / "operating"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_of(page: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text()
    return [line[2:] for block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("$ ")]


class Pages(unittest.TestCase):
    """Each page is a case; what a page's reader has at hand are shell variables."""

    def test_no_command_stands_on_a_page_that_is_not_tested(self):
        tested = {"first-administrator", "watching", "draining", "silent-nodes", "recovery"}
        with_commands = {page.stem for page in PAGES.glob("*.md") if commands_of(page.stem)}
        self.assertEqual(with_commands, tested)

    def test_watching(self):
        health, status, trace, nodes, routes = [subject.sh(command) for command in commands_of("watching")]
        self.assertEqual(set(json.loads(health).values()), {"UP"})
        self.assertIn("worker-1", status)
        self.assertIn("finish apply", trace)
        self.assertIn(subject.variables["NODE"], nodes)
        self.assertIn("/api/v2/runs/:id/actions/apply", routes)

    def test_draining(self):
        drain, undrain = commands_of("draining")
        subject.sh(drain)
        self.assertIn("draining", subject.sh('terrane node list --data "$DATA"'))
        subject.sh(undrain)
        self.assertNotIn("draining", subject.sh('terrane node list --data "$DATA"'))

    def test_silent_nodes(self):
        list_nodes, forget = commands_of("silent-nodes")
        with self.assertRaises(AssertionError) as refused:
            subject.sh(forget)
        self.assertIn("it is not dead", str(refused.exception))
        subject.sql("INSERT INTO terrane.nodes (id, name, incarnation, capacity, seen_at) "
                    "VALUES ('dead', 'dead', 'i', 1, now() - interval '1 hour')")
        self.assertRegex(subject.sh(list_nodes), r"(?m)^dead .* silent ")
        subject.sh(forget, NODE="dead")
        self.assertNotIn("dead", subject.sh(list_nodes))

    def test_recovery(self):
        (again,) = commands_of("recovery")
        os.kill(subject.site.supervisor(), 9)
        self.assertIn("Terrane runs at", subject.sh(again))

    def test_first_administrator(self):
        ask, create = commands_of("first-administrator")
        with self.assertRaises(AssertionError) as refused:
            subject.sh(ask)  # the demo has its administrator already
        self.assertIn("user", str(refused.exception))
        subject.sql("TRUNCATE terrane.users CASCADE")
        token = subject.sh(ask).strip()
        answer = json.loads(subject.sh(create, TOKEN=token))
        self.assertEqual(answer["status"], "created")
        self.assertTrue(answer["token"])
