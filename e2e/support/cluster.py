"""A three-node cluster of real server processes on loopback.

Ends only processes it started, by their ids. Data and logs go to a temporary folder, which stays
when a check fails.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from support.resp import ServerError, call

SKIPPED = 77
# A machine under load may take long; a check that needs longer than this is broken.
CHECK_SECONDS_MAX = 300


class OutOfTime(BaseException):
    """The whole check took too long. No `except Exception` may take it for something else."""


def skip(why):
    """Ends the check: this machine lacks something it needs."""
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            skip(f"{program} is not installed")


def wait_for(what, condition, seconds=30.0):
    """The first true value of `condition`, which is asked again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")


def free_ports(count):
    """Ports that nobody holds, below those the system gives to outgoing connections: of those, one
    could become the port of a node that is down, even by the connection that is to reach it."""
    sockets = []
    try:
        for port in random.sample(range(20_000, 32_000), 12_000):
            one = socket.socket()
            sockets.append(one)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                sockets.pop().close()
            if len(sockets) == count:
                return [one.getsockname()[1] for one in sockets]
        raise AssertionError("no free ports")
    finally:
        for one in sockets:
            one.close()


class Node:
    """One server: its process may come and go, its ports and its folder stay."""

    def __init__(self, cluster, number, port):
        self.cluster = cluster
        self.id = number
        self.port = port
        self.folder = os.path.join(cluster.folder, f"node{number}")
        self.log_path = os.path.join(cluster.folder, f"node{number}.log")
        self.process = None

    def __repr__(self):
        return f"n{self.id}"

    def start(self, under=()):
        """Starts the server, perhaps under another program."""
        assert self.process is None, f"{self} runs already"
        command = [self.cluster.server, "serve", "--id", str(self.id), "--data", self.folder]
        command += ["--listen", f"127.0.0.1:{self.port}", "--cluster", "e2e"]
        command += ["--until-stdin-ends"]
        for number, port in self.cluster.peer_ports.items():
            command += ["--peer", f"{number}=127.0.0.1:{port}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*under, *command],
                # Closed by the system when this program ends, however it does.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # A server under another program is ended together with it.
                start_new_session=True,
            )

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """Ends it without a warning."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def wait_until_it_ends(self, seconds=30.0):
        """Its exit status, once it has ended by itself."""
        status = self.process.wait(timeout=seconds)
        self.process = None
        return status

    def wipe(self):
        shutil.rmtree(self.folder)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def call(self, *words, timeout=5.0):
        return call(self.port, *words, timeout=timeout)

    def insist(self, *words):
        """Sends a command that may be executed twice, until it is answered without an error."""

        def answered():
            try:
                return [self.call(*words)]
            except (OSError, ServerError):
                return []

        return wait_for(f"{self} to answer {words}", answered)[0]

    def info(self, timeout=1.0):
        """The fields of `INFO raft`; empty if it does not answer."""
        try:
            text = self.call("INFO", "raft", timeout=timeout)
        except (OSError, ServerError):
            return {}
        lines = (line.partition(":") for line in text.splitlines())
        return {name: value for name, colon, value in lines if colon}

    def leads(self):
        return self.info().get("raft_role") == "leader"


class Cluster:
    """Three nodes. Used with `with`: whatever happens, no process is left behind."""

    def __init__(self, server):
        self.server = os.path.abspath(server)
        self.folder = tempfile.mkdtemp(prefix="quorate-e2e-")
        ports = free_ports(6)
        self.peer_ports = dict(zip((1, 2, 3), ports[3:]))
        self.nodes = [Node(self, number, ports[number - 1]) for number in (1, 2, 3)]

    def __enter__(self):
        signal.signal(signal.SIGALRM, self._out_of_time)
        signal.alarm(CHECK_SECONDS_MAX)
        return self

    def __exit__(self, kind, *_):
        signal.alarm(0)
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()
        if kind is None:
            shutil.rmtree(self.folder)
            return
        print(f"data and logs are kept in {self.folder}")
        for node in self.nodes:
            if os.path.exists(node.log_path):
                tail = node.log().splitlines()[-15:]
                print(f"--- the end of {node}'s log", *tail, sep="\n")

    @staticmethod
    def _out_of_time(*_):
        raise OutOfTime(f"not done after {CHECK_SECONDS_MAX} s")

    def start(self):
        for node in self.nodes:
            node.start()

    def wait_for_leader(self, among=None):
        """A node that leads and has committed in its term."""
        candidates = among or self.nodes

        def leader():
            found = next((node for node in candidates if node.leads()), None)
            return found if found is not None and can_write(found) else None

        return wait_for("a leader", leader)

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]


def agree_on_applied(nodes):
    """Whether all of them answer, and have applied the log up to the same index."""
    applied = {node.info().get("raft_applied") for node in nodes}
    return len(applied) == 1 and None not in applied


def can_write(node):
    try:
        return node.call("SET", "e2e:probe", node.id, timeout=2.0) == "OK"
    except (OSError, ServerError):
        return False


def main(check):
    """Runs `check` with the server named on the command line."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PATH-OF-QUORATE-KV")
    with Cluster(sys.argv[1]) as cluster:
        check(cluster)
