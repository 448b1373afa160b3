#!/usr/bin/python3
"""The shop: Evenkeel's main job on real data, from an empty directory to a store that survives everything being killed.

Products are Debian's package catalogue, users and orders are generated from a fixed seed. Every record is read back and compared with
its source. Prints what it does with its figures; ends with 0, or says what is wrong and ends with 1. KEEP=1 leaves the shop running.
"""
import base64
import json
import multiprocessing
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import thin_client  # noqa: E402

BIN = ROOT / os.environ.get("BUILD", "build") / "bin"
DIRECTORY = ROOT / os.environ.get("BUILD", "build") / "demo"
WORKERS = int(os.environ.get("WORKERS", "3"))
USERS, ORDERS, STOCK, SELLERS, EVENTS, BUYERS = 10_000, 100_000, 2_000, 4, 100_000, 2
SEED = 20_231_224
READY_SECONDS = 60
EVEN, FILLED_SECONDS = 1.10, 60  # max/mean of the bytes that each worker holds, once one more has been filled


class Wrong(Exception):
    """Something that must hold does not."""


def check(holds, text):
    if not holds:
        raise Wrong(text)


def say(text=""):
    print(text, flush=True)


def act(title):
    say(f"\n== {title}")


# ---- the cluster ----


class Cluster:
    """A broker and its workers, run by `evenkeel up` on free ports."""

    def __init__(self):
        self.up = self.pids = self.broker = self.stats = self.workers_endpoint = None
        self.added = []  # workers beside those that `up` has started

    def start(self):
        endpoints = ["--clients", "tcp://127.0.0.1:*", "--workers-endpoint", "tcp://127.0.0.1:*", "--stats", "tcp://127.0.0.1:*"]
        command = [BIN / "evenkeel", "--json", "up", "--workers", str(WORKERS), "--data", DIRECTORY / "data", *endpoints]
        self.log = open(DIRECTORY / "up.log", "a", encoding="utf-8")
        began = time.monotonic()
        self.up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        line = self.up.stdout.readline()
        check(line, f"`evenkeel up` did not come up; see {DIRECTORY / 'up.log'}")
        ready = json.loads(line)
        check(ready["status"] == "ok", f"`evenkeel up` says {ready}")
        self.broker, self.stats, self.workers_endpoint, self.pids = ready["clients"], ready["stats"], ready["workers_endpoint"], ready["pids"]
        return time.monotonic() - began

    def run(self, *arguments, **options):
        command = [BIN / "evenkeel", "--json", "--broker", self.broker, *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)

    def ask(self, *arguments):
        """The one JSON object that a command answers with."""
        process = self.run(*arguments)
        output, _ = process.communicate()
        check(process.returncode == 0, f"`evenkeel {shlex.join(map(str, arguments))}` ended with {process.returncode}: {output.strip()}")
        return json.loads(output)

    def add_worker(self, name):
        """One more process with an empty directory. It lies beside the others', so that the next `up` starts this worker too."""
        command = [BIN / "evenkeel-worker", "--broker", self.workers_endpoint, "--data", DIRECTORY / "data" / name, "--name", name]
        self.added.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True))

    def end_added(self, number):
        """Each must still run."""
        for worker in self.added:
            check(worker.poll() is None, f"a worker ended with {worker.returncode}")
            worker.send_signal(number)
            worker.wait(timeout=READY_SECONDS)
        self.added = []

    def kill_everything(self):
        os.killpg(self.up.pid, signal.SIGKILL)
        self.end_added(signal.SIGKILL)
        self.up.wait()
        self.up.stdout.close()

    def stop(self):
        self.end_added(signal.SIGTERM)
        if self.up and self.up.poll() is None:
            self.up.terminate()
            self.up.wait(timeout=READY_SECONDS)
        if self.up:
            self.up.stdout.close()


# ---- the data: lists of (key, bytes) ----


def paragraphs(text):
    """Debian's control format: fields of one package, continuation lines joined."""
    fields, last = {}, None
    for line in text.splitlines():
        if not line:
            if fields:
                yield fields
            fields, last = {}, None
        elif line[0] in " \t":
            fields[last] += "\n" + line.strip()
        else:
            last, _, value = line.partition(":")
            fields[last] = value.strip()
    if fields:
        yield fields


def packages():
    text = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True).stdout.decode("utf-8", "replace")
    return [("product:" + fields["Package"], fields) for fields in paragraphs(text)]


