"""The measurements' own programs do what they are said to do, and the report judges what it is given. No figure of a machine is judged here."""
import contextlib
import dataclasses
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))

import measurements  # noqa: E402
import pages  # noqa: E402
import rocks  # noqa: E402
import systems  # noqa: E402
from cluster import EvenkeelTest  # noqa: E402
from measurements import QUICK, Samples  # noqa: E402
from rows import judge, ratio  # noqa: E402


def varints(data):
    """The numbers of a record as worker/book.h has them, 7 bits a byte, low first."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def jobs_of(record):
    """(shard, position, operations, number) of each job of a record in which every shard has one, all of one producer."""
    numbers, shard, number, same_producer, one_position = varints(record), -1, 0, 4, 8
    next(numbers)  # the format
    for step in numbers:
        shard += 1 + step
        (jobs, position, _), (flags, _) = ((next(numbers) for _ in range(count)) for count in (3, 2))
        operations = 1 if flags & one_position else next(numbers)
        if flags & same_producer:
            number += 1
        else:
            (_, number) = (next(numbers) for _ in range(2))
        next(numbers)  # the lowest one that is open
        assert jobs == 1, record
        yield shard, position, operations, number


def records_of(path):
    """The records in a stopped store, in their order."""
    with rocks.opened(path) as store:
        return [store.get("book", key) for key in store.keys("book") if key[0] == 4]


class Programs(EvenkeelTest):
    def test_storage_loads_every_key_and_finds_them(self):
        with tempfile.TemporaryDirectory() as path:
            with self.assertRaises(AssertionError):  # nothing is there yet
                systems.storage([path], ("get",), keys=1000, seconds=1)
            load, get = systems.in_phases([systems.tool("storage", phases="load,get", data=path, keys=1000, group=300, seconds=1)], 2)
            self.assertEqual(load[0]["operations"], 1000)
            self.assertGreater(get[0]["operations"], 0)
            done = systems.storage([path], ("put", "get"), keys=1000, seconds=1)  # they are there in another process, too
            self.assertEqual(list(done), ["put", "get"])

    def test_storage_writes_a_record_for_each_group(self):
        shards, groups = 4, [300, 300, 300, 100]
        with tempfile.TemporaryDirectory() as path:
            systems.storage([path], ("load",), keys=1000, group=300, shards=shards)
            records = [list(jobs_of(record)) for record in records_of(path)]
        self.assertEqual([sum(operations for _, _, operations, _ in jobs) for jobs in records], groups)
        for shard in range(shards):
            positions, operations, numbers = zip(*(job for jobs in records for at, *job in jobs if at == shard))
            self.assertEqual(numbers, tuple(range(1, len(groups) + 1)))
            self.assertEqual(positions, tuple(1 + sum(operations[:index]) for index in range(len(groups))))

    def test_storage_writes_no_record_without_shards(self):
        with tempfile.TemporaryDirectory() as path:
            systems.storage([path], ("load",), keys=1000)
            self.assertEqual(records_of(path), [])

    def test_bounds_of_many_shards_are_measured(self):
        samples = Samples()
        measurements.add_raw_shards(dataclasses.replace(QUICK, keys=1000, shards=(4, 512)), samples)
        self.assertEqual(set(samples.values), {"shards.4.raw", "shards.512.raw"})
        self.assertGreater(min(value for values in samples.values.values() for value in values), 0)

    def test_rocksdb_behind_zeromq_puts_what_is_at_hand_in_one_group(self):
        def groups():
            return [sum(operations for _, _, operations, _ in jobs_of(record)) for record in records_of(path)]

        for mode in ("put", "put-inline"):
            with self.subTest(mode=mode), tempfile.TemporaryDirectory() as path:
                systems.storage([path], ("load",), keys=1000)
                one = systems.served(path, mode, 1, keys=1000)
                self.assertEqual(set(groups()), {1})
                alone = len(groups())
                self.assertAlmostEqual(alone, one["operations"], delta=1)  # one that was under way at the end may be there
                systems.served(path, mode, 1, keys=1000, window=50)
                self.assertGreater(max(groups()[alone:]), 10)
                self.assertLessEqual(max(groups()[alone:]), 50)

    def test_rocksdb_behind_zeromq_gets_what_is_there(self):
        with tempfile.TemporaryDirectory() as path:
            systems.storage([path], ("load",), keys=1000)
            self.assertGreater(systems.served(path, "get", 1, keys=1000, window=2, connections=3)["operations"], 0)
            self.assertEqual(records_of(path), [])

    def test_a_put_is_followed_through_the_worker(self):
        samples = Samples()
        measurements.measure_timeline(dataclasses.replace(QUICK, keys=1000), samples, None)
        waited = {stage: samples.of(f"timeline.{stage}_us")[0] for stage in measurements.STAGES}
        self.assertEqual(sum(len(values) for values in samples.values.values()), len(waited))
        self.assertGreater(min(waited.values()), 0)
        self.assertEqual(max(("handed", "begun", "logged", "synced", "applied", "answered"), key=waited.get), "synced")

    def test_what_singles_are_compared_by_is_measured_in_turns_with_them(self):
        order = []

        def answer(name, values):
            def measured(*_, **flags):
                order.append(name)
                return {"ops_per_second": 1, **dict.fromkeys(("latency_p50_us", "latency_p99_us", "latency_p999_us"), values.pop(0))}
            return measured

        cluster = mock.Mock()
        bench = {workload: answer(workload, values) for workload, values in (("put", [500, 900, 400]), ("get", [200, 100, 600]))}
        cluster.bench = lambda workload, **flags: bench[workload]()
        served = {mode: answer(f"served {mode}", values) for mode, values in (("put-inline", [305, 320, 290]), ("put", [350, 300, 310]), ("get", [190, 195, 185]))}
        samples = Samples()
        with mock.patch.multiple(systems, echo=answer("echo", [180, 170, 400]), syncs=answer("sync", [90, 80, 70]),
                                 served=lambda _, mode, *rest: served[mode]()):
            measurements.measure_singles(dataclasses.replace(QUICK, turns=3), samples, cluster, None)
        self.assertEqual(order, ["echo", "sync", "served put-inline", "served put", "served get", "put", "get"] * 3)
        for name, median in (("echo.p50_us", 180), ("sync.p50_us", 80), ("single.put.p50_us", 500), ("single.get.p999_us", 200), ("pipeline.1.get", 1),
                             ("served.put-inline.p50_us", 305), ("served.put.p50_us", 310), ("served.get.p50_us", 190)):
            self.assertEqual(samples.of(name), [median], name)

    def test_gets_are_measured_in_turns_with_those_of_db_bench(self):
        order = []
        figures = {"get 20000": [300, 100, 200], "get 50000": [500, 900, 400], "db_bench": [700, 600, 800]}

        def measured(name):
            order.append(name)
            return figures[name].pop(0)

        def bench(workload, pipeline, **_):
            names = ("latency_p50_us", "latency_p99_us", "broker_cpu_us", "workers_cpu_us", "client_cpu_us")
            return {"ops_per_second": measured(f"{workload} {pipeline}"), "shares": {}, **dict.fromkeys(names, 1)}

        @contextlib.contextmanager
        def reads(_):
            yield lambda seconds: measured("db_bench")

        samples = Samples()
        with mock.patch.object(systems, "db_bench_reads", reads):
            measurements.measure_gets(dataclasses.replace(QUICK, turns=3), samples, mock.Mock(bench=bench), "evenkeel.2")
        self.assertEqual(order, ["db_bench", "get 20000", "get 50000"] * 3)
        for name, median in (("db_bench.multiread", 700), ("evenkeel.2.get", 200), ("evenkeel.2.get.deep", 500), ("evenkeel.2.get.p99_us", 1)):
            self.assertEqual(samples.of(name), [median], name)

    def test_an_echo_keeps_its_window(self):
        with systems.proxy("echo", role="server") as (middle, front, _):
            one, many = (systems.ask(front, 1, window, size=9) for window in (1, 100))
        for done in (one, many):
            self.assertGreater(done["operations"], 0)
            self.assertGreaterEqual(done["latency_p99_us"], done["latency_p50_us"])
        self.assertIsNotNone(middle.child.poll())

    def test_a_broker_alone_answers_every_job(self):
        with systems.BrokerAlone() as cluster:
            for jobs, window in ((100, 100), (1, 5000)):
                done = cluster.jobs(jobs, window, 1)
                self.assertGreaterEqual(done["operations"], jobs)
                self.assertGreater(done["envelope_bytes"], jobs * (16 + 100))
                self.assertGreater(done["cpu_us"], 0)
            stats = cluster.wait_stats(lambda stats: stats["queued_jobs"] == stats["in_flight_jobs"] == 0)
            self.assertTrue(stats["ledger_balanced"])
            self.assertEqual((stats["failed_jobs"], stats["duplicate_jobs"]), (0, 0))

    def test_syncs_count_what_they_time(self):
        done = systems.syncs(1)
        self.assertGreater(done["operations"], 0)
        self.assertGreater(done["latency_p50_us"], 0)


class Report(unittest.TestCase):
    def judged(self, **values):
        """The rows of figures whose names have `_` for `.`."""
        samples = Samples({name.replace("_", "."): value for name, value in values.items()})
        return {row.measure: row for row in judge(QUICK, samples) if row.values}

    def test_ratios_are_taken_in_each_round(self):
        self.assertEqual(ratio([10, 30, 4], [5, 10, 0]), [2, 3])

    def test_the_best_of_one_and_two_workers_is_judged(self):
        samples = Samples({"evenkeel.1.put": [300, 310, 320], "evenkeel.2.put": [290, 500, 505], "db_bench.fill": [200, 200, 400]})
        (row,) = [row for row in judge(QUICK, samples) if row.values]
        self.assertEqual((row.number, row.values, row.figure()), ("1", [1.45, 2.5, 1.2625], 1.45))
        self.assertIn("2 workers", row.measure)
        self.assertIs(row.reached(), False)

    def test_bounds_belong_to_what_is_reached(self):
        (row,) = self.judged(start_seconds=[1.0]).values()
        self.assertEqual((row.number, row.reached()), ("15", True))
        (row,) = self.judged(start_seconds=[1.001]).values()
        self.assertIs(row.reached(), False)
        (row,) = self.judged(shards_512=[100], shards_8192=[80]).values()
        self.assertEqual((row.number, row.reached()), ("13", True))

    def test_one_at_a_time_is_bound_by_rocksdb_behind_zeromq(self):
        samples = Samples({"single.put.p50_us": [390, 300], "echo.p50_us": [200, 100], "sync.p50_us": [100, 100], "served.put.p50_us": [360, 250],
                           "single.get.p50_us": [250, 150], "served.get.p50_us": [240, 120]})
        put, get = [row for row in judge(QUICK, samples) if row.values]
        self.assertEqual((put.number, put.values, put.alone), ("5", [1.3, 1.5], [1.2, 1.25]))
        self.assertEqual((get.number, get.values, get.alone), ("6", [1.25, 1.5], [1.2, 1.2]))

    def test_fifty_puts_under_way_are_bound_by_rocksdb_behind_zeromq(self):
        samples = Samples({"evenkeel.1.fifty_together": [40000, 40000], "evenkeel.1.fifty": [30000, 20000], "redis.always.put.50x1": [50000, 50000],
                           "served.fifty_together": [50000, 62500], "served.fifty": [30000, 25000]})
        each, together = [row for row in judge(QUICK, samples) if row.values and row.number == "7"]
        self.assertEqual((each.values, each.alone), ([0.6, 0.4], [0.6, 0.5]))
        self.assertEqual((together.values, together.alone), ([0.8, 0.8], [1.0, 1.25]))

    def test_producers_are_judged_together_and_with_a_connection_each(self):
        samples = Samples({"together.10": [100], "together.1000": [80], "producers.10": [100], "producers.1000": [79], "echo.producers.10": [100],
                           "echo.producers.1000": [30]})
        together, each = [row for row in judge(QUICK, samples) if row.values]
        self.assertEqual((together.number, together.values, together.reached(), together.alone), ("13", [0.8], True, []))
        self.assertEqual((each.number, each.values, each.reached(), each.alone), ("13", [0.79], False, [0.3]))

    def test_many_shards_are_bound_by_their_book_keeping(self):
        (row,) = self.judged(shards_512=[100, 100], shards_8192=[80, 70], shards_512_raw=[200, 400], shards_8192_raw=[190, 360]).values()
        self.assertEqual((row.number, row.values, row.alone), ("13", [0.8, 0.7], [0.95, 0.9]))

    def test_rows_have_the_bounds_that_the_page_names(self):
        class Everything(Samples):
            def of(self, _):
                return [1.0]

        rows = judge(QUICK, Everything())
        self.assertEqual([row.number for row in rows if row.alone], ["1", "2", "3", "4", "5", "6", "7", "7", "10", "13", "13"])

    def test_nothing_measured_is_nothing_judged(self):
        rows = judge(QUICK, Samples())
        self.assertEqual({int(row.number) for row in rows}, set(range(1, 16)))
        self.assertEqual({row.reached() for row in rows}, {None})

    def test_medians_are_told_with_their_spread(self):
        self.assertEqual(pages.spread([3000, 1000, 2000]), "2,000 (1,000 – 3,000)")
        self.assertEqual(pages.spread([1.5], " s"), "1.5 s")
        self.assertEqual(pages.spread([]), "–")

    def page(self, samples):
        run = {"rounds": 1, "began": 0, "took_s": 60, "load": 0, "machine": [("processor", "a fast one")], "failures": ["redis: it was away"]}
        with tempfile.TemporaryDirectory() as path:
            page = pathlib.Path(path) / "docs" / "BENCHMARKS.md"
            pages.write(page, QUICK, samples, run)
            return page.read_text()

    def test_the_page_tells_what_the_bounds_are_made_of(self):
        text = self.page(Samples({"echo.p50_us": [200], "sync.p50_us": [100], "served.put.p50_us": [360], "served.put-inline.p50_us": [340], "shards.512.raw": [500000], "shards.8192.raw": [450000]}))
        for part in ("| RocksDB behind ZeroMQ, one put at a time, p50 | 360 µs |", "| the same, synced by the thread that reads the messages | 340 µs |", "| 512 | raw RocksDB with book-keeping | 500,000 | – |", "| 8,192 | raw RocksDB with book-keeping | 450,000 | – |"):
            self.assertIn(part, text)

    def test_the_page_tells_what_one_put_waits_for(self):
        text = self.page(Samples({f"timeline.{stage}_us": [10.0 * (number + 1)] for number, stage in enumerate(measurements.STAGES)} | {"echo.p50_us": [131]}))
        for part in ("| ZeroMQ, the broker and the client, there and back | 70 µs | 131 µs: the whole echo |", "| `fdatasync` | 40 µs |", "| all of them | 280 µs |"):
            self.assertIn(part, text)

    def test_a_page_of_nothing_has_all_sections(self):
        text = self.page(Samples())
        for part in ("1970-01-01 00:00 UTC, 1 round", "A short run", "redis: it was away", "## What it must reach", "| 15 |", "## One axis at a time"):
            self.assertIn(part, text)


if __name__ == "__main__":
    unittest.main()
