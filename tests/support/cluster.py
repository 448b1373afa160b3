"""A cluster of real processes for tests: a broker and workers on free ports, in directories of their own.

Nothing sleeps: starting waits for the `ready ...` line, stopping for the process, and everything else for a figure on the stats socket. Logs
are kept and shown when a test fails. BUILD names the directory of the programs (default: build).
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
SLOWER = float(os.environ.get("CK_TIMEOUT_MULTIPLIER", "1"))
PATIENCE_S = 20 * SLOWER
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import msgpack  # noqa: E402
import zmq  # noqa: E402

from thin_client import Store  # noqa: E402

LOOPBACK = "tcp://127.0.0.1:*"


def program(name):
    return str(BUILD / "bin" / name)


def run(command, stdin=b"", timeout_s=PATIENCE_S, **options):
    """Runs a program to its end: exit code, standard output and error as text."""
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s, **options)


class Process:
    """One program under test. Lines of its standard output can be waited for; standard error goes to a file."""

    def __init__(self, name, command, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        self.child.stdout.close()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_line(self, start, timeout_s=PATIENCE_S):
        """The first line of standard output that begins with `start`."""
        def found():
            return next((line for line in self.lines if line.startswith(start)), None)
        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, timeout_s)
            line = found()
        if line is None:
            raise AssertionError(f"{self.name} did not say '{start}':\n{self.logged()}")
        return line

    def wait_ready(self):
        """The fields of the `ready name=value ...` line."""
        return dict(word.split("=", 1) for word in self.wait_line("ready ").split()[1:])

    def logged(self):
        return f"--- {self.name}: exit {self.child.poll()}, output {self.lines}\n{self.log.read_text(errors='replace')}"

    def wait_end(self, timeout_s=PATIENCE_S):
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end:\n{self.logged()}") from None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        """An orderly stop, which must end with 0."""
        self.child.send_signal(signal.SIGTERM)
        code = self.wait_end()
        if code != 0:
            raise AssertionError(f"{self.name} ended with {code} after SIGTERM:\n{self.logged()}")


class Cluster:
    def __init__(self, workers=1, shards=16, broker_flags=(), worker_flags=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="evenkeel-"))
        self.shards = shards
        self.broker_flags = list(broker_flags)
        self.worker_flags = list(worker_flags)
        self.endpoints = {"clients": LOOPBACK, "workers": LOOPBACK, "stats": LOOPBACK}
        self.broker = None
        self.workers = {}
        self.processes = []
        self.sockets = []
        try:
            self.start_broker()
            for number in range(1, workers + 1):
                self.start_worker(f"w{number}")
        except AssertionError:
            self.close()
            self.remove()
            raise

    # ---- processes ----

    def start_command(self, name, command):
        process = Process(name, command, self.directory)
        self.processes.append(process)
        return process

    def broker_command(self, *flags):
        command = [program("evenkeel-broker"), "--data", str(self.directory / "broker"), "--shards", str(self.shards)]
        for name, endpoint in self.endpoints.items():
            command += [f"--{name}", endpoint]
        if SLOWER > 1:  # a sanitizer makes long breaks where there are none
            command += ["--liveness", f"{2 * SLOWER}s"]
        return command + self.broker_flags + list(flags)

    def worker_command(self, name, *flags):
        return [program("evenkeel-worker"), "--broker", self.endpoints["workers"], "--data", str(self.directory / name), "--name", name,
                "--listen", LOOPBACK, "--reserve", "16M", "--cache", "16M", "--write-buffer", "16M", *self.worker_flags, *flags]

    def start_broker(self, *flags):
        """A restart takes the ports of the first start again, so that everybody finds it."""
        self.broker = self.start_command("broker", self.broker_command(*flags))
        self.endpoints = self.broker.wait_ready()
        return self.broker

    def start_worker(self, name, *flags, wait=True):
        worker = self.workers[name] = self.start_command(name, self.worker_command(name, *flags))
        if wait:
            worker.wait_ready()
        return worker

    def kill_all(self):
        for process in [self.broker, *self.workers.values()]:
            process.kill()

    def start_all(self):
        self.start_broker()
        for name in list(self.workers):
            self.start_worker(name)

    def stop(self):
        """Ends everything in order, workers first."""
        for process in [*self.workers.values(), self.broker]:
            if process.child.poll() is None:
                process.stop()

    def close(self):
        for socket in self.sockets:
            socket.close()
        for process in self.processes:
            if process.child.poll() is None:
                process.kill()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def logged(self):
        return "\n".join(process.logged() for process in self.processes)

    # ---- peers ----

    def raw(self, endpoint="clients", kind=zmq.DEALER, routing_id=None, timeout_s=PATIENCE_S):
        """A bare socket, for messages that no decent client sends."""
        socket = zmq.Context.instance().socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, int(timeout_s * 1000))
        if routing_id is not None:
            socket.setsockopt(zmq.ROUTING_ID, routing_id)
        socket.connect(self.endpoints[endpoint])
        self.sockets.append(socket)
        return socket

    def store(self, kind=zmq.DEALER):
        store = Store(self.endpoints["clients"], kind, int(PATIENCE_S * 1000))
        self.sockets.append(store.socket)
        return store

    def cli_command(self, *words):
        return [program("evenkeel"), "--broker", self.endpoints["clients"], "--json", *words]

    def cli(self, *words, stdin=b"", timeout_s=PATIENCE_S, environment=None):
        """`evenkeel WORDS --json`: exit code and the objects it wrote, one a line."""
        command = self.cli_command(*words)
        done = run(command, stdin, timeout_s, env={**os.environ, **(environment or {})})
        try:
            return done.returncode, [json.loads(line) for line in done.stdout.decode().splitlines()]
        except ValueError:
            raise AssertionError(f"{command} wrote no JSON: {done.stdout!r} {done.stderr!r}") from None

    def _ask(self, kind, words, timeout_s):
        """The status and text of the broker's ANSWER. One socket each time: an answer that nobody waits for any more is lost with it."""
        socket = self.raw(timeout_s=timeout_s)
        try:
            socket.send(msgpack.packb([1, kind, 1, words]))
            version, answer, number, status, text = msgpack.unpackb(socket.recv())
        finally:
            socket.close()
            self.sockets.remove(socket)
        assert (version, answer, number) == (1, 6, 1), (version, answer, number, status, text)
        return status, text

    def query(self, what, timeout_s=PATIENCE_S):
        """The broker's answer to QUERY, read from JSON."""
        status, text = self._ask(5, what, timeout_s)
        assert status == 0, (what, status, text)
        return json.loads(text)

    def admin(self, *words, timeout_s=PATIENCE_S):
        """An operator's command: its status, and the JSON that came of it or why it could not be."""
        status, text = self._ask(8, list(words), timeout_s)
        return status, json.loads(text) if status == 0 else text.decode()

    def snapshots(self, timeout_s=PATIENCE_S):
        """What the stats socket sends, until the time is over."""
        socket = self.raw("stats", zmq.SUB)
        socket.setsockopt(zmq.SUBSCRIBE, b"stats")
        ends = time.monotonic() + timeout_s
        while (left := ends - time.monotonic()) > 0 and socket.poll(int(left * 1000) + 1):
            topic, text = socket.recv_multipart()
            assert topic == b"stats", topic
            yield json.loads(text)

    def wait_stats(self, holds, timeout_s=PATIENCE_S):
        """The first snapshot for which `holds`."""
        last = None
        for last in self.snapshots(timeout_s):
            if holds(last):
                return last
        raise AssertionError(f"never came true; the last snapshot was {last}")


class EvenkeelTest(unittest.TestCase):
    """Tests that start clusters of their own, whose logs are shown when one fails."""

    def own_cluster(self, **options):
        """A cluster for this test alone, which it may kill."""
        cluster = Cluster(**options)
        self.addCleanup(self._end, cluster)
        return cluster

    def mount(self, cluster, name, size):
        """A worker's directory becomes a file system of that size."""
        directory = cluster.directory / name
        directory.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True)
        if done.returncode != 0:
            self.skipTest(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(directory)], capture_output=True)

    def _end(self, cluster):
        cluster.close()
        self._logs = getattr(self, "_logs", "") + cluster.logged()
        cluster.remove()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            shared = getattr(type(self), "cluster", None)
            print(f"=== logs of {self.id()}\n{shared.logged() if shared else ''}{getattr(self, '_logs', '')}", file=sys.stderr)


class ClusterTest(EvenkeelTest):
    """Tests that share one cluster. `options` are those of Cluster."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(**cls.options)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.cluster.stop()
        finally:
            cls.cluster.close()
            cls.cluster.remove()