def users(chance):
    first = ["Ada", "Bjarne", "Chloë", "Dmitri", "Émile", "Fátima", "Grace", "Hedy", "İpek", "Jürgen"]
    last = ["Åkesson", "Brown", "Çelik", "Dubois", "Evans", "Fischer", "García", "Hopper", "Ito", "Jansen"]
    for number in range(USERS):
        name = f"{chance.choice(first)} {chance.choice(last)}"
        yield f"user:{number}", {"User": number, "Name": name, "Points": chance.randrange(1000)}


def orders(chance, products):
    for number in range(ORDERS):
        user = int(USERS * chance.random() ** 2)  # some people order more than others
        items = [chance.choice(products)[0] for _ in range(chance.randrange(1, 5))]
        yield f"{{user:{user}}}/order/{number:06}", {"User": user, "Order": f"{number:06}", "Items": items}


def generate():
    chance = random.Random(SEED)
    products = packages()
    check(len(products) > 60_000, f"apt-cache knows only {len(products)} packages: run apt-get update")
    data = {"products": products, "users": list(users(chance)), "orders": list(orders(chance, products))}
    return {name: [(key, json.dumps(value, ensure_ascii=False)) for key, value in rows] for name, rows in data.items()}


TEMPLATES = {"products": "product:{Package}", "users": "user:{User}", "orders": "{{user:{User}}}/order/{Order}"}


# ---- the acts ----


def import_all(cluster, data):
    for name, rows in data.items():
        path = DIRECTORY / f"{name}.ndjson"
        path.write_text("".join(value + "\n" for _, value in rows), encoding="utf-8")
        answer = cluster.ask("import", path, "--format", "ndjson", "--template", TEMPLATES[name])
        check(answer["imported"] == len(rows) and answer["errors"] == 0, f"imported {answer} instead of {len(rows)} {name}")
        rate = len(rows) / max(answer["duration_ms"], 1) * 1000
        say(f"   {len(rows):>7,} {name:<9} stored in {answer['duration_ms'] / 1000:6.2f} s   {rate:>9,.0f} a second, every one synced")


def text_of(answer, field):
    return base64.b64decode(answer[field + "64"]).decode() if field + "64" in answer else answer[field]


def compare(cluster, rows, what):
    """Reads every row back in one pipeline and compares it with its source."""
    path = DIRECTORY / "reads.txt"
    path.write_text("".join(f"get {shlex.quote(key)}\n" for key, _ in rows), encoding="utf-8")
    began = time.monotonic()
    process = cluster.run("run", path, "--pipeline", "5000")
    equal = 0
    for (key, value), line in zip(rows, process.stdout):
        answer = json.loads(line)
        check(answer["status"] == "ok", f"{what}: {key} should be there, but is {answer['status']}")
        check(text_of(answer, "key") == key and text_of(answer, "value") == value, f"{what}: {key} came back different")
        equal += 1
    process.stdin.close()
    process.stdout.close()
    check(process.wait() == 0 and equal == len(rows), f"{what}: only {equal} of {len(rows)} could be read")
    say(f"   {equal:>7,} {what} read back, all equal, in {time.monotonic() - began:.2f} s")


def compare_all(cluster, data):
    compare(cluster, [row for rows in data.values() for row in rows], "records")


def list_orders(cluster, data):
    user = "{user:17}/order/"
    expected = sorted(key for key, _ in data["orders"] if key.startswith(user))
    answer = cluster.ask("scan", "--prefix", user, "--limit", "1000")
    found = [text_of(entry, "key") for entry in answer["entries"]]
    check(found == expected, f"user 17 has {len(expected)} orders, the scan shows {len(found)}")
    say(f"   user 17 has {len(found)} orders, listed in order: {found[0]} … {found[-1]}")


def sell(broker, seller, results):
    """Sells one at a time with a conditional write, until nothing is left."""
    store = thin_client.Store(broker)
    sold = lost_races = 0
    while True:
        value, version, _ = store.get("stock:lamp")
        if int(value) == 0:
            break
        try:
            store.put("stock:lamp", str(int(value) - 1), if_version=version)
            sold += 1
        except thin_client.Refused as refused:
            check(refused.status == thin_client.CONDITION_FAILED, f"seller {seller}: {refused}")
            lost_races += 1
    results.put((seller, sold, lost_races))


def sell_out(cluster):
    cluster.ask("put", "stock:lamp", str(STOCK))
    results = multiprocessing.Queue()
    sellers = [multiprocessing.Process(target=sell, args=(cluster.broker, i, results)) for i in range(SELLERS)]
    began = time.monotonic()
    for seller in sellers:
        seller.start()
    outcomes = sorted(results.get(timeout=120) for _ in sellers)
    for seller in sellers:
        seller.join()
    left = cluster.ask("get", "stock:lamp")["value"]
    sold = sum(outcome[1] for outcome in outcomes)
    check(sold == STOCK and left == "0", f"{sold} lamps were sold of {STOCK}, and the stock says {left}")
    each = ", ".join(str(outcome[1]) for outcome in outcomes)
    races = sum(outcome[2] for outcome in outcomes)
    say(f"   {SELLERS} sellers sold {each} lamps: exactly {sold}, none left, in {time.monotonic() - began:.2f} s ({races} lost races)")


