"""On which processors the threads of broker and worker may run: a loop and ZeroMQ's thread share one while jobs come one at a time."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cluster import EvenkeelTest  # noqa: E402

ALL = os.sched_getaffinity(0)
PUTS = 300


def held(process):
    """The names and processors of the threads that may not run everywhere, the first thread's name as ''."""
    threads = {}
    for task in pathlib.Path(f"/proc/{process.child.pid}/task").iterdir():
        allowed = os.sched_getaffinity(int(task.name))
        if allowed != ALL:
            name = "" if int(task.name) == process.child.pid else (task / "comm").read_text().strip().partition("/")[2]
            threads[name] = allowed
    return threads


@unittest.skipIf(len(ALL) < 2, "there is one processor")
class Processors(EvenkeelTest):
    def test_a_loop_is_with_its_io_while_jobs_come_one_at_a_time(self):
        cluster = self.own_cluster(workers=1, shards=16)
        processes = (cluster.broker, cluster.workers["w1"])
        self.assertEqual([held(process) for process in processes], [{}, {}])
        store = cluster.store()
        for i in range(PUTS):
            store.put(b"key%d" % i, b"value")
        for process in processes:
            threads = held(process)
            self.assertEqual(set(threads), {"", "ZMQbg/IO/0"})
            self.assertEqual(threads[""], threads["ZMQbg/IO/0"])
            self.assertEqual(len(threads[""]), 1)
        cluster.cli("bench", "--workload", "put", "--count", "20000", "--keys", "1000", "--pipeline", "1000")
        self.assertEqual([held(process) for process in processes], [{}, {}])


if __name__ == "__main__":
    unittest.main()
