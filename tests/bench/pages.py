"""The report as a page: machine and versions, the judged rows, all figures, and the pictures that gnuplot draws of them."""
import datetime
import os
import pathlib
import re
import statistics
import subprocess

from measurements import CLIENTS, DEEP, ENVELOPE_JOBS, PROCESSES, STAGES, UNDER_WAY, Plan
from rows import MIB, best, best_depth, best_workers, depth, judge, title
from systems import BUILD, CACHE, DB_BENCH, GROUP_ROWS, WRITE_BUFFER

ROOT = pathlib.Path(__file__).resolve().parents[2]
FULL_ROUNDS = Plan().rounds


def say(command):
    """The first line that a program says, or "unknown"."""
    try:
        lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, cwd=ROOT).stdout.splitlines()
    except OSError:
        lines = []
    return lines[0].strip() if lines else "unknown"


def package(name):
    return say(["dpkg-query", "-W", "-f", "${Version}", name])


def machine():
    """Where and with what it ran, as (what, which)."""
    processor = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(), re.M)
    return [("processor", f"{processor.group(1) if processor else 'unknown'}, {os.cpu_count()} cores"), ("memory", f"{memory / MIB:.0f} GiB"),
            ("file system", say(["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE,OPTIONS", "--target", str(BUILD)])),
            ("system", f"{system.group(1) if system else 'unknown'}, Linux {os.uname().release}"),
            ("Evenkeel", f"{say([str(BUILD / 'bin' / 'evenkeel'), '--version'])}, commit {say(['git', 'describe', '--always', '--dirty'])}"),
            ("compiler", say(["gcc", "--version"])), ("RocksDB", package("librocksdb-dev")), ("ZeroMQ", package("libzmq3-dev")),
            ("Redis", package("redis-server"))]


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values, unit="", scale=1):
    """The median and, of several rounds, the least and the greatest."""
    if not values:
        return "–"
    scaled = [value / scale for value in values]
    text = f"{number(statistics.median(scaled))}{unit}"
    return text if len(scaled) == 1 else f"{text} ({number(min(scaled))} – {number(max(scaled))})"


def table(heads, lines):
    return "\n".join(["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |",
                      *("| " + " | ".join(line) + " |" for line in lines), ""])


# ---- the sections ----

PARTS = {"storage": "workers' storage threads", "flushes": "RocksDB's flushes", "merges": "its merges", "worker": "workers' loops", "broker": "broker's loop",
         "ZeroMQ": "ZeroMQ's threads", "load generator": "load generator", "idle": "idle"}

SHARES = """
Shares of both processors' time, the whole run from the start of the load generator to its end. The load generator's own ZeroMQ thread counts as
load generator. *The rest*: the kernel's own threads and the broker's thread for statistics. Storage threads, flushes and merges are RocksDB with next to nothing
on top, and so are the loops of workers that answer gets ([what perf says](SPEED.md#where-the-time-goes)): their share is about what rows 2, 3 and 10 can be of
*below alone*.
"""

BELOW = f"""
*Below alone* is the same ratio for what Evenkeel stands on, by itself and on the same processors in the same round: raw RocksDB in two processes (1 to
4; 10 as many puts as gets), [RocksDB behind ZeroMQ](#how-it-is-measured) with as many connections and messages under way (5 to 7), or `zmq_proxy` that echoes, with as
many connections (the producers of 13). Nothing that uses them can show much more (but the producers of 13: an echo is a message each, puts share theirs;
[together](#how-it-is-measured) producers are one connection); clients, broker, exactly-once and, in rows 1 to 4 and 10, the rows of book-keeping come on top, as
[what an operation costs](#what-an-operation-costs) tells. The shards of row 13: one process of raw RocksDB, whose groups of {GROUP_ROWS:,} have the book-keeping of as many
shards. How far that is below 1 is what more shards cost RocksDB; the rest is what they cost clients, broker and workers.
"""


