#!/usr/bin/python3
"""Writes tests/vectors/messages.json from common/PROTOCOL.md alone, with Debian's python3-msgpack: it shares no code with the C codec.

    make_vectors.py                 writes messages.json beside this file
    make_vectors.py --corpus DIR    writes every vector as one file, to start the fuzzer from

In the file: `messages`, `operations` and `results` have a name, the bytes in hex, the array as MessagePack holds it, and the fields by
name. `accepted` are forms that a reader takes but a writer does not choose, each with the form that it would choose. `refused` are hostile
bytes and the status a reader gives them. Binaries are {"bin": hex}; whole numbers that JSON readers may not hold are {"int": decimal}.
"""
import json
import pathlib
import sys

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
U64 = 2**64 - 1
CLUSTER = bytes(range(16))
WORKER = bytes(range(240, 256))

NAMES = {
    "hello": (1, "id name wants_producer"),
    "welcome": (2, "id cluster generation connection shards producer now_unix_ms stats_endpoint"),
    "jobs": (3, "jobs"),
    "replies": (4, "replies"),
    "query": (5, "id what"),
    "answer": (6, "id status text"),
    "error": (7, "status text"),
    "admin": (8, "id words"),
    "close": (9, "closed_producers"),
    "worker_hello": (32, "worker incarnation generation cluster shards capacity_milli name endpoint"),
    "worker_welcome": (33, "link generation cluster shards liveness_ms"),
    "worker_refused": (34, "status text"),
    "worker_report": (35, "link generation holdings"),
    "worker_assign": (36, "link generation holdings"),
    "worker_assigned": (37, "link generation holdings"),
    "worker_jobs": (38, "link generation worker_jobs"),
    "worker_replies": (39, "link generation worker_replies"),
    "worker_heartbeat": (40, "link generation stalled_ms credit_jobs credit_bytes credit_reads disk_free_bytes disk_total_bytes disk_reserve_bytes rate_bytes stored_bytes stored_keys"
                             " commit_p50_us commit_p99_us busy_us dead_kept alarm loads"),
    "worker_pulse": (41, "link generation"),
    "worker_bye": (42, "link generation cause"),
    "worker_loss": (43, "link generation losses"),
    "worker_move": (44, "link generation shard attempt step epoch position bytes_per_second endpoint"),
    "worker_feed": (45, "link generation fed"),
    "worker_moved": (46, "link generation shard attempt step position bytes text"),
    "worker_check": (47, "link generation check"),
    "worker_checked": (48, "link generation check last checked"),
    "copy_ask": (64, "generation shard attempt chunk"),
    "copy_chunk": (65, "generation shard attempt chunk last entries hash memory checksum body"),
}
ITEMS = {
    "jobs": "id kind deadline_ms route body",
    "replies": "id status position retry_ms body",
    "holdings": "shard epoch position state",
    "losses": "shard epoch position floor",
    "closed_producers": "shard producer",
    "worker_jobs": "token shard epoch kind position stamp_unix_ms producer number lowest confirmed closed body",
    "worker_replies": "token status position flags body",
    "loads": "shard stored_bytes operations bytes_in bytes_out busy_us expires_unix_ms",
    "checked": "shard state epoch position rows expired_rows bad_rows bad_entries hash",
    "route": "shard producer number lowest flags",
    "entries": "key version value ttl_ms",
    "letters": "id time_unix_ms producer kind operations cause job",
}
OPERATIONS = {1: "code key value ttl_ms condition", 2: "code key", 3: "code key", 4: "code key", 5: "code key by",
              6: "code key cursor limit flags", 7: "code cursor limit flags", 8: "code key", 9: "code key"}

PUT, GET, DELETE, EXISTS, INCREMENT, SCAN, LIST, DROP, REPLAY = range(1, 10)
READ, WRITE, TRANSACTION, CANCEL, DELETES, PROBE, DEAD = range(7)
LETTER = bytes.fromhex("1234" "00000000000030a1")  # hash prefix, position


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def body(*items):
    """What stands in a job or a reply: a binary that holds an array."""
    return pack(list(items))


