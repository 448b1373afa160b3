"""Workers that say what they should not, on the workers endpoint of a real broker."""
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
from cluster import EvenkeelTest  # noqa: E402
from fake_worker import ASSIGN, BYE, DENIED, HEARTBEAT, HELLO, OK, REFUSED, RELEASED, REPLIES, REPORT, SERVING, STALE, FakeWorker  # noqa: E402
from thin_client import WRITE  # noqa: E402

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[1] / "vectors" / "messages.json").read_text(encoding="ascii"))
WORKER_TO_BROKER = range(32, 47)


class BesideARealWorker(EvenkeelTest):
    """The real worker holds every shard and serves on, whatever the other says."""

    def setUp(self):
        self.cluster = self.own_cluster(workers=1, shards=4)
        self.store = self.cluster.store()
        self.keys = [b"key%d" % i for i in range(64)]
        for key in self.keys:
            self.store.put(key, key)

    def tearDown(self):
        for key in self.keys:
            self.assertEqual(self.store.get(key)[0], key)
            self.store.put(key, key)
        self.cluster.stop()

    def test_a_worker_of_another_cluster_is_refused(self):
        worker = FakeWorker(self.cluster)
        worker.cluster_id = os.urandom(16)
        kind, status, text = worker.hello()
        self.assertEqual((kind, status), (REFUSED, DENIED))
        self.assertIn("cluster", text)

    def test_a_worker_with_another_number_of_shards_is_refused(self):
        worker = FakeWorker(self.cluster)
        worker.shards = 5
        kind, status, text = worker.hello()
        self.assertEqual((kind, status), (REFUSED, DENIED))
        self.assertIn("shards", text)

    def test_messages_without_a_link_are_told_to_say_hello(self):
        worker = FakeWorker(self.cluster)
        for link in ([1, 1], [0, 0], [2**64 - 1, 2**64 - 1]):
            for kind, fields in ((REPORT, [[]]), (REPLIES, [[]]), (BYE, [0]), (HEARTBEAT, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, "", []])):
                worker.send(kind, *fields, link=link)
                self.assertEqual(worker.receive(REFUSED)[1], STALE)

    def test_a_stranger_cannot_speak_for_the_real_worker(self):
        worker = FakeWorker(self.cluster)
        generation = self.cluster.query("stats")["generation"]
        for link in range(1, 20):
            worker.bye(link=[link, generation])
            self.assertEqual(worker.receive(REFUSED)[1], STALE)

    def test_an_older_epoch_is_released(self):
        shards = self.cluster.query("shards")["shards"]
        worker = FakeWorker(self.cluster).welcome()
        worker.report([[shard["shard"], shard["epoch"], 10**9, SERVING] for shard in shards])
        released = {holding[0]: holding for holding in worker.receive(ASSIGN)[3]}
        for shard in shards:
            self.assertEqual(released[shard["shard"]][3], RELEASED, shard)
            self.assertGreaterEqual(released[shard["shard"]][1], shard["epoch"])

    def test_shards_that_hold_data_stay_where_they_are(self):
        worker = FakeWorker(self.cluster).welcome()
        worker.report()
        worker.heartbeat()
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2)
        self.assertEqual({shard["worker"] for shard in self.cluster.query("shards")["shards"]}, {"w1"})

    def test_messages_that_break_the_protocol(self):
        socket = self.cluster.raw("workers")
        hostile = [bytes.fromhex(vector["hex"]) for vector in VECTORS["refused_messages"]]
        for vector in VECTORS["messages"]:
            if vector["type"] in WORKER_TO_BROKER and len(vector["hex"]) < 400:
                whole = bytes.fromhex(vector["hex"])
                hostile += [whole[:size] for size in range(len(whole))]
        for message in hostile:
            socket.send(message)
            _, kind, status, _ = msgpack.unpackb(socket.recv())
            self.assertIn(kind, (7, REFUSED), message)
            self.assertNotEqual(status, OK)