def rows_table(plan, samples):
    words = {True: "reached", False: "**not reached**", None: "not measured"}
    lines = []
    for row in judge(plan, samples):
        bound = f"{'≥' if row.at_least else '≤'} {row.bound:g}{' ' + row.unit if row.unit else ''}"
        lines.append((row.number, row.measure, spread(row.values, f" {row.unit}" if row.unit else ""), bound, words[row.reached()],
                      spread(row.alone) if row.alone else ""))
    return table(("#", "measure", "figure", "to reach", "", "below alone"), lines) + BELOW


def side_by_side(samples):
    def ours(kind):
        return [(f"Evenkeel, {title(name)}", name) for workers in (1, 2) for name in (f"evenkeel.{workers}.{kind}", f"evenkeel.{workers}.{kind}.deep")]
    puts = [*ours("put"), ("raw RocksDB, 1 process", "raw.put.1"),
            ("raw RocksDB, 2 processes", "raw.put.2"), ("`db_bench fillrandom`", "db_bench.fill")]
    puts += [(f"Redis {policy}, {name.rpartition('.')[2].replace('x', ' clients × ')}", name) for policy in ("always", "everysec")
             for name in samples.names(f"redis.{policy}.put.")]
    gets = [*ours("get"), ("raw RocksDB, 1 process", "raw.get.1"),
            ("raw RocksDB, 2 processes", "raw.get.2"), ("`db_bench multireadrandom`, 2 threads", "db_bench.multiread")]
    others = [("`zmq_proxy` echo of 128 bytes, 1,000 under way", "echo.pipelined", "/s"),
              ("the same on 50 connections, one under way on each", "echo.fifty", "/s"), ("the same, one at a time, p50", "echo.p50_us", " µs"),
              ("`fdatasync` of an append of 256 bytes, p50", "sync.p50_us", " µs"),
              ("RocksDB behind ZeroMQ, one put at a time, p50", "served.put.p50_us", " µs"),
              ("the same, synced by the thread that reads the messages", "served.put-inline.p50_us", " µs"),
              ("the same, one get", "served.get.p50_us", " µs"),
              (f"the same, puts on {CLIENTS} connections, one under way on each", "served.fifty", "/s"),
              (f"the same, {CLIENTS} under way on one connection", "served.fifty_together", "/s"),
              ("broker alone, envelopes of one job", "broker.1.jobs", "/s"), (f"broker alone, envelopes of {ENVELOPE_JOBS} jobs", "broker.100.jobs", "/s"),
              ("`zmq_proxy` echo, messages as large as the envelopes of one job", "proxy.1.messages", "/s")]
    return "\n".join([
        table(("durable puts", "a second"), [(title, spread(samples.of(name))) for title, name in puts]),
        table(("gets of present keys", "a second"), [(title, spread(samples.of(name))) for title, name in gets]),
        table(("below and between", ""), [(title, spread(samples.of(name), unit)) for title, name, unit in others])])


def ycsb(samples):
    mixes = (("a", "A: half gets, half puts"), ("b", "B: 95 % gets"), ("c", "C: gets"), ("f", "F: half gets, half read-modify-writes"))
    lines = [(title, *(spread(samples.of(f"evenkeel.{workers}.{mix}")) for workers in (1, 2)), spread(samples.of(f"evenkeel.1.{mix}.p99_us"), " ms", 1000))
             for mix, title in mixes]
    redis = [(f"Redis always, A, {name.rpartition('.')[2].replace('x', ' clients × ')}", spread(samples.of(name)), "", "")
             for name in samples.names("redis.always.a.")]
    return table(("YCSB, zipfian, operations a second", "1 worker", "2 workers", "p99 with 1 worker"), lines + redis)


def latencies(samples):
    lines = [(f"one {workload} at a time", *(spread(samples.of(f"single.{workload}.{figure}_us")) for figure in ("p50", "p99", "p999")))
             for workload in ("put", "get")]
    lines.append((f"puts at {number(samples.median('rate.target'))}/s, half of the peak, from the intended start",
                  *(spread(samples.of(f"rate.{figure}_us")) for figure in ("p50", "p99", "p999"))))
    return table(("latency, µs", "p50", "p99", "p99.9"), lines)


