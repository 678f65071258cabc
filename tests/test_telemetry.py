"""Logs as others read them."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WRITES = """
import logging, sys, structlog
from app.core.telemetry import set_up_logs

class Told:
    writes = []
    def write(self, text): self.writes.append(text)
    def flush(self): pass

kept, sys.stderr = sys.stderr, Told()
set_up_logs("info", sys.argv[1])
structlog.get_logger().info("first", of="ours")
logging.getLogger("library").warning("second")
sys.stderr = kept
print(len(Told.writes), all(text.endswith("\\n") for text in Told.writes))
"""
LINES = """
import structlog, sys
from app.core.telemetry import set_up_logs

set_up_logs("info", "json")
for number in range(2_000):
    structlog.get_logger().info("line", number=number)
"""


def test_an_entry_is_one_write_and_ends_its_line() -> None:
    for form in ("json", "console"):
        command = [sys.executable, "-c", WRITES, form]
        assert subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout == "2 True\n", form


def test_processes_that_share_a_log_do_not_write_into_each_others_lines(tmp_path: Path) -> None:
    # Without buffers, as containers run Python.
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", LINES]
        made = [subprocess.Popen(command, stderr=log, cwd=ROOT, env=environment) for _ in range(3)]
        assert [one.wait(60) for one in made] == [0, 0, 0]
    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(entry["number"] for entry in entries) == sorted(3 * list(range(2_000)))
