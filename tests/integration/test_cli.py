"""The command line as scripts see it: --json answers with exactly the fields and exit codes of its contract."""
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import cluster as harness  # noqa: E402
from cluster import SLOWER, ClusterTest, EvenkeelTest, program, run  # noqa: E402
from test_stats import SHARD, STATS, WORKER  # noqa: E402

BENCH = """workload distribution seed producers pipeline keys value_size_bytes target_ops_per_second operations errors busy_retries not_found
duration_ms ops_per_second bytes_per_second latency_min_us latency_p50_us latency_p90_us latency_p99_us latency_p999_us latency_max_us""".split()
BENCH_KEYS = ["user%012d" % (index * 15485863) for index in range(9)]
BINARY = b"\xff\x00\xfe"


class CommandLine(ClusterTest):
    options = {"workers": 1, "shards": 8}

    def key(self, name=""):
        return f"{self.id()}/{name}"

    def tag(self, name=""):
        return f"{{{self.id()}}}/{name}"

    def answer(self, *words, code=0, **options):
        """The one object that a command answers with."""
        actual, lines = self.cluster.cli(*words, **options)
        self.assertEqual((actual, len(lines)), (code, 1), (words, lines))
        return lines[0]

    def exactly(self, fields, wanted):
        self.assertEqual(fields, {**wanted})

    # ---- single operations ----

    def test_put_and_get(self):
        put = self.answer("put", self.key(), "Ada")
        self.assertEqual(sorted(put), ["key", "status", "version"])
        self.assertEqual((put["status"], put["key"]), ("ok", self.key()))
        self.exactly(self.answer("get", self.key()), {"status": "ok", "key": self.key(), "found": True, "value": "Ada", "version": put["version"],
                                                      "ttl_ms": None})
        missing = self.answer("get", self.key("none"), code=1)
        self.exactly(missing, {"status": "not_found", "key": self.key("none"), "found": False, "value": None, "version": None, "ttl_ms": None})

    def test_binary_values_come_in_base64(self):
        self.answer("put", self.key(), "-", stdin=BINARY)
        got = self.answer("get", self.key())
        self.assertEqual(base64.b64decode(got["value64"]), BINARY)
        self.assertNotIn("value", got)

    def test_raw_values(self):
        self.answer("put", self.key(), "-", stdin=BINARY)
        done = run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], "get", self.key(), "--raw"])
        self.assertEqual((done.returncode, done.stdout), (0, BINARY))

    def test_conditions(self):
        version = self.answer("put", self.key(), "1", "--if-absent")["version"]
        self.assertEqual(self.answer("put", self.key(), "2", "--if-absent", code=1)["status"], "condition_failed")
        self.assertEqual(self.answer("put", self.key(), "2", "--if-version", str(version + 1), code=1)["status"], "condition_failed")
        self.assertGreater(self.answer("put", self.key(), "2", "--if-version", str(version))["version"], version)

    def test_expiry(self):
        self.answer("put", self.key(), "v", "--ttl", "1h")
        self.assertTrue(0 < self.answer("get", self.key())["ttl_ms"] <= 3600000)

    def test_delete_and_exists_count(self):
        for name in "ab":
            self.answer("put", self.key(name), "v")
        keys = [self.key(name) for name in "abc"]
        self.exactly(self.answer("exists", *keys), {"status": "ok", "count": 2})
        self.exactly(self.answer("del", *keys), {"status": "ok", "count": 2})
        for command in ("exists", "del"):
            actual, lines = self.cluster.cli(command, *keys)
            self.assertIn(actual, (0, 1))
            self.assertEqual(lines[0]["count"], 0)

    def test_increments(self):
        first = self.answer("incr", self.key())
        self.assertEqual(sorted(first), ["key", "status", "value", "version"])
        self.assertEqual(first["value"], 1)
        self.assertEqual(self.answer("incr", self.key(), "41")["value"], 42)
        self.assertEqual(self.answer("incr", self.key(), "-43")["value"], -1)
        self.answer("put", self.key(), "text")
        failed = self.answer("incr", self.key(), code=5)
        self.assertEqual(failed["status"], "failed")
        self.assertTrue(failed["error"])

    def test_scans(self):
        keys = [self.tag(f"{i:02}") for i in range(25)]
        for key in keys:
            self.cluster.store().put(key.encode(), b"v")
        seen, cursor = [], None
        while True:
            words = ["scan", "--prefix", self.tag(), "--limit", "10", "--values"] + (["--cursor", cursor] if cursor else [])
            page = self.answer(*words)
            self.assertEqual(sorted(page), ["cursor", "entries", "status"])
            seen += page["entries"]
            cursor = page["cursor"]
            if not cursor:
                break
        self.assertEqual([entry["key"] for entry in seen], keys)
        self.assertEqual({entry["value"] for entry in seen}, {"v"})
        self.assertTrue(all(isinstance(entry["version"], int) for entry in seen))

    def test_transactions(self):
        a, n = self.tag("a"), self.tag("n")
        done = self.answer("txn", stdin=f"put {a} 1\nincr {n} 5\n".encode())
        self.assertEqual((done["status"], len(done["results"])), ("ok", 2))
        refused = self.answer("txn", stdin=f"put {n} 9\nput {a} 2 --if-absent\n".encode(), code=1)
        self.assertEqual((refused["status"], refused["failed_line"]), ("condition_failed", 2))
        self.assertEqual(self.answer("get", n)["value"], "5")

    # ---- many ----

    def test_a_transaction_of_too_many_increments_names_the_limit(self):
        answer = self.answer("txn", code=4, stdin=b"".join(b"incr %s\n" % self.tag().encode() for _ in range(90)))
        self.assertEqual(answer["status"], "too_large")
        self.assertIn("85 conditional", answer["error"])

    def test_run_answers_in_order(self):
        lines = [f'put {self.key("a b")} "two words"'.replace(self.key("a b"), f'"{self.key("a b")}"'), "# a comment", "",
                 f'get "{self.key("a b")}"', f'get {self.key("none")}', "nonsense here", f'incr {self.key("n")} 2']
        code, answers = self.cluster.cli("run", stdin="\n".join(lines).encode())
        self.assertEqual(code, 5)
        self.assertEqual([(answer["line"], answer["status"]) for answer in answers],
                         [(1, "ok"), (4, "ok"), (5, "not_found"), (6, "usage"), (7, "ok")])
        self.assertEqual([answers[0]["op"], answers[1]["op"], answers[1]["value"]], ["put", "get", "two words"])
        code, answers = self.cluster.cli("run", "--pipeline", "16", stdin="".join(f"put {self.key(str(i))} {i}\n" for i in range(1000)).encode())
        self.assertEqual((code, [answer["line"] for answer in answers]), (0, list(range(1, 1001))))

    def test_import_of_ndjson(self):
        rows = [{"id": i, "name": f"n{i}"} for i in range(100)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        done = self.answer("import", "-", "--format", "ndjson", "--key", "id", "--template", "import{{{id}}}", stdin=text.encode())
        self.assertEqual((done["imported"], done["errors"]), (100, 0))
        self.assertIn("duration_ms", done)
        self.assertEqual(self.answer("get", "import{7}")["value"], json.dumps(rows[7]))

    def test_import_of_csv(self):
        text = "Package;Price\none;1\n\"t;wo\";2\n"
        done = self.answer("import", "-", "--format", "csv", "--key", "Package", "--template", self.key("{Package}"), "--separator", ";",
                           stdin=text.encode())
        self.assertEqual((done["imported"], done["errors"]), (2, 0))
        self.assertEqual(json.loads(self.answer("get", self.key("t;wo"))["value"]), {"Package": "t;wo", "Price": "2"})

    def test_import_counts_errors(self):
        code, lines = self.cluster.cli("import", "-", "--format", "ndjson", "--key", "id", "--max-errors", "10",
                                       stdin=b'{"id":"import-a"}\nnot json\n{"no":"id"}\n{"id":"import-b"}\n')
        self.assertIn(code, (0, 5))
        self.assertEqual((lines[-1]["imported"], lines[-1]["errors"]), (2, 2))

    def test_bench_has_its_fields(self):
        for workload in ("put", "get", "mixed", "incr"):
            words = ["bench", "--workload", workload, "--count", "500", "--keys", "100", "--value-size", "64", "--pipeline", "8", "--producers",
                     "2", "--seed", "1", "--distribution", "zipfian"] + (["--load"] if workload == "get" else [])
            done = self.answer(*words)
            for field in BENCH:
                self.assertIn(field, done)
            self.assertEqual((done["workload"], done["operations"], done["errors"]), (workload, 500, 0))
            if workload == "get":
                self.assertEqual(done["not_found"], 0)

    def test_bench_of_ycsb_workloads(self):
        """Their keys are zipfian. With uniform ones of which nobody wrote any, what is not found tells the share of gets."""
        for workload, fewest_gets, most_gets in (("a", 400, 600), ("b", 910, 985), ("c", 1000, 1000), ("f", 1000, 1000)):
            words = ["bench", "--workload", workload, "--count", "1000", "--value-size", "10", "--pipeline", "16", "--seed", str(ord(workload))]
            done = self.answer(*words, "--keys", "100")
            self.assertEqual((done["workload"], done["distribution"], done["operations"], done["errors"]), (workload, "zipfian", 1000, 0))
            self.assertIsNone(done["load_ops_per_second"])
            done = self.answer(*words, "--keys", "100000000000", "--distribution", "uniform")
            self.assertEqual((done["distribution"], done["errors"]), ("uniform", 0))
            self.assertTrue(fewest_gets <= done["not_found"] <= most_gets, done)

    def test_bench_modifies_what_it_has_read(self):
        """Each operation of f reads a key; about half put it then, so that what is missing at first is there in the end."""
        words = ["bench", "--workload", "f", "--distribution", "uniform", "--keys", "9", "--pipeline", "1", "--value-size", "4"]
        self.cluster.cli("del", *BENCH_KEYS)
        done = self.answer(*words, "--count", "400")
        self.assertEqual((done["operations"], done["errors"], done["distribution"]), (400, 0, "uniform"))
        self.assertGreater(done["not_found"], 0)
        self.exactly(self.answer("exists", *BENCH_KEYS), {"status": "ok", "count": 9})
        self.assertEqual(self.answer(*words, "--count", "400")["not_found"], 0)

    def test_bench_loads_every_key_and_then_finds_them(self):
        done = self.answer("bench", "--workload", "c", "--load", "--keys", "1000", "--count", "2000", "--producers", "3", "--value-size", "4")
        self.assertEqual((done["not_found"], done["errors"], done["operations"]), (0, 0, 2000))
        self.assertGreater(done["load_ops_per_second"], 0)

    def test_producers_of_a_bench_share_connections_and_count_exactly(self):
        counters = [key.replace("user", "cntr") for key in BENCH_KEYS]
        self.cluster.cli("del", *counters)
        for producers, wanted, connections in ((7, 2, 2), (5, 1, 1), (2, 9, 2)):
            done = self.answer("bench", "--workload", "incr", "--keys", "9", "--count", "600", "--pipeline", "4", "--producers", str(producers),
                               "--connections", str(wanted))
            self.assertEqual((done["connections"], done["producers"], done["operations"], done["errors"]), (connections, producers, 600, 0))
        self.assertEqual(sum(int(self.answer("get", key)["value"]) for key in counters), 1800)

    def test_a_bench_at_a_rate_counts_from_the_intended_start(self):
        """One under way at a time cannot keep up with a million a second: each operation waits for those before it."""
        done = self.answer("bench", "--count", "2000", "--rate", "1000000", "--pipeline", "1", "--keys", "10")
        self.assertEqual((done["target_ops_per_second"], done["operations"]), (1000000, 2000))
        self.assertGreater(done["latency_p50_us"] * 4, done["duration_ms"] * 1000)

    def test_a_bench_with_one_under_way_ends_with_its_time(self):
        done = self.answer("bench", "--workload", "put", "--duration", "200ms", "--pipeline", "1", "--keys", "10")
        self.assertGreater(done["operations"], 0)
        self.assertEqual(done["errors"], 0)

    # ---- operators ----

    def test_operators_tables(self):
        for field in STATS:
            self.assertIn(field, self.answer("stats"))
        (worker,) = self.answer("workers")["workers"]
        for field in WORKER:
            self.assertIn(field, worker)
        shards = self.answer("shards")["shards"]
        self.assertEqual(len(shards), 8)
        for field in SHARD:
            self.assertIn(field, shards[0])
        self.assertIn("shards", self.answer("stats", "--full"))

    def test_ping(self):
        self.assertLessEqual({"status", "round_trip_us", "generation"}, set(self.answer("ping")))

    # ---- what goes wrong ----

    def test_words_that_make_no_sense(self):
        for words in (["nonsense"], ["put"], ["put", "k"], ["put", "k", "v", "more"], ["get"], ["get", "k", "--unknown"],
                      ["put", "k", "v", "--ttl", "soon"], ["put", "k", "v", "--if-version", "x"], ["incr", "k", "much"], ["scan", "--limit", "0"],
                      ["bench", "--workload", "dance"], ["import", "-", "--format", "xml", "--key", "k"], ["get", "k", "--timeout", "x"]):
            with self.subTest(words=words):
                code, lines = self.cluster.cli(*words)
                self.assertEqual(code, 2, (words, lines))
                self.assertEqual(lines[-1]["status"] if lines else "usage", "usage")

    def test_keys_beyond_their_limit(self):
        self.assertEqual(self.answer("put", "k" * 4097, "v", code=4)["status"], "too_large")

    def test_options_may_stand_on_both_sides(self):
        self.answer("put", self.key(), "v", "--timeout", "5s")
        done = run([program("evenkeel"), "get", self.key(), "--json", "--broker", self.cluster.endpoints["clients"]])
        self.assertEqual(json.loads(done.stdout)["value"], "v")
        done = run([program("evenkeel"), "--json", "get", self.key()], env={**os.environ, "EVENKEEL_BROKER": self.cluster.endpoints["clients"]})
        self.assertEqual(json.loads(done.stdout)["value"], "v")

    def test_plain_text_has_no_colour_without_a_terminal(self):
        for words in (["workers"], ["shards"], ["stats"], ["get", "nothing-here"]):
            done = run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], *words])
            self.assertNotIn(b"\x1b", done.stdout + done.stderr)

    def test_help_and_version(self):
        for words in (["--help"], ["--version"], ["put", "--help"]):
            done = run([program("evenkeel"), *words])
            self.assertEqual((done.returncode, bool(done.stdout)), (0, True), words)

    def test_output_that_cannot_be_written(self):
        for words in (["--help"], ["--version"], ["put", "--help"], ["help", "put"], ["ping"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], *words], stdout=full,
                                      stderr=subprocess.PIPE, timeout=harness.PATIENCE_S)
            self.assertEqual((done.returncode, b"standard output" in done.stderr), (5, True), words)

    def assert_fails_closed(self, closed, *words):
        """With `closed`, a redirection of the shell that closes a standard file, the command ends with 5 and says which one."""
        command = f'exec "$0" --broker "$1" "${{@:2}}" {closed}'
        done = run(["bash", "-c", command, program("evenkeel"), self.cluster.endpoints["clients"], *words])
        self.assertEqual((done.returncode, b"Bad file descriptor" in done.stderr), (5, True), (closed, words, done.stderr))

    def test_standard_files_that_are_closed(self):
        for words in (["run"], ["txn"], ["put", self.key(), "-"], ["import", "-", "--key", "k"]):
            self.assert_fails_closed("<&-", *words)
        for words in (["put", self.key(), "v"], ["get", self.key()], ["export", "-"], ["ping"]):
            self.assert_fails_closed(">&-", *words)