def costs(samples):
    lines = [(f"Evenkeel, {workers} worker{'s' * (workers > 1)}, {workload}",
              *(spread(samples.of(f"evenkeel.{workers}.{workload}.{part}.cpu_us")) for part in ("broker", "workers", "client")),
              spread(samples.of(f"evenkeel.{workers}.broker.bytes"), scale=MIB), spread(samples.of(f"evenkeel.{workers}.worker.bytes"), scale=MIB))
             for workers in PROCESSES for workload in ("put", "get")]
    pipeline = best(samples, samples.names("redis.always.put.")).rpartition(".")[2]
    lines += [("Redis always, its best pipeline", spread(samples.of(f"redis.always.cpu_us.{pipeline}")), "", "", spread(samples.of("redis.always.bytes"), scale=MIB), ""),
              ("`zmq_proxy`, echo of 128 bytes", spread(samples.of("echo.cpu_us")), "", "", "", ""),
              ("broker alone, a job, envelopes of 100", spread(samples.of("broker.100.cpu_us")), "", "", "", ""),
              ("`zmq_proxy`, a job, the same envelopes", spread(samples.of("proxy.100.cpu_us")), "", "", "", ""),
              ("broker alone, a job, envelopes of 1", spread(samples.of("broker.1.cpu_us")), "", "", "", ""),
              ("`zmq_proxy`, a job, echo of the same size", spread(samples.of("proxy.1.cpu_us")), "", "", "", "")]
    return table(("", "CPU µs an operation: broker or server", "all workers", "load generator", "MiB: broker or server", "MiB: a worker"), lines)


def shares(plan, samples):
    """Where the processors' time went in what rows 2, 3, 7, 10 and 13 compare."""
    put, ycsb, fifty = best_workers(samples, "put", "put.deep"), best_workers(samples, "a"), best_workers(samples, "fifty")
    together = best_workers(samples, "fifty_together")
    runs = [(f"2, 3: puts, {title(put)}", put), (f"7: 50 producers, {title(fifty)}", fifty), (f"7: together, {title(together)}", together),
            (f"10: YCSB A, {title(ycsb)}", ycsb),
            *((f"13: {shards:,} shards{depth(name)}", name) for shards in (plan.shards[0], plan.shards[-1]) for name in [best_depth(samples, shards)]),
            *((f"13: {producers:,} producers{text}", f"{way}.{producers}") for way, text in (("producers", ""), ("together", ", together"))
              for producers in (10, 1000))]
    lines = []
    for text, run in runs:
        medians = [samples.median(f"share.{run}.{part}") for part in PARTS]
        rest = max(0, 1 - sum(share or 0 for share in medians))  # ticks are coarse
        lines.append((text, *(f"{100 * share:.0f} %" if share is not None else "–" for share in (*medians, rest))))
    return table(("row and run", *PARTS.values(), "the rest"), lines) + SHARES


WAITS = {"messages": ("ZeroMQ, the broker and the client, there and back", "echo.p50_us", "the whole echo"),
         "handed": ("the worker's loop takes it, its storage thread wakes", None, ""),
         "begun": ("judged, made a batch, RocksDB until it writes its log", None, ""), "logged": ("RocksDB's log is written", None, ""),
         "synced": ("`fdatasync`", "sync.p50_us", "with the write, in a loop that does nothing else"),
         "applied": ("RocksDB puts the rows into memory, the loop wakes", None, ""), "answered": ("the loop takes what is done and answers", None, "")}


def waits(samples):
    """What one put at a time waits for."""
    lines = [(text, spread(samples.of(f"timeline.{stage}_us"), " µs"), f"{spread(samples.of(other), ' µs')}: {what}" if other else "")
             for stage, (text, other, what) in WAITS.items()]
    each = [samples.of(f"timeline.{stage}_us") for stage in STAGES]
    return table(("row 5: one put waits for", "p50", "beside"), [*lines, ("all of them", spread([sum(values) for values in zip(*each)], " µs"), "")])