MESSAGES = [
    ("hello", "hello", [7, "shop", True]),
    ("hello_without_producer", "hello", [0, "", False]),
    ("hello_longest_name", "hello", [U64, "n" * 255, True]),
    ("welcome", "welcome", [7, CLUSTER, 3, 0x1234567890, 512, 1700000000000 * 2**20 + 5, 1700000000001, "tcp://127.0.0.1:5602"]),
    ("welcome_without_producer", "welcome", [U64, CLUSTER, 1, 1, 1, 0, 0, ""]),
    ("welcome_most_shards", "welcome", [1, CLUSTER, U64, U64, 8192, U64, U64, "tcp://[::1]:1"]),
    ("jobs_none", "jobs", [[]]),
    ("jobs_thin_put", "jobs", [[[1, WRITE, 0, None, body([PUT, b"user:1", b"Ada"])]]]),
    ("jobs_thin_get", "jobs", [[[2, READ, 5000, None, body([GET, b"user:1"])]]]),
    ("jobs_thin_scan", "jobs", [[[3, READ, 0, None, body([SCAN, b"{user:1}/", b"", 100, 1])]]]),
    ("jobs_thin_transaction", "jobs", [[[4, TRANSACTION, 86400000, None, body([PUT, b"{a}x", b"1"], [INCREMENT, b"{a}n", -3], [DELETE, b"{a}y"])]]]),
    ("jobs_thin_delete", "jobs", [[[5, DELETES, 0, None, body([DELETE, b"k"])]]]),
    ("jobs_numbered_write", "jobs", [[[U64, WRITE, 1, [511, 2**63, 70, 7, 0], body([PUT, b"k", b""])]]]),
    ("jobs_repeated_write", "jobs", [[[8, WRITE, 65536, [8191, U64, U64, U64, 1], body([PUT, b"k", b"v", 1000])]]]),
    ("jobs_read_after_write", "jobs", [[[9, READ, 0, [0, 12, 34, 0, 0], body([GET, b"k"], [EXISTS, b"k"])]]]),
    ("jobs_library_read", "jobs", [[[10, READ, 0, [3, 0, 0, 0, 0], body([GET, b"k"])]]]),
    ("jobs_cancel", "jobs", [[[11, CANCEL, 0, [17, 99, 5, 4, 1], body(5)]]]),
    ("jobs_many", "jobs", [[[i, WRITE, 0, None, body([PUT, b"k%d" % i, b"v" * i])] for i in range(20)]]),
    ("replies_none", "replies", [[]]),
    ("replies_all_zero", "replies", [[[1, 0, 41, 0, None]]]),
    ("replies_results", "replies", [[[2, 0, 0, 0, body([0, b"Ada", 41, None], 1, 16)]]]),
    ("replies_busy", "replies", [[[3, 8, 0, 250, None], [4, 8, 0, 2**32 - 1, None]]]),
    ("replies_gap", "replies", [[[5, 13, 17, 0, None]]]),
    ("replies_condition_failed", "replies", [[[6, 2, 0, 0, body(1, [2, 9])]]]),
    ("replies_failed", "replies", [[[U64, 11, U64, 0, body(0, [11, "not a number"])]]]),
    ("replies_every_status", "replies", [[[i, i, i, i, None] for i in range(17)]]),
    ("query_stats", "query", [1, "stats"]),
    ("query_workers", "query", [U64, "workers"]),
    ("answer", "answer", [1, 0, b'{"status":"ok"}']),
    ("answer_failed", "answer", [2, 3, b""]),
    ("admin_accept_loss", "admin", [9, ["accept-loss", "3"]]),
    ("admin_most_words", "admin", [U64, ["w" * 255] * 8]),
    ("close", "close", [[[7, 55], [8191, U64]]]),
    ("close_none", "close", [[]]),
    ("error", "error", [3, "message type 99 is not known"]),
    ("worker_hello", "worker_hello", [WORKER, 12, 3, CLUSTER, 512, 1500, "w1", "tcp://127.0.0.1:40001"]),
    ("worker_hello_first", "worker_hello", [WORKER, 1, 0, None, 0, 1000, "", ""]),
    ("worker_hello_largest", "worker_hello", [WORKER, U64, U64, CLUSTER, 8192, 1000000, "n" * 255, "e" * 255]),
    ("worker_welcome", "worker_welcome", [71, 3, CLUSTER, 512, 2000]),
    ("worker_refused", "worker_refused", [14, "say hello again"]),
    ("worker_report_empty", "worker_report", [71, 3, []]),
    ("worker_report", "worker_report", [71, 3, [[0, 1, 0, 1], [511, 2**40, 2**50, 2], [8191, U64, U64, 1], [9, 3, 7, 3], [10, 3, 8, 4], [11, 4, 9, 5]]]),
    ("worker_assign", "worker_assign", [72, 4, [[7, 9, 0, 1], [8, 10, 0, 2]]]),
    ("worker_assigned", "worker_assigned", [73, 5, [[7, 9, 12345, 1]]]),
    ("worker_jobs", "worker_jobs", [71, 3, [[1001, 7, 9, WRITE, 12346, 1700000000000, 55, 56, 50, 12300, 54, body([PUT, b"k", b"v"], [DELETE, b"j"])],
                                            [1002, 7, 9, READ, 12347, 1700000000001, 0, 0, 0, 0, 0, body([GET, b"k"])]]]),
    ("worker_jobs_cancel", "worker_jobs", [U64, U64, [[U64, 8191, U64, CANCEL, U64, U64, U64, U64, U64, U64, U64, body(5)]]]),
    ("worker_jobs_probe", "worker_jobs", [71, 3, [[0, 0, 0, PROBE, 0, 0, 0, 0, 0, 0, 0, b""]]]),
    ("worker_jobs_dead", "worker_jobs", [71, 3, [[1003, 7, 9, DEAD, 12350, 1700000000000, 55, 57, 50, 12300, 0,
                                                 body(b"worker w1 died 3 times", 1700000000009, WRITE, 2, body([PUT, b"k", b"v"], [DELETE, b"j"]))],
                                                [1004, 7, 9, DEAD, 12352, 1700000000000, 0, 0, 0, 0, 0, body(b"", U64, TRANSACTION, 4096, None)]]]),
    ("worker_jobs_empty_write", "worker_jobs", [71, 3, [[1003, 7, 9, CANCEL, 12348, 1700000000002, 0, 0, 0, 12347, 0, body(0)]]]),
    ("worker_jobs_none", "worker_jobs", [1, 1, []]),
    ("worker_replies", "worker_replies", [71, 3, [[1001, 0, 12346, 0, None], [1002, 0, 0, 0, body([0, b"v", 12346, 900])], [1003, 15, 12348, 0, None],
                                                 [1004, 0, 12000, 1, None]]]),
    ("worker_heartbeat", "worker_heartbeat", [71, 3, 5, 4096, 8388608, 1024, 2**38, 2**39, 2**30, 2**27, 2**30, 1000001, 200, 900, 123456789, 3, "",
                                              [[7, 2**20, 10, 11, 12, 13, 0], [8191, 1, 2, 3, 4, 5, U64]]]),
    ("worker_heartbeat_alarm", "worker_heartbeat", [1, 1, 2**32 - 1, 65536, 16777216, 4096, 0, U64, U64, 0, 0, 0, 2**32 - 1, 2**32 - 1, U64, U64, "disk below its reserve", []]),
    ("worker_pulse", "worker_pulse", [71, 3]),
    ("worker_bye", "worker_bye", [U64, U64, 0]),
    ("worker_bye_storage", "worker_bye", [71, 3, 1]),
    ("worker_move_fill", "worker_move", [71, 3, 7, 19, 1, 9, 0, 67108864, ""]),
    ("worker_move_copy", "worker_move", [71, 3, 7, 19, 2, 9, 0, 67108864, ""]),
    ("worker_move_pull", "worker_move", [72, 3, 7, 19, 3, 9, 12345, 67108864, "tcp://127.0.0.1:40001"]),
    ("worker_move_drop", "worker_move", [U64, U64, 8191, U64, 4, U64, U64, U64, "e" * 255]),
    ("worker_feed", "worker_feed", [72, 3, [[[19, 7, 0, WRITE, 12346, 1700000000000, 55, 56, 50, 12300, 54, body([PUT, b"k", b"v"], [INCREMENT, b"n", 1])],
                                             [19, 0, 12346, 0, body(0, [0, 1])]],
                                            [[19, 7, 0, CANCEL, 12348, 1700000000001, 55, 57, 50, 12300, 0, body(5)], [19, 5, 12348, 0, None]],
                                            [[19, 7, 0, DELETES, 12349, 1700000000001, 0, 0, 0, 0, 0, body([DELETE, b"k"])], [19, 0, 12349, 1, None]],
                                            [[19, 7, 0, DEAD, 12350, 1700000000001, 0, 0, 0, 0, 0, body(b"died", U64, WRITE, 1, body([DELETE, b"k"]))],
                                             [19, 12, 12350, 0, None]]]]),
    ("worker_feed_largest", "worker_feed", [U64, U64, [[[U64, 8191, U64, TRANSACTION, U64, U64, U64, U64, U64, U64, U64, body([PUT, b"k", b""])],
                                                        [U64, 16, U64, 1, body(0, [11, "not a number"])]]]]),
    ("worker_feed_none", "worker_feed", [72, 3, []]),
    ("worker_moved_emptied", "worker_moved", [72, 3, 7, 19, 1, 0, 0, ""]),
    ("worker_moved_copying", "worker_moved", [71, 3, 7, 19, 2, 12345, 0, ""]),
    ("worker_moved_fetched", "worker_moved", [72, 3, 7, 19, 3, 0, 262144, ""]),
    ("worker_moved_complete", "worker_moved", [72, 3, 7, 19, 4, 12345, 524288, ""]),
    ("worker_moved_fed", "worker_moved", [72, 3, 7, 19, 5, 12350, 0, ""]),
    ("worker_moved_failed", "worker_moved", [72, 3, 7, 19, 6, 0, 0, "a part of the copy is missing or damaged"]),
    ("worker_moved_cleaned", "worker_moved", [U64, U64, 8191, U64, 7, U64, U64, "t" * 255]),
    ("worker_check", "worker_check", [71, 3, 5]),
    ("worker_check_largest", "worker_check", [U64, U64, U64]),
    ("worker_checked_sign", "worker_checked", [71, 3, 5, 0, []]),
    ("worker_checked", "worker_checked", [71, 3, 5, 1, [[0, 0, 0, 0, 3, 0, 1, 0, 2**63], [7, 1, 9, 12345, 1000, 10, 0, 0, 0x0123456789ABCDEF],
                                                        [8, 2, 4, 17, 0, 0, 0, 0, 0], [9, 3, 3, 7, 1, 1, 1, 0, 1], [10, 4, 3, 8, 2, 0, 0, 0, 1],
                                                        [11, 5, 4, 9, 2, 0, 0, 2, 1]]]),
    ("worker_checked_largest", "worker_checked", [U64, U64, U64, 0, [[8191, 5, U64, U64, U64, U64, U64, U64, U64]]]),
    ("copy_ask", "copy_ask", [3, 7, 19, 0]),
    ("copy_ask_largest", "copy_ask", [U64, 8191, U64, U64]),
    ("copy_chunk", "copy_chunk", [3, 7, 19, 0, 0, 0, 0, None, 0x0123456789ABCDEF, b"\x00" + bytes([0, 3]) + bytes(7) + b"\x01" + b"\x12\x34k" + b"v"]),
    ("copy_chunk_last", "copy_chunk", [3, 7, 19, 1, 1, 1, U64, b"memory", 0x2D06800538D394C2, b""]),
    ("copy_chunk_last_with_empty_memory", "copy_chunk", [U64, 8191, U64, U64, 1, U64, 0, b"", U64, b"\xff" * 300]),
    ("worker_loss", "worker_loss", [71, 3, [[7, 9, 2**32 + 12345, 1700000000000 * 2**20 + 5], [8191, U64, U64, U64]]]),
]

