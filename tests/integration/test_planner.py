#!/usr/bin/python3
"""The planner in a simulated cluster (tests/planner): every figure reached, no rule broken; PLANNER_SEEDS of them, 4 unless told otherwise."""
import os
import subprocess
import unittest

BUILD = os.environ.get("BUILD", "build")
SEEDS = os.environ.get("PLANNER_SEEDS", "4")


class Planner(unittest.TestCase):
    def test_figures_are_reached_and_no_rule_is_broken(self):
        program = os.path.join(BUILD, "bin", "evenkeel-planner-sim")
        done = subprocess.run([program, SEEDS, "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
