#!/usr/bin/python3
"""Simulated clusters with faults (tests/sim): SIM_SEEDS of them, 200 unless told otherwise, and the seeds that once found a bug. The bugs by which
the simulation itself is tried (tests/mutants) can still be put in."""
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BUILD", "build")
SEEDS = os.environ.get("SIM_SEEDS", "200")


class Simulation(unittest.TestCase):
    def test_no_seed_shows_a_violation(self):
        program = os.path.join(BUILD, "bin", "evenkeel-sim")
        done = subprocess.run([program, SEEDS, "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode == 77:
            self.skipTest(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stdout)


class Mutants(unittest.TestCase):
    def test_every_bug_fits_into_the_product(self):
        patches = sorted((ROOT / "tests" / "mutants").glob("*.patch"))
        self.assertGreater(len(patches), 40)
        for patch in patches:
            with self.subTest(patch=patch.name):
                done = subprocess.run(["patch", "--dry-run", "-s", "-p1", "-F0", "-r", "-", "-d", ROOT, "-i", patch], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