OPERATION_VECTORS = [
    ("put", [PUT, b"user:1", b"Ada"]),
    ("put_empty_value", [PUT, b"k", b""]),
    ("put_binary", [PUT, bytes(range(256)), b"\x00\xff"]),
    ("put_with_ttl", [PUT, b"k", b"v", 30000]),
    ("put_longest_ttl", [PUT, b"k", b"v", 100 * 366 * 24 * 3600 * 1000]),
    ("put_if_absent", [PUT, b"k", b"v", 0, 0]),
    ("put_if_version", [PUT, b"k", b"v", 0, U64]),
    ("put_with_ttl_if_version", [PUT, b"k", b"v", 1, 7]),
    ("put_longest_key", [PUT, b"k" * 4096, b"v"]),
    ("get", [GET, b"user:1"]),
    ("delete", [DELETE, b"user:1"]),
    ("exists", [EXISTS, b"{user:1}/order/0001"]),
    ("increment", [INCREMENT, b"n", 1]),
    ("increment_down", [INCREMENT, b"n", -1000]),
    ("increment_most", [INCREMENT, b"n", 2**63 - 1]),
    ("increment_least", [INCREMENT, b"n", -(2**63)]),
    ("scan_everything", [SCAN, b"", b"", 1000, 0]),
    ("scan_tag_with_values", [SCAN, b"{user:1}/", b"", 1, 1]),
    ("scan_onward", [SCAN, b"p", b"\x12\x34p/7", 50, 1]),
    ("dead_list", [LIST, b"", 1000, 0]),
    ("dead_list_of_a_shard_with_jobs", [LIST, b"\x12\x34", 1, 1]),
    ("dead_list_onward", [LIST, LETTER, 50, 0]),
    ("dead_drop", [DROP, LETTER]),
    ("dead_replay", [REPLAY, bytes(10)]),
    ("scan_longest_cursor", [SCAN, b"p", b"\x12\x34" + b"c" * 4096, 50, 0]),
]

