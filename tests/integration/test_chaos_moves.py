#!/usr/bin/python3
"""A few moves of the run with kills at random steps (tests/chaos/moves.py), and what shows that it looks."""
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "chaos")]

import chaos  # noqa: E402
import moves  # noqa: E402


class ChaosMoves(unittest.TestCase):
    def test_moves_with_somebody_killed(self):
        command = [sys.executable, str(ROOT / "tests" / "chaos" / "moves.py"), "3", "5"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertRegex(done.stdout, r"\n3 passed, 0 failed\n$")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"(?m)^256 kept keys equal, each once; .*ledger balanced$")
        self.assertRegex(done.stdout, r"(?m)^struck while ")

    def test_what_is_kept_is_looked_at(self):
        machines = moves.make_machines(1)
        self.addCleanup(machines.remove)
        self.addCleanup(machines.close)
        moves.read_kept(machines)
        store = machines.store()
        key, value = moves.kept(7)
        store.put(key, value[:-1] + b"x")
        with self.assertRaisesRegex(chaos.Violation, "kept7.* different"):
            moves.read_kept(machines)
        store.delete(key)
        with self.assertRaisesRegex(chaos.Violation, "255 of 256"):
            moves.read_kept(machines)


if __name__ == "__main__":
    unittest.main()