def show_cluster(cluster):
    say(f"   {'worker':<8}{'shards':>8}{'stored':>12}{'keys':>10}{'writes/s':>10}")
    for worker in cluster.ask("workers")["workers"]:
        stored = worker["stored_bytes"] / 2**20
        say(f"   {worker['name']:<8}{worker['shards']:>8}{stored:>8.1f} MiB{worker['stored_keys']:>10,}{worker['writes_per_second']:>10,.0f}")
    show_ledger(cluster)


def show_ledger(cluster):
    stats = cluster.ask("stats")
    names = ["done", "failed", "expired", "dead", "given_back", "queued", "in_flight"]
    parts = " + ".join(f"{stats[name + '_jobs']:,} {name.replace('_', ' ')}" for name in names if stats[name + "_jobs"] or name == "done")
    check(stats["ledger_balanced"], f"the ledger does not balance: {stats}")
    say(f"   ledger: {stats['accepted_jobs']:,} accepted = {parts}; refused {stats['refused_jobs']:,}; balanced")
    check(stats["shards_unavailable"] == 0, f"{stats['shards_unavailable']} shards are not served")


def publish_through_a_kill(cluster):
    """Publishes events, kills a worker in the middle, and reads everything that was acknowledged."""
    rows = [(f"event:{number:06}", f'{{"seen":{number}}}') for number in range(EVENTS)]
    path = DIRECTORY / "events.txt"
    path.write_text("".join(f"put {shlex.quote(key)} {shlex.quote(value)}\n" for key, value in rows), encoding="utf-8")
    name, victim = sorted((name, pid) for name, pid in cluster.pids.items() if name.startswith("w"))[1]
    process = cluster.run("run", path, "--pipeline", "2000")
    process.stdin.close()
    statuses = {}
    began, longest, last = time.monotonic(), 0.0, time.monotonic()
    for (key, value), line in zip(rows, process.stdout):
        status = json.loads(line)["status"]
        statuses[status] = statuses.get(status, 0) + 1
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        check(status == "ok", f"publishing {key} ended as {status}")
        if statuses["ok"] == EVENTS // 4:
            os.kill(victim, signal.SIGKILL)
            say(f"   worker {name} killed with SIGKILL after {EVENTS // 4:,} acknowledged events")
    process.stdout.close()
    check(process.wait() == 0 and statuses == {"ok": EVENTS}, f"publishing ended with {statuses}")
    say(f"   {EVENTS:,} events published in {time.monotonic() - began:.2f} s, no error; the longest wait was {longest:.2f} s")
    compare(cluster, rows, "events")


def buy(broker, buyer, closing, results):
    """Orders, one after the other, until the shop closes: how long each took."""
    store = thin_client.Store(broker)
    taken_ms = []
    try:
        while not closing.is_set():
            began = time.monotonic()
            store.put(*new_order(buyer, len(taken_ms)), if_absent=True)
            taken_ms.append((time.monotonic() - began) * 1000)
        results.put((buyer, taken_ms, None))
    except Exception as problem:  # whatever it is, the act fails with it
        results.put((buyer, taken_ms, repr(problem)))


def new_order(buyer, number):
    return f"{{user:{(number * BUYERS + buyer) % USERS}}}/order/new-{buyer}-{number:06}", json.dumps({"Buyer": buyer, "Number": number})


def over_mean(holdings):
    return max(holdings) * len(holdings) / max(sum(holdings), 1)


def holdings_of(cluster, names):
    """How many shards each worker holds, and bytes."""
    shards = cluster.ask("shards")["shards"]
    held = [[shard["stored_bytes"] for shard in shards if shard["worker"] == name] for name in names]
    return [len(sizes) for sizes in held], [sum(sizes) for sizes in held]


def await_filled(cluster, names):
    """Until all hold about the same and nothing moves: every move that was seen, and how even it is."""
    moves, until = {}, time.monotonic() + FILLED_SECONDS
    while True:
        moves.update((move["move"], move) for move in cluster.ask("moves")["moves"])
        under_way = [move for move in moves.values() if move["phase"] not in ("cleaning", "done")]
        counts, sizes = holdings_of(cluster, names)
        if counts[-1] and not under_way and over_mean(sizes) <= EVEN:
            return list(moves.values()), counts, sizes
        check(time.monotonic() < until, f"after {FILLED_SECONDS} s the workers {names} hold {counts} shards, {sizes} bytes")
        time.sleep(0.1)