# name, code of the operation that is answered, the result, its fields by name
RESULT_VECTORS = [
    ("put_done", PUT, 0, {"status": 0}),
    ("put_condition_failed", PUT, [2, 41], {"status": 2, "version": 41}),
    ("put_condition_failed_absent", PUT, [2, 0], {"status": 2, "version": 0}),
    ("get_found", GET, [0, b"Ada", 41, None], {"status": 0, "value": b"Ada", "version": 41, "ttl_ms": None}),
    ("get_found_expiring", GET, [0, b"", U64, 29999], {"status": 0, "value": b"", "version": U64, "ttl_ms": 29999}),
    ("get_not_found", GET, 1, {"status": 1}),
    ("get_alone", GET, 16, {"status": 16}),
    ("delete_done", DELETE, 0, {"status": 0}),
    ("delete_not_found", DELETE, 1, {"status": 1}),
    ("exists_not_found", EXISTS, 1, {"status": 1}),
    ("increment_done", INCREMENT, [0, -42], {"status": 0, "number": -42}),
    ("increment_most", INCREMENT, [0, 2**63 - 1], {"status": 0, "number": 2**63 - 1}),
    ("increment_least", INCREMENT, [0, -(2**63)], {"status": 0, "number": -(2**63)}),
    ("increment_failed", INCREMENT, [11, "not a number"], {"status": 11, "text": "not a number"}),
    ("scan_end", SCAN, [0, [], None], {"status": 0, "entries": [], "cursor": None}),
    ("scan_page", SCAN, [0, [[b"a", 1, None, None], [b"b", 2, b"vb", 500], [b"c", 3, b"", None]], b"\x12\x34c"],
     {"status": 0, "entries": [[b"a", 1, None, None], [b"b", 2, b"vb", 500], [b"c", 3, b"", None]], "cursor": b"\x12\x34c"}),
    ("dead_list_end", LIST, [0, [], None], {"status": 0, "letters": [], "cursor": None}),
    ("dead_list_page", LIST, [0, [[LETTER, 1700000000009, 55, WRITE, 1, b"died", None], [bytes(10), U64, 0, DELETES, 1, b"", body([DELETE, b"k"])]], LETTER],
     {"status": 0, "letters": [[LETTER, 1700000000009, 55, WRITE, 1, b"died", None], [bytes(10), U64, 0, DELETES, 1, b"", body([DELETE, b"k"])]],
      "cursor": LETTER}),
    ("dead_drop_done", DROP, 0, {"status": 0}),
    ("dead_drop_not_found", DROP, 1, {"status": 1}),
    ("dead_replay_done", REPLAY, [0, 2], {"status": 0, "number": 2}),
    ("dead_replay_condition_failed", REPLAY, [2, 41], {"status": 2, "version": 41}),
    ("dead_replay_failed", REPLAY, [11, "not a number"], {"status": 11, "text": "not a number"}),
    ("usage", PUT, [3, "a key of 0 bytes"], {"status": 3, "text": "a key of 0 bytes"}),
    ("too_large", PUT, [10, ""], {"status": 10, "text": ""}),
]

# Forms a reader takes though a writer does not choose them: operation as it comes, and in its shortest form.
ACCEPTED = [
    ("put_with_nil_ttl", pack([PUT, b"k", b"v", None]), [PUT, b"k", b"v"]),
    ("put_with_zero_ttl", pack([PUT, b"k", b"v", 0]), [PUT, b"k", b"v"]),
    ("put_with_nil_condition", pack([PUT, b"k", b"v", 9, None]), [PUT, b"k", b"v", 9]),
    ("put_with_nils", pack([PUT, b"k", b"v", None, None]), [PUT, b"k", b"v"]),
    ("put_of_strings", pack([PUT, "k", "v"]), [PUT, b"k", b"v"]),
    ("get_of_a_string", pack([GET, "user:1"]), [GET, b"user:1"]),
    ("long_forms", bytes.fromhex("dd00000003" "cf0000000000000005" "db000000016b" "d3ffffffffffffffff"), [INCREMENT, b"k", -1]),
    ("wide_array", bytes.fromhex("dc0002" "cd0002" "c5" "0001" "6b"), [GET, b"k"]),
    ("positive_as_signed", bytes.fromhex("9305c4016bd00a"), [INCREMENT, b"k", 10]),
]


def job(operations, kind=WRITE, route=None, deadline=0):
    return pack([1, 3, [[1, kind, deadline, route, operations]]])


def worker_job(kind, given):
    return pack([1, 38, 1, 1, [[1, 0, 1, kind, 1, 1, 0, 0, 0, 0, 0, given]]])


def fed(kind, given, status=0):
    return pack([1, 45, 1, 1, [[[19, 7, 0, kind, 2, 1, 0, 0, 0, 0, 0, given], [19, status, 2, 0, None]]]])


