"""What the measurements share: open-loop loads and their logs, percentiles, and lines of figures with a limit and a verdict."""
import contextlib
import json
import os
import pathlib
import statistics
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cluster import BUILD, Cluster  # noqa: E402

OK, EXPIRED, BUSY, NO_OUTCOME = 0, 5, 8, 255


class Figures:
    """Figures of several repetitions, each with the limit that it is held against."""

    def __init__(self):
        self.rows = {}

    def add(self, name, value, limit, unit, at_most=True):
        self.rows.setdefault(name, (limit, unit, at_most, []))[3].append(value)

    def report(self):
        """Prints a line a figure; true when the worst of each keeps its limit."""
        passed = True
        for name, (limit, unit, at_most, values) in self.rows.items():
            worst = max(values) if at_most else min(values)
            holds = limit is None or (worst <= limit if at_most else worst >= limit)
            passed = passed and holds
            bound = "no limit" if limit is None else f"{'at most' if at_most else 'at least'} {limit:,.0f} {unit}"
            verdict = "    " if limit is None else "pass" if holds else "FAIL"
            print(f"{verdict}  {name}: median {statistics.median(values):,.1f} {unit}, worst {worst:,.1f} of {len(values)}; {bound}", flush=True)
        return passed


@contextlib.contextmanager
def judged(cluster):
    """The cluster, until it is not needed any more; what its programs said is shown when something did not hold."""
    try:
        yield cluster
    except AssertionError:
        print(cluster.logged(), file=sys.stderr)
        raise
    finally:
        cluster.close()
        cluster.remove()


def percentile(values, share):
    """The value that this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


class OpenLoop:
    """A load under way: `second N` lines while it runs, its summary and records when it has ended."""

    def __init__(self, cluster, name, rate, duration_ms, **options):
        self.path = cluster.directory / f"{name}.records"
        self.name = name
        command = [str(BUILD / "tests" / "bench" / "openloop"), "--broker", cluster.endpoints["clients"], "--rate", str(int(rate)),
                   "--duration-ms", str(duration_ms), "--shards", str(cluster.shards), "--log", str(self.path)]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}", str(value)]
        self.process = cluster.start_command(name, command)

    def await_second(self, number):
        self.process.wait_line(f"second {number}", 120)

    def end(self):
        """The summary, once all operations have an outcome."""
        line = self.process.wait_line("{", 300)
        if self.process.wait_end() != 0:
            raise AssertionError(self.process.logged())
        return json.loads(line)

    def records(self):
        """(intended start in us, latency in us, shard, outcome, 0) of each operation."""
        records = list(struct.iter_unpack("<QIHBB", self.path.read_bytes()))
        self.path.unlink()
        return records


def fill(cluster, *arguments):
    """Writes every one of the keys once; `arguments` are bench's."""
    code, lines = cluster.cli("bench", "--workload", "put", "--count", "1", "--load", *arguments, timeout_s=600)
    if code != 0:
        raise AssertionError(lines)


def measure_peak(cluster, seconds, *flags):
    """Puts a second that the cluster takes when it is asked for as many as it can."""
    code, lines = cluster.cli("bench", "--workload", "put", "--duration", f"{seconds}s", *flags, timeout_s=seconds + 60)
    if code != 0:
        raise AssertionError(lines)
    return lines[0]["ops_per_second"]


def resident_bytes(process):
    """What a process has in memory now, and had at most so far."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process.child.pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


__all__ = ["BUSY", "Cluster", "EXPIRED", "NO_OUTCOME", "OK", "Figures", "OpenLoop", "measure_peak", "percentile", "resident_bytes"]