def add_a_worker(cluster):
    """One more worker is started and filled while orders come in, all of which are read in the end."""
    names = sorted(name for name in cluster.pids if name.startswith("w"))
    names.append(f"w{len(names) + 1}")
    closing, results = multiprocessing.Event(), multiprocessing.Queue()
    buyers = [multiprocessing.Process(target=buy, args=(cluster.broker, i, closing, results), daemon=True) for i in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    try:
        began = time.monotonic()
        cluster.add_worker(names[-1])
        say(f"   {names[-1]} started with an empty directory, while {BUYERS} buyers order without a break")
        moves, counts, sizes = await_filled(cluster, names)
        took = time.monotonic() - began
    finally:
        closing.set()
    outcomes = sorted(results.get(timeout=READY_SECONDS) for _ in buyers)
    for buyer in buyers:
        buyer.join()
    problems = [problem for _, _, problem in outcomes if problem]
    check(not problems, f"orders ended with {problems}")
    failed = [move for move in moves if move["error"]]
    check(not failed, f"moves failed: {failed}")
    waits = sorted(ms for _, taken_ms, _ in outcomes for ms in taken_ms)
    say(f"   filled in {took:.1f} s: {len(moves)} shards and {sum(move['copied_bytes'] for move in moves) / 2**20:.1f} MiB moved; "
        f"shards {', '.join(map(str, counts))}; the fullest holds {over_mean(sizes):.2f} x the mean")
    say(f"   {len(waits):,} orders meanwhile, no error: p99 {waits[len(waits) * 99 // 100]:.1f} ms, longest wait {waits[-1]:.0f} ms; "
        f"no shard was held for longer than {max(move['max_write_wait_us'] for move in moves) / 1000:.0f} ms")
    return [new_order(buyer, number) for buyer, taken_ms, _ in outcomes for number in range(len(taken_ms))]


def play():
    say("The shop: Debian's catalogue as products, generated users and orders, on a broker and "
        f"{WORKERS} workers with their own RocksDB each.")
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    data = generate()
    records = sum(map(len, data.values()))
    size = sum(len(value.encode()) for rows in data.values() for _, value in rows)
    say(f"   {records:,} records, {size / 2**20:.1f} MiB of text")
    cluster = Cluster()
    try:
        act("Open the shop")
        say(f"   ready in {cluster.start():.2f} s: {cluster.broker}")
        act("Import the catalogue, the users and their orders")
        import_all(cluster, data)
        act("Read every record back and compare it byte for byte")
        compare_all(cluster, data)
        act("List one user's orders")
        list_orders(cluster, data)
        act(f"Sell {STOCK:,} lamps from {SELLERS} producers at once, with conditional writes")
        sell_out(cluster)
        act("Who stores what")
        show_cluster(cluster)
        act("Kill a worker while events are published")
        publish_through_a_kill(cluster)
        show_ledger(cluster)
        act("Start a fourth worker while the shop is busy" if WORKERS == 3 else "Start one more worker while the shop is busy")
        placed = add_a_worker(cluster)
        compare(cluster, placed, "new orders")
        compare_all(cluster, data)
        show_cluster(cluster)
        act("Kill every process at once, start again, compare again")
        cluster.kill_everything()
        say(f"   everything killed; ready again in {cluster.start():.2f} s")
        compare_all(cluster, data)
        compare(cluster, placed, "new orders")
        show_ledger(cluster)
        finish(cluster)
    finally:
        cluster.stop()


def finish(cluster):
    say("\nAll of it holds.")
    if not os.environ.get("KEEP"):
        return
    say(f"\nThe shop stays open until you press Ctrl-C. Try, in another terminal:\n\n   export EVENKEEL_BROKER={cluster.broker}")
    for line in ["get user:17", "scan --prefix '{user:17}/order/'", "put hello world", "incr visits", "workers", "stats --watch",
                 "bench --workload put --count 200000 --pipeline 20000"]:
        say(f"   {(BIN / 'evenkeel').relative_to(ROOT)} {line}")
    try:
        cluster.up.wait()
    except KeyboardInterrupt:
        pass


def main():
    began = time.monotonic()
    try:
        play()
    except Wrong as wrong:
        say(f"\nWRONG: {wrong}")
        say(f"The processes' words are in {DIRECTORY / 'up.log'}")
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"{time.monotonic() - began:.1f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
