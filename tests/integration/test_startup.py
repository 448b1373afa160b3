"""Starts and stops: flags that make no sense, directories that cannot be used, orderly ends."""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import rocks  # noqa: E402
from cluster import LOOPBACK, EvenkeelTest, Process, program, run  # noqa: E402

BROKER, WORKER = program("evenkeel-broker"), program("evenkeel-worker")
UNUSED = ["--data", "/nowhere/at/all"]


class Flags(EvenkeelTest):
    def assert_usage(self, *command):
        done = run(list(command))
        said = done.stderr.decode()
        self.assertEqual(done.returncode, 2, (command, said))
        self.assertTrue(said.strip(), f"{command} says nothing")
        self.assertNotIn(b"ready", done.stdout, command)

    def test_flags_that_make_no_sense_to_the_broker(self):
        for flags in (["--shards", "0"], ["--shards", "8193"], ["--shards", "many"], ["--shards", "-1"], ["--max-queue", "1M"],
                      ["--max-queue", "lots"], ["--liveness", "0"], ["--liveness", "soon"], ["--log-level", "loud"], ["--clients", "nonsense"],
                      ["--workers", "tcp://127.0.0.1"], ["--stats", "tcp://127.0.0.1:99999"], ["--unknown"], ["word"], ["--data", ""]):
            with self.subTest(flags=flags):
                self.assert_usage(BROKER, *UNUSED, *flags)

    def test_flags_that_make_no_sense_to_the_worker(self):
        for flags in (["--broker", "nonsense"], ["--listen", "tcp://"], ["--advertise", "nonsense"], ["--capacity", "0"], ["--capacity", "-1"],
                      ["--capacity", "much"], ["--cache", "some"], ["--write-buffer", "x"], ["--reserve", "x"], ["--log-level", "loud"],
                      ["--name", "n" * 256], ["--unknown"], ["word"], ["--data", ""]):
            with self.subTest(flags=flags):
                self.assert_usage(WORKER, *UNUSED, "--name", "w", *flags)

    def test_a_directory_is_needed(self):
        self.assert_usage(BROKER)
        self.assert_usage(WORKER, "--name", "w")

    def test_help_and_version(self):
        for path in (BROKER, WORKER):
            for flag in ("--help", "--version"):
                done = run([path, flag])
                self.assertEqual((done.returncode, done.stderr), (0, b""), path)
                self.assertTrue(done.stdout, path)

    def test_configuration_files_that_cannot_be_read(self):
        for path in (BROKER, WORKER):
            self.assert_usage(path, "--config", "/nowhere/at/all")
            self.assert_usage(path, "--config", __file__)
            self.assert_usage(path, *UNUSED, "--config", "/")
            self.assert_usage(path, *UNUSED, "--conf", "/nowhere/at/all")
        self.assert_usage(BROKER, *UNUSED, "-C", "/nowhere/at/all")


class Directories(EvenkeelTest):
    def assert_refused(self, command, *words):
        """Ends with a failure that is no usage error, and says the words."""
        done = run(command)
        said = done.stderr.decode()
        self.assertNotIn(done.returncode, (0, 2), (command, said))
        self.assertGreater(done.returncode, 0, (command, said))
        for word in words:
            self.assertIn(word, said)

    def test_a_directory_in_use(self):
        cluster = self.own_cluster()
        self.assert_refused(self.with_free_ports(cluster), str(cluster.directory / "broker"))
        self.assert_refused(cluster.worker_command("w1"), str(cluster.directory / "w1"))
        cluster.store().put(b"k", b"still served")

    def with_free_ports(self, cluster):
        return [*cluster.broker_command(), "--clients", LOOPBACK, "--workers", LOOPBACK, "--stats", LOOPBACK]

    def test_a_port_in_use(self):
        cluster = self.own_cluster(workers=0)
        command = self.with_free_ports(cluster) + ["--data", str(cluster.directory / "other"), "--clients", cluster.endpoints["clients"]]
        self.assert_refused(command, cluster.endpoints["clients"])

    def test_a_file_in_place_of_the_directory(self):
        cluster = self.own_cluster(workers=0)
        file = cluster.directory / "file"
        file.write_text("not a directory")
        for path in (file, file / "below", cluster.directory / "no" / "parent" / "\x01"):
            with self.subTest(path=path):
                self.assert_refused([*self.with_free_ports(cluster), "--data", str(path)], str(path))
                self.assert_refused([*cluster.worker_command("w"), "--data", str(path)], str(path))
        self.assertEqual(file.read_text(), "not a directory")

    def test_another_number_of_shards(self):
        cluster = self.own_cluster(shards=4)
        cluster.store().put(b"k", b"v")
        cluster.stop()
        self.assert_refused([*self.with_free_ports(cluster), "--shards", "5"], "shards")
        cluster.start_all()
        self.assertEqual(cluster.store().get(b"k")[0], b"v")

    def test_a_worker_of_another_cluster(self):
        """The worker ends, and says why, when it comes to a broker that its data does not belong to."""
        first, second = self.own_cluster(shards=4), self.own_cluster(workers=0, shards=4)
        first.store().put(b"k", b"v")
        first.workers["w1"].stop()
        self.assert_refused([*first.worker_command("w1"), "--broker", second.endpoints["workers"]], "cluster")
        first.start_worker("w1")
        self.assertEqual(first.store().get(b"k")[0], b"v")

    def test_a_damaged_directory_is_not_served(self):
        cluster = self.own_cluster(shards=4)
        cluster.store().put(b"k", b"v")
        cluster.stop()
        for name, command in (("broker", self.with_free_ports(cluster)), ("w1", cluster.worker_command("w1"))):
            (current,) = (cluster.directory / name).rglob("CURRENT")
            kept = current.read_bytes()
            current.write_bytes(b"MANIFEST-999999\n")
            self.assert_refused(command, str(cluster.directory / name))
            current.write_bytes(kept)
        cluster.start_all()
        self.assertEqual(cluster.store().get(b"k")[0], b"v")


    def test_a_newer_format_is_refused_and_left_alone(self):
        cluster = self.own_cluster(shards=4)
        cluster.store().put(b"k", b"v")
        cluster.stop()
        for name, command, family, key, value in (
                ("broker", self.with_free_ports(cluster), "default", b"format", (2).to_bytes(8, "big")),
                ("w1", cluster.worker_command("w1"), "book", b"\x01", b"\x03")):
            with rocks.opened(cluster.directory / name) as rows:
                kept = rows.get(family, key)
                self.assertTrue(kept, f"{name} keeps its format elsewhere")
                rows.put(family, key, value + kept[len(value):])
            self.assert_refused(command, "newer")
            with rocks.opened(cluster.directory / name) as rows:
                self.assertEqual(rows.get(family, key), value + kept[len(value):])
                rows.put(family, key, kept)
        cluster.start_all()
        self.assertEqual(cluster.store().get(b"k")[0], b"v")


