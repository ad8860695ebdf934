"""Helpers for tests of the whole system: an installation, its API, the real CLI, waiting, and a runner."""
