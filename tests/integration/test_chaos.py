#!/usr/bin/python3
"""Ten rounds of the chaos run (tests/chaos), and what shows that its instruments bite."""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "chaos")]

import chaos  # noqa: E402
import powercut  # noqa: E402
from cluster import BUILD  # noqa: E402

# Files as RocksDB treats them: written behind their end, synced, renamed, deleted.
WRITER = """
import os, sys
place = sys.argv[1]
def make(name, text, sync):
    fd = os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, text)
    if sync:
        os.fsync(fd)
    return fd
directory = os.open(place, os.O_RDONLY)
log = make("log", b"synced ", True)
make("old", b"old", True)
make("pointer", b"at old", True)
os.fsync(directory)
os.write(log, b"not synced")
make("new", b"new", True)
make("next", b"at new", True)
os.rename(f"{place}/next", f"{place}/pointer")
if sys.argv[2] == "durable":
    os.fsync(directory)
os.unlink(f"{place}/old")
"""


class Everything:
    """Chance that always takes all."""

    @staticmethod
    def random():
        return 0.0


class PowerCut(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="evenkeel-powercut-"))
        self.addCleanup(shutil.rmtree, self.place)
        self.record, self.graves, self.data = self.place / "record", self.place / "graves", self.place / "machine" / "data"
        self.graves.mkdir()
        self.data.mkdir(parents=True)

    def run_writer(self, script, *words, **environment):
        environment = {**os.environ, "LD_PRELOAD": f"{BUILD}/tests/chaos/powercut.so", "POWERCUT_LOG": str(self.record), "POWERCUT_GRAVES": str(self.graves),
                       "POWERCUT_ROOT": str(self.data.parent), **environment}
        return subprocess.run(["/usr/bin/python3", "-c", script, str(self.data), *words], env=environment, capture_output=True, text=True, check=False)

    def contents(self):
        return {path.name: path.read_bytes() for path in self.data.iterdir()}

    def test_what_was_not_synced_goes(self):
        self.assertEqual(self.run_writer(WRITER, "in doubt").returncode, 0)
        self.assertEqual(self.contents(), {"log": b"synced not synced", "new": b"new", "pointer": b"at new"})
        names, size = powercut.lose(self.record, self.graves, Everything)
        self.assertEqual(self.contents(), {"log": b"synced ", "old": b"old", "pointer": b"at old"})
        self.assertEqual((names, size), (4, len(b"not synced")))
        self.assertEqual((self.record.exists(), list(self.graves.iterdir())), (False, []))

    def test_what_was_synced_stays(self):
        self.assertEqual(self.run_writer(WRITER, "durable").returncode, 0)
        powercut.lose(self.record, self.graves, Everything)
        self.assertEqual(self.contents(), {"log": b"synced ", "old": b"old", "new": b"new", "pointer": b"at new"})

    def test_what_is_in_doubt_goes_from_its_end(self):
        seen = set()
        for seed in range(40):
            shutil.rmtree(self.data)
            self.data.mkdir()
            self.run_writer(WRITER, "in doubt")
            powercut.lose(self.record, self.graves, random.Random(seed))
            found = self.contents()
            self.assertTrue(b"synced not synced".startswith(found["log"]) and found["log"].startswith(b"synced "), found)
            self.assertIn(found["pointer"], (b"at old", b"at new"))
            self.assertTrue(found["pointer"] == b"at old" or "new" in found, found)  # what it points to came first
            self.assertTrue(found["pointer"] == b"at new" or "old" in found, found)
            seen.add((found["pointer"], len(found)))
        self.assertGreater(len(seen), 3)

    def test_a_directory_goes_with_all_that_is_in_it(self):
        script = "import os, sys\nos.mkdir(sys.argv[1] + '/below')\nfd = os.open(sys.argv[1] + '/below/file', os.O_WRONLY | os.O_CREAT)\nos.fsync(fd)"
        self.assertEqual(self.run_writer(script).returncode, 0)
        powercut.lose(self.record, self.graves, Everything)
        self.assertEqual(self.contents(), {})

    def test_what_it_does_not_cover_is_told(self):
        (self.data / "file").write_bytes(b"there")
        script = "import os, sys\nfd = os.open(sys.argv[1] + '/file', os.O_WRONLY)\nos.write(fd, b'over')"
        self.assertEqual(self.run_writer(script).returncode, 0)
        with self.assertRaisesRegex(AssertionError, "overwrote"):
            powercut.lose(self.record, self.graves, Everything)

    def test_the_chosen_call_fails_and_no_other(self):
        script = ("import os, sys\nfd = os.open(sys.argv[1] + '/file', os.O_WRONLY | os.O_CREAT)\nfor i in range(4):\n"
                  "    for call in (lambda: os.write(fd, b'x'), lambda: os.fdatasync(fd)):\n        try:\n            call()\n            print('ok')\n"
                  "        except OSError as error:\n            print(error.errno)")
        for call, at in (("write", 4), ("sync", 5)):
            done = self.run_writer(script, FAIL_CALL=call, FAIL_AT="3", FAIL_ERRNO="5")
            self.assertEqual([number for number, line in enumerate(done.stdout.split()) if line == "5"], [at], done)
            self.assertEqual(powercut.failures(self.record), [[call, str(self.data / "file")]])
            self.record.unlink()