class Ends(EvenkeelTest):
    def test_signals_end_programs_in_order(self):
        cluster = self.own_cluster(workers=2, shards=4)
        store = cluster.store()
        store.put(b"k", b"v")
        for process in (cluster.workers["w1"], cluster.workers["w2"], cluster.broker):
            process.stop()
        cluster.start_all()
        self.assertEqual(cluster.store().get(b"k")[0], b"v")
        for process in (cluster.broker, cluster.workers["w1"], cluster.workers["w2"]):
            process.child.send_signal(signal.SIGINT)
            self.assertEqual(process.wait_end(), 0, process.logged())

    def test_a_worker_without_a_broker_waits_and_ends_when_it_is_told_to(self):
        cluster = self.own_cluster(workers=1, shards=4)
        cluster.broker.kill()
        lonely = cluster.start_worker("w2", wait=False)
        cluster.workers["w1"].stop()
        cluster.start_broker()
        lonely.wait_ready()
        lonely.stop()

    def test_the_ready_lines_name_what_they_should(self):
        cluster = self.own_cluster(workers=1)
        self.assertEqual(sorted(cluster.endpoints), ["clients", "stats", "workers"])
        fields = cluster.workers["w1"].wait_ready()
        self.assertEqual(fields["name"], "w1")
        self.assertRegex(fields["id"], r"^[0-9a-f-]{36}$")
        self.assertRegex(fields["listen"], r"^tcp://127\.0\.0\.1:[1-9][0-9]*$")

    def assert_standard_files_stay_unused(self, cluster, command, serves):
        """Started without them, it serves, and none of its files or sockets has a number that is printed or logged to."""
        with subprocess.Popen(["bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command]) as child:
            self.addCleanup(child.kill)
            cluster.wait_stats(serves)
            files = [os.readlink(f"/proc/{child.pid}/fd/{number}") for number in range(3)]
            child.terminate()
        self.assertEqual((files, child.returncode), (["/dev/null"] * 3, 0))

    def test_standard_files_that_are_closed(self):
        cluster = self.own_cluster(workers=0)
        self.assert_standard_files_stay_unused(cluster, cluster.worker_command("w1"), lambda stats: stats["workers_up"] == 1)
        cluster.broker.stop()
        self.assert_standard_files_stay_unused(cluster, cluster.broker_command(), lambda stats: True)

    def test_a_configuration_file_stands_for_flags(self):
        cluster = self.own_cluster(workers=0)
        file = cluster.directory / "broker.conf"
        file.write_text(f"data = {cluster.directory}/configured\nclients = {LOOPBACK}\nworkers = {LOOPBACK}\nstats = {LOOPBACK}\nshards = 3\n")
        broker = Process("configured", [BROKER, "--config", str(file)], cluster.directory)
        cluster.processes.append(broker)
        cluster.endpoints = broker.wait_ready()
        self.assertEqual(len(cluster.query("shards")["shards"]), 3)
        broker.stop()


if __name__ == "__main__":
    unittest.main()