def checked(*shards):
    return pack([1, 48, 1, 1, 5, 1, list(shards)])


MALFORMED, TOO_LARGE, NEWER = "malformed", "too_large", "newer"
KEY = b"k"
REFUSED_MESSAGES = [
    ("nothing", b"", MALFORMED),
    ("not_an_array", pack("hello"), MALFORMED),
    ("a_map", pack({1: 1}), MALFORMED),
    ("never_used_byte", b"\xc1", MALFORMED),
    ("never_used_byte_as_version", b"\x95\xc1\x01\x07\xa0\xc3", MALFORMED),
    ("empty_array", pack([]), MALFORMED),
    ("version_alone", pack([1]), MALFORMED),
    ("version_0", pack([0, 1, 7, "x", True]), NEWER),
    ("version_2", pack([2, 1, 7, "x", True]), NEWER),
    ("version_2_alone", pack([2]), NEWER),
    ("version_huge", pack([U64, 1, 7, "x", True]), NEWER),
    ("version_negative", pack([-1, 1, 7, "x", True]), MALFORMED),
    ("type_0", pack([1, 0]), MALFORMED),
    ("type_unknown", pack([1, 99, 1]), MALFORMED),
    ("type_one_over_the_last", pack([1, 66, 1, 2]), MALFORMED),
    ("type_between", pack([1, 10, 1, 2]), MALFORMED),
    ("type_between_broker_and_workers", pack([1, 47, 1, 2, 3, 4, 5, 6, 7, ""]), MALFORMED),
    ("type_huge", pack([1, U64, 1]), MALFORMED),
    ("type_text", pack([1, "hello", 7, "x", True]), MALFORMED),
    ("a_field_too_few", pack([1, 1, 7, "x"]), MALFORMED),
    ("a_field_too_many", pack([1, 1, 7, "x", True, 0]), MALFORMED),
    ("bytes_behind", pack([1, 1, 7, "x", True]) + b"\x00", MALFORMED),
    ("two_messages", pack([1, 1, 7, "x", True]) * 2, MALFORMED),
    ("array_claims_2_32", b"\xdd\xff\xff\xff\xff" + b"\x01\x03" + b"\x00" * 20, MALFORMED),
    ("jobs_claim_2_32", b"\x93\x01\x03\xdd\xff\xff\xff\xff" + b"\x00" * 20, MALFORMED),
    ("jobs_claim_65535", b"\x93\x01\x03\xdc\xff\xff" + b"\x00" * 20, MALFORMED),
    ("name_longer_than_message", b"\x95\x01\x01\x07\xdb\xff\xff\xff\xff" + b"x" * 20, MALFORMED),
    ("name_one_over_limit", pack([1, 1, 7, "n" * 256, True]), MALFORMED),
    ("name_with_zero_byte", pack([1, 1, 7, "a\0b", True]), MALFORMED),
    ("name_is_a_number", pack([1, 1, 7, 7, True]), MALFORMED),
    ("wants_is_a_number", pack([1, 1, 7, "x", 1]), MALFORMED),
    ("id_is_a_float", pack([1, 1, 7.0, "x", True]), MALFORMED),
    ("id_is_negative", pack([1, 1, -7, "x", True]), MALFORMED),
    ("nested_32", b"\x93\x01\x03" + b"\x91" * 32 + b"\x00", MALFORMED),
    ("nested_2000", b"\x93\x01\x03" + b"\x91" * 2000 + b"\x00", MALFORMED),
    ("jobs_not_an_array", pack([1, 3, 5]), MALFORMED),
    ("job_not_an_array", pack([1, 3, [5]]), MALFORMED),
    ("job_a_field_too_few", pack([1, 3, [[1, WRITE, 0, None]]]), MALFORMED),
    ("job_a_field_too_many", pack([1, 3, [[1, WRITE, 0, None, body([GET, KEY]), 0]]]), MALFORMED),
    ("job_kind_unknown", job(body([GET, KEY]), kind=5), MALFORMED),
    ("job_deadline_at_limit_and_one", job(body([DELETE, KEY]), deadline=86400001), MALFORMED),
    ("job_body_missing", job(None), MALFORMED),
    ("job_body_not_bytes", job([[DELETE, KEY]]), MALFORMED),
    ("job_body_empty", job(b""), MALFORMED),
    ("job_body_no_array", job(pack("text")), MALFORMED),
    ("job_without_operations", job(body()), MALFORMED),
    ("job_claims_2_32_operations", job(b"\xdd\xff\xff\xff\xff" + b"\x00" * 20), MALFORMED),
    ("route_a_field_too_few", job(body([DELETE, KEY]), route=[1, 2, 3, 3]), MALFORMED),
    ("route_not_an_array", job(body([DELETE, KEY]), route=5), MALFORMED),
    ("route_shard_8192", job(body([DELETE, KEY]), route=[8192, 2, 3, 3, 0]), MALFORMED),
    ("route_flags_unknown", job(body([DELETE, KEY]), route=[1, 2, 3, 3, 2]), MALFORMED),
    ("route_number_0", job(body([DELETE, KEY]), route=[1, 2, 0, 0, 0]), MALFORMED),
    ("route_lowest_0", job(body([DELETE, KEY]), route=[1, 2, 3, 0, 0]), MALFORMED),
    ("route_lowest_above_number", job(body([DELETE, KEY]), route=[1, 2, 3, 4, 0]), MALFORMED),
    ("route_65_unsettled", job(body([DELETE, KEY]), route=[1, 2, 100, 36, 0]), MALFORMED),
    ("route_number_without_producer", job(body([DELETE, KEY]), route=[1, 0, 3, 3, 0]), MALFORMED),
    ("read_number_without_producer", job(body([GET, KEY]), kind=READ, route=[1, 0, 3, 0, 0]), MALFORMED),
    ("cancel_without_route", job(body(5), kind=CANCEL), MALFORMED),
    ("cancel_without_producer", job(body(5), kind=CANCEL, route=[1, 0, 0, 0, 0]), MALFORMED),
    ("query_without_text", pack([1, 5, 1, None]), MALFORMED),
    ("admin_without_words", pack([1, 8, 1, []]), MALFORMED),
    ("admin_word_is_a_number", pack([1, 8, 1, ["accept-loss", 3]]), MALFORMED),
    ("close_shard_8192", pack([1, 9, [[8192, 1]]]), MALFORMED),
    ("close_without_producer", pack([1, 9, [[1]]]), MALFORMED),
    ("close_a_field_too_many", pack([1, 9, [[1, 2]], 3]), MALFORMED),
    ("admin_nine_words", pack([1, 8, 1, ["w"] * 9]), TOO_LARGE),
    ("welcome_no_shards", pack([1, 2, 7, CLUSTER, 3, 4, 0, 0, 5, ""]), MALFORMED),
    ("welcome_8193_shards", pack([1, 2, 7, CLUSTER, 3, 4, 8193, 0, 5, ""]), MALFORMED),
    ("welcome_short_cluster", pack([1, 2, 7, CLUSTER[:15], 3, 4, 512, 0, 5, ""]), MALFORMED),
    ("welcome_long_cluster", pack([1, 2, 7, CLUSTER + b"x", 3, 4, 512, 0, 5, ""]), MALFORMED),
    ("reply_status_unknown", pack([1, 4, [[1, 17, 0, 0, None]]]), MALFORMED),
    ("reply_retry_2_32", pack([1, 4, [[1, 8, 0, 2**32, None]]]), MALFORMED),
    ("answer_status_unknown", pack([1, 6, 1, 200, b""]), MALFORMED),
    ("worker_hello_no_capacity", pack([1, 32, WORKER, 1, 0, None, 0, 0, "", ""]), MALFORMED),
    ("worker_hello_capacity_over_limit", pack([1, 32, WORKER, 1, 0, None, 0, 1000001, "", ""]), MALFORMED),
    ("worker_hello_short_id", pack([1, 32, WORKER[1:], 1, 0, None, 0, 1000, "", ""]), MALFORMED),
    ("worker_welcome_no_liveness", pack([1, 33, 1, 1, CLUSTER, 512, 0]), MALFORMED),
    ("holding_state_0", pack([1, 35, 1, 1, [[0, 1, 0, 0]]]), MALFORMED),
    ("holding_state_6", pack([1, 35, 1, 1, [[0, 1, 0, 6]]]), MALFORMED),
    ("holding_shard_8192", pack([1, 36, 1, 1, [[8192, 1, 0, 1]]]), MALFORMED),
    ("holdings_claim_2_32", b"\x95\x01\x23\x01\x01\xdd\xff\xff\xff\xff" + b"\x00" * 20, MALFORMED),
    ("worker_job_kind_7", pack([1, 38, 1, 1, [[1, 0, 1, 7, 1, 1, 0, 0, 0, 0, 0, body([GET, KEY])]]]), MALFORMED),
    ("worker_job_body_nil", pack([1, 38, 1, 1, [[1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, None]]]), MALFORMED),
    ("worker_job_probe_with_body", worker_job(PROBE, body([GET, KEY])), MALFORMED),
    ("worker_job_dead_body_nil", worker_job(DEAD, None), MALFORMED),
    ("worker_job_dead_a_field_too_few", worker_job(DEAD, body(b"c", 1, WRITE, 1)), MALFORMED),
    ("worker_job_dead_bytes_behind", worker_job(DEAD, body(b"c", 1, WRITE, 1, None) + b"\x00"), MALFORMED),
    ("worker_job_dead_of_a_read", worker_job(DEAD, body(b"c", 1, READ, 1, body([GET, KEY]))), MALFORMED),
    ("worker_job_dead_of_a_cancel", worker_job(DEAD, body(b"c", 1, CANCEL, 1, body(5))), MALFORMED),
    ("worker_job_dead_of_a_dead", worker_job(DEAD, body(b"c", 1, DEAD, 1, None)), MALFORMED),
    ("worker_job_dead_no_operations", worker_job(DEAD, body(b"c", 1, WRITE, 0, None)), MALFORMED),
    ("worker_job_dead_other_count", worker_job(DEAD, body(b"c", 1, WRITE, 2, body([DELETE, KEY]))), MALFORMED),
    ("worker_job_dead_job_empty", worker_job(DEAD, body(b"c", 1, WRITE, 1, b"")), MALFORMED),
    ("worker_job_dead_cause_too_long", worker_job(DEAD, body(b"c" * 256, 1, WRITE, 1, None)), MALFORMED),
    ("worker_bye_without_cause", pack([1, 42, 1, 1]), MALFORMED),
    ("worker_bye_cause_2", pack([1, 42, 1, 1, 2]), MALFORMED),
    ("worker_reply_flags_unknown", pack([1, 39, 1, 1, [[1, 0, 1, 2, None]]]), MALFORMED),
    ("heartbeat_credit_over_limit", pack([1, 40, 1, 1, 0, 65537, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, "", []]), MALFORMED),
    ("heartbeat_credit_bytes_over_limit", pack([1, 40, 1, 1, 0, 1, 16777217, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, "", []]), MALFORMED),
    ("load_a_field_too_few", pack([1, 40, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, "", [[0, 1, 2, 3, 4, 5]]]), MALFORMED),
    ("loss_a_field_too_few", pack([1, 43, 1, 1, [[0, 1, 2]]]), MALFORMED),
    ("loss_shard_8192", pack([1, 43, 1, 1, [[8192, 1, 2, 3]]]), MALFORMED),
    ("move_step_0", pack([1, 44, 1, 1, 7, 19, 0, 9, 0, 1, ""]), MALFORMED),
    ("move_step_5", pack([1, 44, 1, 1, 7, 19, 5, 9, 0, 1, ""]), MALFORMED),
    ("move_shard_8192", pack([1, 44, 1, 1, 8192, 19, 1, 9, 0, 1, ""]), MALFORMED),
    ("move_a_field_too_few", pack([1, 44, 1, 1, 7, 19, 1, 9, 0, 1]), MALFORMED),
    ("move_endpoint_one_over_limit", pack([1, 44, 1, 1, 7, 19, 3, 9, 0, 1, "e" * 256]), MALFORMED),
    ("moved_step_0", pack([1, 46, 1, 1, 7, 19, 0, 0, 0, ""]), MALFORMED),
    ("moved_step_8", pack([1, 46, 1, 1, 7, 19, 8, 0, 0, ""]), MALFORMED),
    ("moved_shard_8192", pack([1, 46, 1, 1, 8192, 19, 1, 0, 0, ""]), MALFORMED),
    ("moved_with_more", pack([1, 46, 1, 1, 7, 19, 1, 0, 0, "", 1]), MALFORMED),
    ("fed_of_a_read", fed(READ, body([GET, KEY])), MALFORMED),
    ("fed_of_a_probe", fed(PROBE, b""), MALFORMED),
    ("fed_without_a_position", pack([1, 45, 1, 1, [[[19, 7, 0, WRITE, 0, 1, 0, 0, 0, 0, 0, body([DELETE, KEY])], [19, 0, 2, 0, None]]]]), MALFORMED),
    ("fed_without_a_reply", pack([1, 45, 1, 1, [[[19, 7, 0, WRITE, 2, 1, 0, 0, 0, 0, 0, body([DELETE, KEY])]]]]), MALFORMED),
    ("fed_with_more", pack([1, 45, 1, 1, [[[19, 7, 0, WRITE, 2, 1, 0, 0, 0, 0, 0, body([DELETE, KEY])], [19, 0, 2, 0, None], 1]]]), MALFORMED),
    ("fed_status_unknown", fed(WRITE, body([DELETE, KEY]), status=17), MALFORMED),
    ("fed_claims_2_32", b"\x95\x01\x2d\x01\x01\xdd\xff\xff\xff\xff" + b"\x00" * 20, MALFORMED),
    ("check_without_a_number", pack([1, 47, 1, 1]), MALFORMED),
    ("check_with_more", pack([1, 47, 1, 1, 5, 6]), MALFORMED),
    ("checked_last_2", pack([1, 48, 1, 1, 5, 2, []]), MALFORMED),
    ("checked_shard_8192", checked([8192, 1, 9, 1, 1, 0, 0, 0, 1]), MALFORMED),
    ("checked_state_6", checked([7, 6, 9, 1, 1, 0, 0, 0, 1]), MALFORMED),
    ("checked_a_field_too_few", checked([7, 1, 9, 1, 1, 0, 0, 1]), MALFORMED),
    ("checked_more_expired_than_rows", checked([7, 1, 9, 1, 1, 2, 0, 0, 1]), MALFORMED),
    ("checked_more_bad_than_rows", checked([7, 1, 9, 1, 1, 0, 2, 0, 1]), MALFORMED),
    ("checked_claims_2_32", b"\x97\x01\x30\x01\x01\x05\x00\xdd\xff\xff\xff\xff" + b"\x00" * 20, MALFORMED),
    ("ask_shard_8192", pack([1, 64, 3, 8192, 19, 0]), MALFORMED),
    ("ask_with_more", pack([1, 64, 3, 7, 19, 0, 0]), MALFORMED),
    ("chunk_last_without_memory", pack([1, 65, 3, 7, 19, 0, 1, 0, 0, None, 1, b""]), MALFORMED),
    ("chunk_not_last_with_memory", pack([1, 65, 3, 7, 19, 0, 0, 0, 0, b"", 1, b""]), MALFORMED),
    ("chunk_last_2", pack([1, 65, 3, 7, 19, 0, 2, 0, 0, b"", 1, b""]), MALFORMED),
    ("chunk_shard_8192", pack([1, 65, 3, 8192, 19, 0, 0, 0, 0, None, 1, b""]), MALFORMED),
    ("chunk_body_nil", pack([1, 65, 3, 7, 19, 0, 0, 0, 0, None, 1, None]), MALFORMED),
    ("pulse_with_more", pack([1, 41, 1, 1, 1]), MALFORMED),
]