class WithoutABroker(EvenkeelTest):
    def cli(self, *words):
        done = run([program("evenkeel"), "--broker", "tcp://127.0.0.1:1", "--json", "--timeout", "300ms", *words])
        return done.returncode, [json.loads(line) for line in done.stdout.decode().splitlines()]

    def test_nothing_was_sent(self):
        for words in (["put", "k", "v"], ["get", "k"], ["ping"], ["stats"]):
            code, (line,) = self.cli(*words)
            self.assertEqual((code, line["status"]), (3, "unavailable"), words)
            self.assertTrue(line["error"])

    def test_each_line_says_that_the_broker_is_another_clusters(self):
        cluster = self.own_cluster(workers=1)
        with subprocess.Popen(cluster.cli_command("run"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            def answer(line):
                child.stdin.write(line)
                child.stdin.flush()
                return json.loads(child.stdout.readline())
            self.addCleanup(child.kill)
            self.assertEqual(answer(b"incr n\n")["status"], "ok")
            cluster.stop()
            cluster.start_broker("--data", str(cluster.directory / "other"))
            for _ in range(3):
                self.assertIn("another cluster's", answer(b"incr n\n")["error"])
            child.stdin.close()

    def test_up_refuses_what_its_programs_would(self):
        with tempfile.TemporaryDirectory() as directory:
            data = os.path.join(directory, "data")
            for flags in (["--stats", "nonsense"], ["--clients", "nonsense"], ["--workers-endpoint", "tcp://"], ["--shards", "8193"], ["--shards", "x"],
                          ["--max-queue", "1M"], ["--reserve", "x"], ["--workers", "65"], ["--data", ""]):
                done = run([program("evenkeel"), "up", "--json", "--clients", harness.LOOPBACK, "--data", data, *flags])
                self.assertEqual((done.returncode, json.loads(done.stdout)["status"]), (2, "usage"), flags)
            self.assertFalse(os.path.exists(data))

    def test_without_a_worker_a_put_ends_expired_or_unknown(self):
        cluster = self.own_cluster(workers=0)
        code, (line,) = cluster.cli("put", "k", "v", "--timeout", f"{300 * SLOWER:.0f}ms")
        self.assertEqual(code, 3)
        self.assertIn(line["status"], ("expired", "unknown"))


class Dumps(EvenkeelTest):
    def test_a_dump_restores_without_loss(self):
        first, second = self.own_cluster(shards=4), self.own_cluster(shards=8)
        rows = {BINARY + b"%d" % i: os.urandom(i) for i in range(200)}
        store = first.store()
        for key, value in rows.items():
            store.put(key, value, ttl_ms=3600000 if len(value) % 2 else 0)
        dump = str(first.directory / "dump")
        code, lines = first.cli("export", dump)
        self.assertEqual(code, 0, lines)
        code, lines = second.cli("import", dump, "--format", "dump")
        self.assertEqual((code, lines[-1]["imported"], lines[-1]["errors"]), (0, 200, 0))
        store = second.store()
        for key, value in rows.items():
            got = store.get(key)
            self.assertEqual(got[0], value)
            self.assertEqual(got[2] is not None, len(value) % 2 == 1)
            if got[2] is not None:
                self.assertTrue(0 < got[2] <= 3600000)
        self.assertEqual(len(list(store.scan())), 200)


    def test_what_is_no_plain_file_is_not_replaced(self):
        cluster = self.own_cluster(shards=4)
        cluster.store().put(b"k", b"v")
        pipe, link, full = (str(cluster.directory / name) for name in ("pipe", "link", "full"))
        os.mkfifo(pipe)
        os.symlink("dump", link)
        os.symlink("/dev/full", full)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertEqual(cluster.cli("export", pipe)[0], 0)
        self.assertTrue(pathlib.Path(pipe).is_fifo())
        self.assertEqual(len(os.read(reader, 4096).splitlines()), 3)
        (cluster.directory / "dump").write_text("an older one")
        self.assertEqual(cluster.cli("export", link)[0], 0)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(len((cluster.directory / "dump").read_text().splitlines()), 3)
        code, (line,) = cluster.cli("export", full)
        self.assertEqual((code, line["status"], os.path.islink(full)), (5, "failed", True))
        self.assertEqual(cluster.cli("export", str(cluster.directory))[0], 2)


class Example(EvenkeelTest):
    def test_the_library_example_runs(self):
        cluster = self.own_cluster(workers=1)
        done = run([str(harness.BUILD / "tests" / "integration" / "example"), cluster.endpoints["clients"]])
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())

    def test_the_built_library_has_the_name_that_programs_look_for(self):
        library = harness.BUILD / "lib" / "libevenkeel.so"
        self.assertIn(b"libevenkeel.so.0\0", library.read_bytes())
        self.assertTrue(library.with_suffix(".so.0").samefile(library))


if __name__ == "__main__":
    unittest.main()
