"""Every operation through the thin client, with a DEALER and with a REQ socket."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import zmq  # noqa: E402
from cluster import ClusterTest  # noqa: E402
from thin_client import (CONDITION_FAILED, DELETE, FAILED, NOT_FOUND, OK, READ, TRANSACTION, WRITE, Refused, delete, exists, get, increment,
                         put)  # noqa: E402

USAGE, TOO_LARGE, ALONE = 3, 10, 16
DAY_MS = 86400000


class WithDealer(ClusterTest):
    kind = zmq.DEALER

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store = cls.cluster.store(cls.kind)

    def key(self, name=""):
        return f"{self.id()}/{name}".encode()

    def tag(self, name=""):
        return f"{{{self.id()}}}/{name}".encode()

    def refused(self, status, call, *arguments, **options):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.status, status, caught.exception)
        return caught.exception

    # ---- put, get, delete, exists ----

    def test_a_value_comes_back(self):
        for value in (b"", b"Ada", bytes(range(256)), b"x" * 100000):
            version = self.store.put(self.key(), value)
            self.assertEqual(self.store.get(self.key()), (value, version, None))

    def test_versions_rise(self):
        versions = [self.store.put(self.key(), b"%d" % i) for i in range(10)]
        self.assertEqual(versions, sorted(set(versions)))

    def test_what_is_not_there_is_not_found(self):
        self.assertIsNone(self.store.get(self.key()))
        self.assertFalse(self.store.exists(self.key()))
        self.assertFalse(self.store.delete(self.key()))

    def test_a_deleted_key_is_gone(self):
        self.store.put(self.key(), b"v")
        self.assertTrue(self.store.exists(self.key()))
        self.assertTrue(self.store.delete(self.key()))
        self.assertFalse(self.store.delete(self.key()))
        self.assertIsNone(self.store.get(self.key()))

    def test_binary_keys_are_told_apart(self):
        keys = [self.key() + suffix for suffix in (b"", b"\x00", b"\x00\x00", b"\xff", b"\xff\x00")]
        for key in keys:
            self.store.put(key, key)
        for key in keys:
            self.assertEqual(self.store.get(key)[0], key)

    def test_the_largest_key_and_value(self):
        key, value = self.key().ljust(4096, b"k"), os.urandom(16 * 1024 * 1024)
        self.store.put(key, value)
        self.assertEqual(self.store.get(key)[0], value)
        self.assertTrue(self.store.delete(key))

    # ---- conditions and expiry ----

    def test_if_absent(self):
        version = self.store.put(self.key(), b"first", if_absent=True)
        refused = self.refused(CONDITION_FAILED, self.store.put, self.key(), b"second", if_absent=True)
        self.assertEqual(refused.result[1], version)
        self.assertEqual(self.store.get(self.key())[0], b"first")
        self.store.delete(self.key())
        self.store.put(self.key(), b"third", if_absent=True)

    def test_if_version(self):
        self.assertEqual(self.refused(CONDITION_FAILED, self.store.put, self.key(), b"v", if_version=77).result[1], 0)
        version = self.store.put(self.key(), b"one")
        second = self.store.put(self.key(), b"two", if_version=version)
        self.assertEqual(self.refused(CONDITION_FAILED, self.store.put, self.key(), b"three", if_version=version).result[1], second)
        self.assertEqual(self.store.get(self.key()), (b"two", second, None))

    def test_expiry_is_shown_kept_and_cleared(self):
        self.store.put(self.key(), b"1", ttl_ms=DAY_MS)
        self.assertTrue(0 < self.store.get(self.key())[2] <= DAY_MS)
        self.store.increment(self.key())
        self.assertTrue(0 < self.store.get(self.key())[2] <= DAY_MS, "an increment keeps the expiry")
        self.store.put(self.key(), b"1")
        self.assertIsNone(self.store.get(self.key())[2], "a put clears the expiry")

    def test_what_has_expired_is_gone(self):
        self.store.put(self.key(), b"v", ttl_ms=1)
        while self.store.get(self.key()) is not None:
            pass
        self.assertFalse(self.store.exists(self.key()))
        self.assertFalse(self.store.delete(self.key()))
        self.store.put(self.key(), b"w", if_absent=True)

    # ---- increments ----

    def test_increments_add_up(self):
        self.assertEqual(self.store.increment(self.key()), 1)
        self.assertEqual(self.store.increment(self.key(), 41), 42)
        self.assertEqual(self.store.increment(self.key(), -50), -8)
        self.assertEqual(self.store.get(self.key())[0], b"-8")

    def test_increments_of_what_is_no_number_fail(self):
        for value in (b"", b"Ada", b"1.5", b"12x", b" 1", b"9223372036854775808", b"x" * 1000):
            self.store.put(self.key(), value)
            self.refused(FAILED, self.store.increment, self.key())
            self.assertEqual(self.store.get(self.key())[0], value)

    def test_increments_do_not_overflow(self):
        for start, by in ((2**63 - 1, 1), (-(2**63), -1)):
            self.store.put(self.key(), str(start).encode())
            self.assertEqual(self.store.increment(self.key(), 0), start)
            self.refused(FAILED, self.store.increment, self.key(), by)
            self.assertEqual(self.store.get(self.key())[0], str(start).encode())

    # ---- batches and transactions ----

    def test_a_batch_has_a_result_for_each_operation(self):
        a, b, n = self.tag("a"), self.tag("b"), self.tag("n")
        version, results = self.store.job(WRITE, [put(a, b"1"), put(a, b"2", if_absent=True), put(b, b"3"), delete(self.tag("none")), exists(a),
                                                  increment(n, 5), increment(b, -1)])
        self.assertEqual(results, [OK, [CONDITION_FAILED, version], OK, NOT_FOUND, OK, [OK, 5], [OK, 2]])
        _, results = self.store.job(READ, [get(a), get(b), exists(n), get(self.tag("none")), exists(self.tag("none"))])
        self.assertEqual(results, [[OK, b"1", version, None], [OK, b"2", version + 6, None], OK, NOT_FOUND, NOT_FOUND])

    def test_a_batch_of_plain_puts_has_no_body(self):
        version, results = self.store.job(WRITE, [put(self.tag(str(i)), b"v") for i in range(4000)])
        self.assertEqual(results, [OK] * 4000)
        self.assertEqual(self.store.get(self.tag("3999"))[1], version + 3999)

    def test_a_transaction_is_applied_whole(self):
        a, b, n = self.tag("a"), self.tag("b"), self.tag("n")
        self.store.put(b, b"old")
        version, results = self.store.transaction([put(a, b"1"), increment(n, 7), delete(b)])
        self.assertEqual(results, [OK, [OK, 7], OK])
        self.assertEqual([self.store.get(a), self.store.get(b)], [(b"1", version, None), None])

    def test_a_transaction_that_cannot_be_applied_changes_nothing(self):
        a, b = self.tag("a"), self.tag("b")
        version = self.store.put(a, b"old")
        refused = self.refused(CONDITION_FAILED, self.store.transaction, [put(b, b"1"), put(a, b"new", if_absent=True), put(b, b"2")])
        self.assertEqual((refused.index, refused.result), (1, [CONDITION_FAILED, version]))
        self.store.put(b, b"not a number")
        refused = self.refused(FAILED, self.store.transaction, [put(a, b"new"), increment(b)])
        self.assertEqual(refused.index, 1)
        self.assertEqual(self.store.get(a), (b"old", version, None))

    def test_a_delete_job_deletes_only(self):
        self.store.put(self.tag("a"), b"v")
        self.assertEqual(self.store.job(DELETE, [delete(self.tag("a")), delete(self.tag("b"))])[1], [OK, NOT_FOUND])
        self.refused(FAILED, self.store.job, DELETE, [put(self.tag("a"), b"v")])
        self.assertIsNone(self.store.get(self.tag("a")))

    def test_a_job_of_another_kind_than_its_operations_fails(self):
        self.refused(FAILED, self.store.job, READ, [put(self.key(), b"v")])
        self.refused(FAILED, self.store.job, WRITE, [get(self.key())])
        self.refused(FAILED, self.store.job, TRANSACTION, [put(self.tag("a"), b"v"), get(self.tag("a"))])
        self.assertIsNone(self.store.get(self.key()))
        self.assertIsNone(self.store.get(self.tag("a")))

    def test_keys_of_another_shard_fail_the_job(self):
        keys = [self.key(str(i)) for i in range(50)]
        self.refused(FAILED, self.store.job, WRITE, [put(key, b"v") for key in keys])
        self.refused(FAILED, self.store.job, TRANSACTION, [put(key, b"v") for key in keys])
        for key in keys:
            self.assertIsNone(self.store.get(key))

    def test_replies_that_might_not_fit_are_refused(self):
        count = 4096 // 48 + 1
        with self.assertRaises(Refused):
            self.store.job(WRITE, [increment(self.tag("n")) for _ in range(count)])
        self.assertIsNone(self.store.get(self.tag("n")))
        self.assertEqual(self.store.job(WRITE, [increment(self.tag("n")) for _ in range(count - 1)])[1][-1], [OK, count - 1])

    def test_reads_that_do_not_fit_beside_others_are_asked_for_alone(self):
        for i in range(4):
            self.store.put(self.tag(str(i)), b"x" * 15 * 1024 * 1024)
        results = self.store.job(READ, [get(self.tag(str(i))) for i in range(4)])[1]
        self.assertIn(ALONE, results)
        self.assertTrue(all(result == ALONE or result[0] == OK for result in results))
        for i in range(4):
            self.assertEqual(len(self.store.get(self.tag(str(i)))[0]), 15 * 1024 * 1024)
            self.store.delete(self.tag(str(i)))

    # ---- scans ----

    def test_a_tag_is_scanned_in_key_order(self):
        keys = [self.tag(f"{i:03}") for i in range(100)]
        for key in reversed(keys):
            self.store.put(key, b"v" + key)
        self.store.put(f"{{{self.id()}}}other".encode(), b"not below the prefix")
        for limit in (1, 7, 100, 1000):
            found = list(self.store.scan(self.tag(), limit=limit))
            self.assertEqual([entry[0] for entry in found], keys, limit)
            self.assertTrue(all(value == b"v" + key for key, _, value, _ in found))
        self.assertEqual([entry[2] for entry in self.store.scan(self.tag(), values=False)], [None] * 100)

    def test_the_whole_store_is_scanned(self):
        keys = {self.key(str(i)) for i in range(300)}
        for key in keys:
            self.store.put(key, b"v")
        found = [entry[0] for entry in self.store.scan(self.key(), limit=13)]
        self.assertEqual(len(found), 300)
        self.assertEqual(set(found), keys)
        self.assertLessEqual(keys, {entry[0] for entry in self.store.scan()})

    def test_scans_leave_out_what_has_expired(self):
        self.store.put(self.tag("kept"), b"v", ttl_ms=DAY_MS)
        self.store.put(self.tag("gone"), b"v", ttl_ms=1)
        while self.store.exists(self.tag("gone")):
            pass
        (entry,) = self.store.scan(self.tag())
        self.assertEqual(entry[0], self.tag("kept"))
        self.assertTrue(0 < entry[3] <= DAY_MS)

    def test_a_scan_of_nothing_ends_at_once(self):
        self.assertEqual(list(self.store.scan(self.tag())), [])

    # ---- limits of a job ----

    def test_keys_and_values_one_beyond_their_limits_are_too_large(self):
        self.refused(TOO_LARGE, self.store.put, b"k" * 4097, b"v")
        self.refused(TOO_LARGE, self.store.get, b"k" * 4097)
        self.refused(TOO_LARGE, self.store.put, self.key(), b"v" * (16 * 1024 * 1024 + 1))
        self.refused(USAGE, self.store.put, b"", b"v")

    def test_a_deadline_that_is_long_enough_changes_nothing(self):
        self.assertEqual(self.store.job(WRITE, [put(self.key(), b"v")], deadline_ms=DAY_MS)[1], [OK])


class WithReq(WithDealer):
    kind = zmq.REQ


if __name__ == "__main__":
    unittest.main()