REFUSED_OPERATIONS = [
    ("nothing", b"", MALFORMED),
    ("a_number", pack(1), MALFORMED),
    ("never_used_byte", b"\xc1", MALFORMED),
    ("empty", pack([]), MALFORMED),
    ("code_0", pack([0, KEY]), MALFORMED),
    ("code_10", pack([10, LETTER]), MALFORMED),
    ("list_of_a_key", pack([7, KEY]), MALFORMED),
    ("list_limit_0", pack([LIST, b"", 0, 0]), MALFORMED),
    ("list_limit_1001", pack([LIST, b"", 1001, 0]), MALFORMED),
    ("list_flags_2", pack([LIST, b"", 1, 2]), MALFORMED),
    ("list_cursor_of_3_bytes", pack([LIST, b"abc", 1, 0]), MALFORMED),
    ("list_cursor_of_11_bytes", pack([LIST, b"c" * 11, 1, 0]), MALFORMED),
    ("drop_of_9_bytes", pack([DROP, b"i" * 9]), MALFORMED),
    ("drop_of_nothing", pack([DROP, b""]), MALFORMED),
    ("drop_with_more", pack([DROP, LETTER, 1]), MALFORMED),
    ("replay_of_11_bytes", pack([REPLAY, b"i" * 11]), MALFORMED),
    ("code_huge", pack([U64, KEY]), MALFORMED),
    ("get_without_key", pack([GET]), MALFORMED),
    ("get_with_more", pack([GET, KEY, 1]), MALFORMED),
    ("get_of_nil", pack([GET, None]), MALFORMED),
    ("get_of_a_number", pack([GET, 5]), MALFORMED),
    ("key_of_0_bytes", pack([GET, b""]), MALFORMED),
    ("key_of_4097_bytes", pack([GET, b"k" * 4097]), TOO_LARGE),
    ("key_longer_than_message", b"\x92\x02\xc6\xff\xff\xff\xff" + b"k" * 10, MALFORMED),
    ("put_key_alone", pack([PUT, KEY]), MALFORMED),
    ("put_with_more", pack([PUT, KEY, b"v", 1, 1, 1]), MALFORMED),
    ("put_value_nil", pack([PUT, KEY, None]), MALFORMED),
    ("put_ttl_text", pack([PUT, KEY, b"v", "1"]), MALFORMED),
    ("put_ttl_negative", pack([PUT, KEY, b"v", -1]), MALFORMED),
    ("put_ttl_over_limit", pack([PUT, KEY, b"v", 100 * 366 * 24 * 3600 * 1000 + 1]), TOO_LARGE),
    ("put_condition_negative", pack([PUT, KEY, b"v", 0, -1]), MALFORMED),
    ("increment_without_by", pack([INCREMENT, KEY]), MALFORMED),
    ("increment_by_2_63", pack([INCREMENT, KEY, 2**63]), MALFORMED),
    ("increment_by_float", pack([INCREMENT, KEY, 1.0]), MALFORMED),
    ("scan_limit_0", pack([SCAN, b"", b"", 0, 0]), MALFORMED),
    ("scan_limit_1001", pack([SCAN, b"", b"", 1001, 0]), MALFORMED),
    ("scan_flags_2", pack([SCAN, b"", b"", 1, 2]), MALFORMED),
    ("scan_cursor_of_1_byte", pack([SCAN, b"", b"\x01", 1, 0]), MALFORMED),
    ("scan_cursor_of_4099_bytes", pack([SCAN, b"", b"c" * 4099, 1, 0]), TOO_LARGE),
    ("scan_prefix_of_4097_bytes", pack([SCAN, b"p" * 4097, b"", 1, 0]), TOO_LARGE),
    ("scan_cursor_nil", pack([SCAN, b"", None, 1, 0]), MALFORMED),
    ("claims_2_32_fields", b"\xdd\xff\xff\xff\xff\x02\xc4\x01k", MALFORMED),
]