def axes(plan, samples):
    def of(name, unit="", scale=1):
        return spread(samples.of(name), unit, scale)
    pipelines = [(number(at), *(of(depth_name(kind, at) + end) for kind in ("put", "get") for end in ("", ".p50_us", ".p99_us"))) for at in plan.pipelines]
    sizes = [(f"{at:,}", of(f"size.{at}.evenkeel"), of(f"size.{at}.evenkeel.bytes", scale=1e6), of(f"size.{at}.raw"),
              of(f"size.{at}.raw.bytes", scale=1e6)) for at in plan.sizes]
    keys = [(f"{at:,}", str(processes), *(of(key_name(plan, system, kind, at, processes)) for kind in ("put", "get") for system in ("evenkeel", "raw")))
            for at in (plan.small, plan.keys, plan.big) for processes in PROCESSES]
    producers = [(f"{at:,} × {UNDER_WAY // at:,}", *(figure for way in ("producers", "together")
                                                     for figure in (of(f"{way}.{at}"), of(f"{way}.{at}.p99_us", scale=1000)))) for at in plan.producers]
    runs = ((number(UNDER_WAY), ""), (number(DEEP), ".deep"), ("raw RocksDB with book-keeping", ".raw"))
    shards = [(f"{at:,}", run, of(f"shards.{at}{end}"), of(f"shards.{at}{end}.p99_us", scale=1000)) for at in plan.shards for run, end in runs]
    each = [("a producer with its connection", of("producers.broker.bytes_each"), of("producers.worker.bytes_each")),
            ("a producer among others on one", of("together.broker.bytes_each"), of("together.worker.bytes_each")),
            ("a shard", of("shards.broker.bytes_each"), of("shards.worker.bytes_each"))]
    queue = [("queued at most", of("memory.broker.queued", scale=MIB)), ("broker at most", of("memory.broker.full", scale=MIB)),
             (f"worker at most, {plan.big:,} keys, cache {plan.big_cache}, write buffer {WRITE_BUFFER}", of("memory.worker.peak", scale=MIB))]
    return "\n".join([
        table(("under way", "puts/s", "p50 µs", "p99 µs", "gets/s", "p50 µs", "p99 µs"), pipelines), picture("pipeline"),
        table(("bytes of a value", "puts/s", "MB/s", "raw RocksDB: puts/s", "MB/s"), sizes), picture("size"),
        table(("keys", "workers, or processes", "puts/s", "raw RocksDB", "gets/s", "raw RocksDB"), keys), picture("keys"),
        table(("producers × under way", "a connection each: puts/s", "p99 ms", "together on one: puts/s", "p99 ms"), producers), table(("shards", "under way", "puts/s", "p99 ms"), shards), picture("many"),
        table(("memory for each more, bytes", "broker", "worker"), each), table(("memory under load, MiB", ""), queue)])


def depth_name(kind, under_way):
    """The figure of an axis at whose end is the base case."""
    return f"evenkeel.1.{kind}" if under_way == UNDER_WAY else f"pipeline.{under_way}.{kind}"


def key_name(plan, system, kind, keys, processes):
    """The figure of an axis whose middle is the base case."""
    if keys != plan.keys:
        return f"keys.{keys}.{system}.{kind}.{processes}"
    return f"raw.{kind}.{processes}" if system == "raw" else f"evenkeel.{processes}.{kind}"


def picture(name):
    return f"![](bench/{name}.svg)\n"


# ---- pictures ----

SETTINGS = """set terminal svg size 760,360 font 'sans,11' background '#ffffff'
set grid ytics lc rgb '#dddddd'
set key outside right
set format '%.0s%c'
"""


def points(samples, pairs):
    """Lines of `x median least greatest`."""
    return "\n".join(f"{x} {statistics.median(values)} {min(values)} {max(values)}" for x, name in pairs if (values := samples.of(name)))


def draw(directory, name, settings, series):
    """One picture: series of (title, lines of points, style)."""
    shown = [each for each in series if each[1]]
    if not shown:
        return
    blocks = "".join(f"$data{index} << EOD\n{data}\nEOD\n" for index, (_, data, _) in enumerate(shown))
    plots = ", ".join(f"$data{index} {style} title \"{title}\"" for index, (title, _, style) in enumerate(shown))
    script = f"{SETTINGS}set output '{directory / name}.svg'\n{settings}\n{blocks}plot {plots}\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True, stdout=subprocess.DEVNULL)


