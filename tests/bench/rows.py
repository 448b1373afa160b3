"""What Evenkeel must reach, and whether it does: ratios of figures of one run.

A ratio is taken in each round, between figures that were measured one after the other; what is judged is the median of these.
"""
import dataclasses
import statistics

from measurements import DEEP, PROCESSES

MIB = 1 << 20


@dataclasses.dataclass
class Row:
    number: str
    measure: str
    at_least: bool
    bound: float
    unit: str
    values: list  # one a round; none: it was not measured
    alone: list = dataclasses.field(default_factory=list)  # likewise of what lies below: RocksDB or ZeroMQ without anything on top

    def figure(self):
        return statistics.median(self.values) if self.values else None

    def reached(self):
        """None when nothing was measured."""
        if not self.values:
            return None
        return self.figure() >= self.bound if self.at_least else self.figure() <= self.bound


def ratio(tops, bottoms):
    return [top / bottom for top, bottom in zip(tops, bottoms) if bottom]


def total(*lists):
    return [sum(values) for values in zip(*lists)]


def half_and_half(a, b):
    """Operations a second of which every other is of the other kind."""
    return [2 / (1 / x + 1 / y) for x, y in zip(a, b)]


def best(samples, names):
    """The name with the highest median, "" when none was measured."""
    return max((name for name in names if samples.of(name)), key=samples.median, default="")


def best_workers(samples, *figures):
    return best(samples, [f"evenkeel.{workers}.{figure}" for workers in PROCESSES for figure in figures])


def best_depth(samples, shards):
    return best(samples, (f"shards.{shards}", f"shards.{shards}.deep"))


def depth(name):
    """How many were under way where it was not what is usual."""
    return f", {DEEP:,} under way" * name.endswith(".deep")


def title(name):
    """What a name that `best` chose stands for."""
    parts = name.split(".")
    if parts[0] == "evenkeel":
        return f"{parts[1]} worker{'s' * (parts[1] != '1')}{depth(name)}"
    return parts[-1].replace("x", " clients × ") if name else "none"