def name_fields(names, values):
    return {name: name_value(name, value) for name, value in zip(names.split(), values)}


def name_value(name, value):
    if name == "route" and value is not None:
        return name_fields(ITEMS["route"], value)
    if name == "fed":
        return [{"job": name_fields(ITEMS["worker_jobs"], job), "reply": name_fields(ITEMS["worker_replies"], reply)} for job, reply in value]
    if name in ITEMS and isinstance(value, list):  # a copy has a number of entries
        return [name_fields(ITEMS[name], item) for item in value]
    return value


def to_json(value):
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and abs(value) > 2**53:
        return {"int": str(value)}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(value):
    if isinstance(value, dict) and set(value) == {"bin"}:
        return bytes.fromhex(value["bin"])
    if isinstance(value, dict) and set(value) == {"int"}:
        return int(value["int"])
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    return value


def build():
    messages = []
    for name, message, values in MESSAGES:
        number, names = NAMES[message]
        assert len(names.split()) == len(values), name
        array = [1, number] + values
        messages.append({"name": name, "message": message, "type": number, "hex": pack(array).hex(), "array": array,
                         "fields": name_fields(names, values)})
    operations = [{"name": name, "hex": pack(array).hex(), "array": array, "fields": name_fields(OPERATIONS[array[0]], array)}
                  for name, array in OPERATION_VECTORS]
    results = [{"name": name, "operation": code, "hex": pack(array).hex(), "array": array,
                "fields": {key: name_value(key, value) for key, value in fields.items()}} for name, code, array, fields in RESULT_VECTORS]
    accepted = [{"name": name, "hex": given.hex(), "shortest": pack(array).hex()} for name, given, array in ACCEPTED]
    refused = [{"name": name, "hex": given.hex(), "status": status} for name, given, status in REFUSED_MESSAGES]
    refused_operations = [{"name": name, "hex": given.hex(), "status": status} for name, given, status in REFUSED_OPERATIONS]
    return {"version": 1, "messages": messages, "operations": operations, "results": results, "accepted_operations": accepted,
            "refused_messages": refused, "refused_operations": refused_operations}


def write_corpus(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for group, vectors in build().items():
        for vector in vectors if isinstance(vectors, list) else []:
            if len(vector["hex"]) <= 8192:
                (directory / f"{group}_{vector['name']}").write_bytes(bytes.fromhex(vector["hex"]))


def write_file(path):
    groups = build()
    with path.open("w", encoding="ascii") as out:
        out.write("{\n")
        for at, (group, vectors) in enumerate(groups.items()):
            end = ",\n" if at + 1 < len(groups) else "\n"
            if not isinstance(vectors, list):
                out.write(f' "{group}": {json.dumps(vectors)}{end}')
                continue
            rows = ",\n".join("  " + json.dumps(to_json(vector)) for vector in vectors)
            out.write(f' "{group}": [\n{rows}\n ]{end}')
        out.write("}\n")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--corpus":
        write_corpus(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 1:
        write_file(HERE / "messages.json")
    else:
        sys.exit(__doc__)