LINES = "using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.5"


def draw_overview(directory, samples):
    always, everysec = (best(samples, samples.names(f"redis.{policy}.put.")) for policy in ("always", "everysec"))
    bars = [("Evenkeel 1", "evenkeel.1.put"), ("Evenkeel 2", "evenkeel.2.put"), ("raw 1", "raw.put.1"), ("raw 2", "raw.put.2"),
            ("db_bench", "db_bench.fill"), ("Redis always", always), ("Redis everysec", everysec)]
    data = "\n".join(f'{index} {statistics.median(values)} {min(values)} {max(values)} "{title}"'
                     for index, (title, name) in enumerate(bars) if (values := samples.of(name)))
    draw(directory, "overview", "set title 'Durable puts a second, pipelined (Redis everysec: not synced before acknowledged)'\nset yrange [0:*]\n"
         "set xrange [-0.6:6.6]\nset xtics noenhanced scale 0 font ',9'\nset style fill solid 0.6\nset key off",
         [("", data, "using 1:2:3:4:(0.6):xticlabels(5) with boxerrorbars")])


def draw_all(directory, plan, samples):
    directory.mkdir(parents=True, exist_ok=True)
    draw_overview(directory, samples)
    draw(directory, "pipeline", "set title 'One producer'\nset logscale xy\nset xlabel 'operations under way'\nset ylabel 'operations a second'",
         [(f"{kind}s", points(samples, [(at, depth_name(kind, at)) for at in plan.pipelines]), LINES) for kind in ("put", "get")])
    draw(directory, "size", "set title 'Durable puts by the size of a value'\nset logscale xy\nset xlabel 'bytes of a value'\nset ylabel 'bytes a second'",
         [(title, points(samples, [(at, f"size.{at}.{name}.bytes") for at in plan.sizes]), LINES)
          for title, name in (("Evenkeel", "evenkeel"), ("raw RocksDB", "raw"))])
    most = PROCESSES[-1]
    draw(directory, "keys", f"set title '{most} workers, {most} processes of RocksDB, by the number of keys'\nset logscale x\nset yrange [0:*]\nset xlabel 'keys'\n"
         "set ylabel 'operations a second'",
         [(f"{title}, {kind}s", points(samples, [(at, key_name(plan, name, kind, at, most)) for at in (plan.small, plan.keys, plan.big)]), LINES)
          for title, name in (("Evenkeel", "evenkeel"), ("raw RocksDB", "raw")) for kind in ("put", "get")])
    draw(directory, "many", "set title 'Durable puts by the number of producers, and of shards'\nset logscale x\nset yrange [0:*]\nset xlabel 'how many'\n"
         "set ylabel 'puts a second'",
         [(text, points(samples, [(at, f"{kind}.{at}") for at in counts]), LINES)
          for text, kind, counts in (("producers", "producers", plan.producers), ("on one connection", "together", plan.producers), ("shards", "shards", plan.shards))])


# ---- the page ----

WAITED = """The same in a run with [a library](../tests/bench/timeline.c) in the worker that notes the time at seven moments of each put. The two changes between the
worker's threads are what lets reads go on beside a sync. A sync takes longer here than in a loop by itself, as disk and processors have rested meanwhile; so do
the messages, whose processes find their caches taken by others.
"""