class Alone(EvenkeelTest):
    """The fake worker is the only one, so that its answers can be seen at a client."""

    def setUp(self):
        self.cluster = self.own_cluster(workers=0, shards=2)
        self.client = self.cluster.raw()

    def put(self, number, key=b"k"):
        self.client.send(msgpack.packb([1, 3, [[number, WRITE, 0, None, msgpack.packb([[1, key, b"v"]])]]]))

    def answer(self):
        _, kind, replies = msgpack.unpackb(self.client.recv())
        self.assertEqual((kind, len(replies)), (4, 1))
        return replies[0][:3]

    def test_a_job_goes_to_the_worker_and_its_answer_to_the_client(self):
        worker = FakeWorker(self.cluster)
        self.assertEqual({(holding[0], holding[3]) for holding in worker.join()}, {(0, SERVING), (1, SERVING)})
        self.put(7)
        (job,) = worker.jobs()
        self.assertEqual((job["kind"], job["position"], job["producer"]), (WRITE, 1, 0))
        self.assertEqual(msgpack.unpackb(job["body"]), [[1, b"k", b"v"]])
        worker.reply(job)
        self.assertEqual(self.answer(), [7, OK, 1])

    def test_answers_of_another_link_are_ignored(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        self.put(8)
        (job,) = worker.jobs()
        link, generation = worker.link
        for other in ([link + 1, generation], [link, generation + 1], [link, generation - 1], [0, generation]):
            worker.reply(job, link=other)
            self.assertEqual(worker.receive(REFUSED)[1], STALE)
        self.assertEqual(self.client.poll(0), 0, "a stale answer reached the client")
        worker.reply(job)
        self.assertEqual(self.answer(), [8, OK, 1])

    def test_an_answer_is_taken_once(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        self.put(9)
        (job,) = worker.jobs()
        worker.reply(job)
        worker.reply(job, status=11)
        worker.reply({**job, "token": job["token"] + 1000})
        self.assertEqual(self.answer(), [9, OK, 1])
        self.put(10)
        (second,) = worker.jobs()
        self.assertEqual(second["position"], 2)
        worker.reply(second)
        self.assertEqual(self.answer(), [10, OK, 2])

    def test_a_new_link_gets_what_was_in_flight_in_order_with_its_positions(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        for number in range(5):
            self.put(number)
        before = []
        while len(before) < 5:
            before += worker.jobs()
        old_link = worker.link
        worker.reconnect()
        worker.join([[shard, epoch, 0, SERVING] for shard, epoch in {(job["shard"], job["epoch"]) for job in before}])
        self.assertNotEqual(worker.link, old_link)
        after = []
        while len(after) < 5:
            after += worker.jobs()
        self.assertEqual([(job["position"], job["body"]) for job in after], [(job["position"], job["body"]) for job in before])
        for job in after:
            worker.reply(job)
        answers = []
        while len(answers) < 5:
            answers += msgpack.unpackb(self.client.recv())[2]
        self.assertEqual([answer[0] for answer in answers], list(range(5)))

    def test_a_silent_worker_is_away_and_its_jobs_wait_for_it(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        self.put(1)
        (job,) = worker.jobs()
        stats = self.cluster.wait_stats(lambda stats: stats["workers_up"] == 0)
        self.assertEqual(stats["shards_unavailable"], 2)
        worker.reply(job)
        self.assertEqual(worker.receive(REFUSED)[1], STALE)
        worker.join([[job["shard"], job["epoch"], 0, SERVING]])
        (again,) = worker.jobs()
        self.assertEqual(again["position"], job["position"])
        worker.reply(again)
        self.assertEqual(self.answer()[:2], [1, OK])

    def test_a_worker_without_credit_gets_nothing_it_did_not_ask_for(self):
        worker = FakeWorker(self.cluster).welcome()
        worker.report()
        worker.assigned()
        worker.heartbeat(jobs=2, size=1 << 20)
        for number in range(10):
            self.put(number)
        first = []
        while len(first) < 2:
            first += worker.jobs()
        self.assertEqual(len(first), 2)
        for job in first:
            worker.reply(job)
        rest = []
        while len(rest) < 8:
            more = worker.jobs()
            self.assertLessEqual(len(more), 2)
            rest += more
            for job in more:
                worker.reply(job)
            worker.heartbeat(jobs=2, size=1 << 20)
        answers = []
        while len(answers) < 10:
            answers += msgpack.unpackb(self.client.recv())[2]
        self.assertEqual([answer[:2] for answer in answers], [[number, OK] for number in range(10)])

    def test_a_client_that_ends_is_made_known_with_the_next_write(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        producers = []
        for number in range(3):
            writer = self.cluster.start_command(f"put{number}", self.cluster.cli_command("put", "{one}", str(number)))
            job, = worker.jobs()
            self.assertEqual(job["closed"], producers[-1] if producers else 0)
            self.assertNotIn(job["producer"], [0, *producers])
            producers.append(job["producer"])
            worker.reply(job)
            self.assertEqual(writer.wait_end(), 0, writer.logged())

    def test_a_broker_whose_directory_is_old_ends(self):
        worker = FakeWorker(self.cluster)
        worker.generation = 10**6
        worker.socket.send(msgpack.packb([1, HELLO, worker.id, 1, worker.generation, None, 0, 1000, "later", ""]))
        self.assertNotEqual(self.cluster.broker.wait_end(), 0)
        self.assertIn("directory is old", self.cluster.broker.logged())


if __name__ == "__main__":
    unittest.main()