def judge(plan, samples):
    """All rows of the table, in its order."""
    of = samples.of
    put, get = (best_workers(samples, figure, f"{figure}.deep") for figure in ("put", "get"))
    ycsb, fifty, together = (best_workers(samples, figure) for figure in ("a", "fifty", "fifty_together"))
    redis_put = best(samples, samples.names("redis.always.put."))
    redis_a = best(samples, samples.names("redis.always.a."))

    most = PROCESSES[-1]

    def of_raw(mode):
        ours = ratio(of(f"keys.{plan.big}.evenkeel.{mode}.{most}"), of(f"keys.{plan.small}.evenkeel.{mode}.{most}"))
        return ratio(ours, ratio(of(f"keys.{plan.big}.raw.{mode}.{most}"), of(f"keys.{plan.small}.raw.{mode}.{most}")))

    largest, smallest = plan.shards[-1], plan.shards[0]
    many_shards, few_shards = best_depth(samples, largest), best_depth(samples, smallest)
    many, few = 1000, 10
    echo_and_sync = total(of("echo.p50_us"), of("sync.p50_us"))

    def at_least(number, measure, bound, values, alone=()):
        return Row(number, measure, True, bound, "", values, list(alone))

    def at_most(number, measure, bound, values, unit="", alone=()):
        return Row(number, measure, False, bound, unit, values, list(alone))

    def mib(name):
        return [value / MIB for value in of(name)]

    return [
        at_least("1", f"pipelined durable puts ({title(put)}) ÷ `db_bench fillrandom`, synced batches of 1,000", 1.5, ratio(of(put), of("db_bench.fill")),
                 ratio(of("raw.put.2"), of("db_bench.fill"))),
        at_least("2", "the same ÷ two raw RocksDB processes, sorted synced groups of 10,000", 0.7, ratio(of(put), of("raw.put.2")), [1]),
        at_least("3", f"the same ÷ Redis always-sync at its best pipeline ({title(redis_put)})", 4, ratio(of(put), of(redis_put)),
                 ratio(of("raw.put.2"), of(redis_put))),
        at_least("4", f"pipelined gets of present keys ({title(get)}) ÷ `db_bench multireadrandom`, batches of 64, 2 threads", 0.8,
                 ratio(of(get), of("db_bench.multiread")), ratio(of("raw.get.2"), of("db_bench.multiread"))),
        at_most("5", "one put at a time, p50 ÷ (p50 of the ZeroMQ proxy's echo + p50 of fdatasync)", 1.3,
                ratio(of("single.put.p50_us"), echo_and_sync), alone=ratio(of("served.put.p50_us"), echo_and_sync)),
        at_most("6", "one get at a time, p50 ÷ p50 of that echo", 1.25, ratio(of("single.get.p50_us"), of("echo.p50_us")),
                alone=ratio(of("served.get.p50_us"), of("echo.p50_us"))),
        at_least("7", f"50 producers, one put each under way ({title(fifty)}), a connection each ÷ Redis always-sync, 50 clients", 1.5,
                 ratio(of(fifty), of("redis.always.put.50x1")), ratio(of("served.fifty"), of("redis.always.put.50x1"))),
        at_least("7", f"the same 50 producers ({title(together)}) on one connection ÷ the same", 1.5, ratio(of(together), of("redis.always.put.50x1")),
                 ratio(of("served.fifty_together"), of("redis.always.put.50x1"))),
        at_most("8", "broker's CPU time a job, envelopes of 100 jobs ÷ CPU time of `zmq_proxy` for the same envelopes", 2,
                ratio(of("broker.100.cpu_us"), of("proxy.100.cpu_us"))),
        at_least("9", "jobs/s through the broker alone, one an envelope ÷ messages/s of the `zmq_proxy` echo", 0.8,
                 ratio(of("broker.1.jobs"), of("proxy.1.messages"))),
        at_least("10", f"YCSB A pipelined ({title(ycsb)}) ÷ Redis always-sync, same mix and pipeline ({title(redis_a)})", 3, ratio(of(ycsb), of(redis_a)),
                 ratio(half_and_half(of("raw.put.2"), of("raw.get.2")), of(redis_a))),
        at_least("11", "1 MiB values: bytes/s of durable puts ÷ raw RocksDB, groups of 16 MiB", 0.5,
                 ratio(of(f"size.{MIB}.evenkeel.bytes"), of(f"size.{MIB}.raw.bytes"))),
        at_least("12", f"puts/s with {plan.big:,} keys ÷ {plan.small:,}, {most} workers, divided by the same ratio of {most} raw RocksDB processes", 0.9, of_raw("put")),
        at_least("12", f"gets/s with {plan.big:,} keys ÷ {plan.small:,}, {most} workers, divided by the same ratio of {most} raw RocksDB processes", 0.9, of_raw("get")),
        at_least("13", f"puts/s with {largest:,} shards{depth(many_shards)} ÷ {smallest:,}{depth(few_shards)}", 0.8, ratio(of(many_shards), of(few_shards)),
                 ratio(of(f"shards.{largest}.raw"), of(f"shards.{smallest}.raw"))),
        at_least("13", f"puts/s with {many:,} producers ÷ {few:,}, pipelined to the same total, all on one connection", 0.8,
                 ratio(of(f"together.{many}"), of(f"together.{few}"))),
        at_least("13", f"the same with a connection each: {many:,} connections ÷ {few:,}", 0.8, ratio(of(f"producers.{many}"), of(f"producers.{few}")),
                 ratio(of(f"echo.producers.{many}"), of(f"echo.producers.{few}"))),
        at_most("14", "memory of the broker, idle", 32, mib("memory.broker.idle"), "MiB"),
        at_most("14", f"memory of the broker under a full queue, above its limit of {plan.max_queue}", 64, mib("memory.broker.over"), "MiB"),
        at_most("14", f"memory of a worker with {plan.big:,} keys, above its cache and one write buffer", 96, mib("memory.worker.over"), "MiB"),
        at_most("15", f"worker ready to serve after a clean stop, {plan.big:,} keys", 1, of("start.seconds"), "s"),
    ]