HOW = f"""Everything shares one machine, its disk and its processors: broker, workers and load generator. Each system is measured alone, one
after the other, and the whole turn is repeated; a figure is the median of the rounds, with the least and the greatest behind it. A ratio is
taken in each round. What rows 4 (with {PROCESSES[-1]} workers), 5 and 6 compare is measured in {{turns}} turns within a round, of which the median is the
round's figure. Each run on RocksDB, by whomever, begins when what was written before is flushed and merged. Row 12 compares two with two, so that
merges take from both what else would work. Unless told otherwise: keys of 16 bytes, uniformly random over {{keys:,}}, all of them present; values of 100 bytes that
compress to about half; one producer with {UNDER_WAY:,} operations under way (rows 1 to 4 and the shards of row 13 take what is best of that and of {DEEP:,}, as
many as Redis has with its longest pipeline); one worker; 512 shards; every write synced before it is
acknowledged, exactly-once on.

- **raw RocksDB** is [a program](../tests/bench/storage.c) that opens the store with the worker's own code and flags (cache {CACHE}, write buffer
  {WRITE_BUFFER}) and writes rows as a worker does, in sorted groups of {GROUP_ROWS:,} with one sync each; gets are sorted in groups of {GROUP_ROWS:,} and asked for
  64 at a time. Two processes have half of the keys each. Only where *book-keeping* is named a group has also the row by which a worker remembers it: for each
  shard with rows in the group their position, time, producer and number, as of one job. A group of {GROUP_ROWS:,} has rows of all of 512 shards, or of some 5,800 of 8,192
  (a worker's of fewer, since clients send shard after shard). Snapshots of what is remembered are due after 32 MiB of such rows, which these runs do not reach.
- **Producers together** are those of a process that have one connection, as clients of the library can; Redis's clients, and the connections of the echo, are
  always one for each.
- **`db_bench`** has the same cache, buffers, compression and bloom filters, and RocksDB's usual memtables, skip lists: `{' '.join(DB_BENCH)}`.
- **ZeroMQ** is [three processes](../tests/bench/echo.c): clients, `zmq_proxy`, a server that echoes.
- **RocksDB behind ZeroMQ** is the same clients and `zmq_proxy`, and a [server](../tests/bench/served.c) that opens a store as raw RocksDB does, with book-keeping. Before
  it answers it puts a row for each message that is at hand, all in one synced group, or gets one: what Evenkeel does, without numbers, jobs and limits. Groups are synced by a thread of their own, as a worker's are, whose
  reads have to go on meanwhile; only where it is told by the thread that reads the messages.
- **The broker alone** has one [worker that acknowledges without storing](../tests/bench/acknowledge.c), and [numbered puts in envelopes of a known
  shape](../tests/bench/envelopes.c). For CPU time the proxy carries messages as large as the envelopes, with answers as large as the replies.
- **Redis** logs every write (`appendonly yes`), measured by `redis-benchmark`; YCSB A by [a program](../tests/bench/redis.c) with the draws of
  `evenkeel bench`.
- CPU time and memory are those of `/proc`. The worker's memory is its peak, less its cache and one write buffer.
"""


def write(path, plan, samples, run):
    """BENCHMARKS.md at `path`, and its pictures in bench/ beside it. `run` says when, how long and under which load it was measured."""
    draw_all(path.parent / "bench", plan, samples)
    rounds = f"{run['rounds']} round{'s' * (run['rounds'] != 1)}"
    date = datetime.datetime.fromtimestamp(run["began"], datetime.timezone.utc)
    facts = [("date", f"{date:%Y-%m-%d %H:%M} UTC, {rounds} in {run['took_s'] / 60:.1f} minutes"),
             ("load before it began", f"{run['load']:.2f} (an idle machine: near 0)"), *run["machine"]]
    parts = ["# Benchmarks\n", "Written by `make bench`; do not edit it.\n"]
    if plan.keys < 1000000:
        parts.append(f"**A short run, {rounds} with {plan.keys:,} keys: its figures say little.**\n")
    elif run["rounds"] < FULL_ROUNDS:
        parts.append(f"**{rounds} instead of {FULL_ROUNDS}.**\n")
    parts += [table(("", ""), facts), "## What it must reach\n", rows_table(plan, samples)]
    if run["failures"]:
        parts += ["These could not be measured:\n", *(f"- {text}" for text in run["failures"]), ""]
    parts += ["## How it is measured\n", HOW.format(keys=plan.keys, turns=plan.turns), "## Side by side\n", picture("overview"), side_by_side(samples), ycsb(samples),
              latencies(samples), "## Where the time goes\n", shares(plan, samples), waits(samples), WAITED, "## What an operation costs\n", costs(samples), "## One axis at a time\n", axes(plan, samples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))
