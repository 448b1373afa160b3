"""A whole Evenkeel client in 80 lines, for any language to copy: ZeroMQ, MessagePack and common/PROTOCOL.md, nothing else.

    store = Store("tcp://127.0.0.1:5600")
    store.put("user:1", "Ada", ttl_ms=60000, if_absent=True)
    store.get("user:1")                        # (b'Ada', 1, 59998): value, version, milliseconds left; None when it is not there
    store.transaction([put("{cart:1}/a", "1"), increment("{cart:1}/total", 5)])    # one hash tag, whole or not at all
"""
import msgpack
import zmq

OK, NOT_FOUND, CONDITION_FAILED, EXPIRED, BUSY, FAILED = 0, 1, 2, 5, 8, 11
READ, WRITE, TRANSACTION, DELETE = 0, 1, 2, 4


class Refused(Exception):
    def __init__(self, status, index=None, result=None):  # of the operation that stopped the job, where one did
        super().__init__(f"status {status}, operation {index}: {result}")
        self.status, self.index, self.result = status, index, result


put = lambda key, value, ttl_ms=0, if_absent=False, if_version=None: [1, key, value, ttl_ms, 0 if if_absent else if_version]
get, delete, exists = (lambda key, code=code: [code, key] for code in (2, 3, 4))
increment = lambda key, by=1: [5, key, by]


class Store:
    def __init__(self, endpoint, kind=zmq.DEALER, timeout_ms=10000):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
        self.socket.connect(endpoint)
        self.last = 0

    def job(self, kind, operations, deadline_ms=0):
        """One job of one or more operations on one shard: the version of its first write, and the result of each operation."""
        self.last += 1
        self.socket.send(msgpack.packb([1, 3, [[self.last, kind, deadline_ms, None, msgpack.packb(operations)]]]))
        while True:
            message = msgpack.unpackb(self.socket.recv())
            if message[1] != 4:
                raise Refused(message[2], None, message[3])
            for number, status, version, _retry_ms, body in message[2]:
                if number == self.last:
                    results = msgpack.unpackb(body) if body else [OK] * len(operations)
                    if status != OK:
                        raise Refused(status, *(results if body else ()))
                    return version, results

    def put(self, key, value, **options):
        """The new version, or Refused with CONDITION_FAILED."""
        version, (result,) = self.job(WRITE, [put(key, value, **options)])
        if result != OK:
            raise Refused(result[0], 0, result)
        return version

    def get(self, key):
        _, (result,) = self.job(READ, [get(key)])
        return None if result == NOT_FOUND else tuple(result[1:])

    def delete(self, key):
        return self.job(WRITE, [delete(key)])[1] == [OK]

    def exists(self, key):
        return self.job(READ, [exists(key)])[1] == [OK]

    def increment(self, key, by=1):
        _, (result,) = self.job(WRITE, [increment(key, by)])
        if result[0] != OK:
            raise Refused(result[0], 0, result)
        return result[1]

    def transaction(self, operations):
        return self.job(TRANSACTION, operations)

    def scan(self, prefix="", values=True, limit=1000):
        """Every (key, version, value, ttl_ms) below `prefix`; in key order when it begins with a whole {hash tag}."""
        cursor = b""
        while cursor is not None:
            _, ((_, entries, cursor),) = self.job(READ, [[6, prefix, cursor, limit, 1 if values else 0]])
            yield from (tuple(entry) for entry in entries)
