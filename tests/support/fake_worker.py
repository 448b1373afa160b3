"""A worker in a few lines of Python that says whatever a test wants it to say to a real broker. It stores nothing."""
import os

import msgpack

HELLO, WELCOME, REFUSED, REPORT, ASSIGN, ASSIGNED, JOBS, REPLIES, HEARTBEAT, PULSE, BYE = range(32, 43)
SERVING, RELEASED = 1, 2
PROBE, DEAD = 5, 6
OK, DENIED, STALE = 0, 9, 14


class FakeWorker:
    def __init__(self, cluster, name="fake"):
        self.harness = cluster
        self.id = os.urandom(16)
        self.name = name
        self.incarnation = 1
        self.generation = 0
        self.cluster_id = None
        self.shards = 0
        self.endpoint = ""
        self.link = None
        self.waiting = []
        self.socket = cluster.raw("workers")

    def reconnect(self):
        """A new connection; the old one stays open and silent."""
        self.socket = self.harness.raw("workers")

    def send(self, kind, *fields, link=None):
        self.socket.send(msgpack.packb([1, kind, *(link or self.link), *fields]))

    def receive(self, *kinds):
        """The next message of one of these kinds: [kind, fields behind it]. Others are skipped."""
        while True:
            version, kind, *fields = msgpack.unpackb(self.socket.recv())
            assert version == 1, version
            if kind in kinds:
                return [kind, *fields]

    def hello(self):
        self.socket.send(msgpack.packb([1, HELLO, self.id, self.incarnation, self.generation, self.cluster_id, self.shards, 1000, self.name, self.endpoint]))
        return self.receive(WELCOME, REFUSED)

    def welcome(self):
        kind, *fields = self.hello()
        assert kind == WELCOME, fields
        self.link = fields[:2]
        self.generation, self.cluster_id, self.shards = fields[1], fields[2], fields[3]
        return self

    def report(self, holdings=()):
        self.send(REPORT, list(holdings))

    def assigned(self, positions=None):
        """Waits for an assignment and says that it is durable. What was assigned."""
        _, _, _, holdings = self.receive(ASSIGN)
        self.send(ASSIGNED, [[shard, epoch, (positions or {}).get(shard, 0), state] for shard, epoch, _, state in holdings])
        return holdings

    def heartbeat(self, jobs=100, size=1 << 20, reads=100, alarm=""):
        self.send(HEARTBEAT, 0, jobs, size, reads, 1 << 34, 1 << 35, 1 << 20, 0, 0, 0, 100, 200, 0, 0, alarm, [])

    def join(self, holdings=(), positions=None):
        self.welcome()
        self.report(holdings)
        mine = self.assigned(positions)
        self.heartbeat()
        return mine

    def jobs(self):
        """The next jobs, each as a dict; probes are answered."""
        names = "token shard epoch kind position stamp_unix_ms producer number lowest confirmed closed body".split()
        while True:
            jobs = [dict(zip(names, job)) for job in self.receive(JOBS)[3]]
            for job in jobs:
                if job["kind"] == PROBE:
                    self.reply(job)
            if wanted := [job for job in jobs if job["kind"] != PROBE]:
                return wanted

    def bye(self, cause=0, link=None):
        self.send(BYE, cause, link=link)

    def reply(self, job, status=OK, body=None, link=None):
        self.send(REPLIES, [[job["token"], status, job["position"], 0, body]], link=link)