class Judge(unittest.TestCase):
    def setUp(self):
        self.machines = chaos.Machines(workers=len(chaos.WORKERS))
        self.addCleanup(self.machines.remove)
        self.addCleanup(self.machines.close)
        self.cycle(1).run()

    def cycle(self, number):
        """One with a kill and no more."""
        cycle = chaos.Cycle(self.machines, number, number)
        cycle.faults = lambda: (cycle.kill(["w1"]), cycle.wait_until(chaos.time.monotonic() + 0.5))
        return cycle

    def test_a_store_that_was_rolled_back_as_a_whole_is_noticed(self):
        machines = self.machines
        place = machines.directory / "machines"
        machines.kill_all()
        shutil.copytree(place, machines.directory / "copy")
        machines.start_all()
        self.cycle(2).run()
        machines.kill_all()
        shutil.rmtree(place)
        shutil.move(machines.directory / "copy", place)
        machines.start_all()  # broker and workers agree with each other: nothing but the history can tell
        with self.assertRaisesRegex(chaos.Violation, "VIOLATION tag .*(?s:.)*VIOLATION shard .* gave version"):
            self.cycle(3).run()

    def test_a_lost_row_is_noticed(self):
        state = self.machines.directory / "state"
        text = state.read_text()
        row = re.search(r"^row [2-9]\d* 1 v (\d+) (\d+)$", text, re.M)  # of a tag that is used no more
        state.write_text(text.replace(row.group(0), "row 4000 1 v 1 1"))
        with self.assertRaises(chaos.Violation) as caught:
            self.cycle(2).run()
        self.assertIn(f"the last scan shows k1 {row.group(1)} @{row.group(2)}, known is none", str(caught.exception))
        self.assertIn("tag 4000: the last scan shows k1 0 times, it is there", str(caught.exception))


class Chaos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [sys.executable, str(ROOT / "tests" / "chaos" / "chaos.py"), "10", "1"]
        cls.done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    def test_small_disks(self):
        (line,) = re.findall(r"(?m)^small disks.*", self.done.stdout)
        if ": skipped, " in line:
            self.skipTest(line)
        self.assertRegex(line, r"^small disks, seed 1: .*kill .*full with \d+ MiB.* ok \d", self.done.stdout)

    def test_ten_cycles(self):
        done = self.done
        self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n$")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"(?m)^seed 5: .* fails with .* ok")
        self.assertRegex(done.stdout, r"(?m)^seed 10: .*power cut of .* ok")


if __name__ == "__main__":
    unittest.main()
