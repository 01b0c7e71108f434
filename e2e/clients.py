"""Ordinary Redis clients, unmodified, work at a leader and at a follower.

redis-cli, redis-benchmark and redis-py know nothing of Raft and follow no redirect: a follower
has to forward (scenario H12), and no increment may be lost or counted twice on the way.
"""

import subprocess
import sys

from support.cluster import agree_on_applied, main, need, skip, wait_for
from support.resp import ServerError

REQUESTS = 20_000
ATTEMPTS_MAX = 5

try:
    import redis
except ImportError:
    skip("the Python package redis is not installed")


def run(*command):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"


def check_redis_cli(node):
    def cli(*words):
        return run("redis-cli", "-p", str(node.port), *words).strip()

    key = f"cli:{node.id}"
    expect("PING", cli("PING"), "PONG")
    expect("SET", cli("SET", key, "one two"), "OK")
    expect("GET", cli("GET", key), "one two")
    expect("DEL", cli("DEL", key), "1")
    expect("GET of nothing", cli("GET", key), "")
    expect("INCR", cli("INCR", key), "1")
    assert "raft_role:" in cli("INFO", "raft"), "INFO raft says nothing of Raft"
    refused = cli("NO-SUCH-COMMAND")
    assert refused.startswith("ERR"), f"an unknown command was answered with {refused!r}"


def check_redis_benchmark(node, *flags):
    """Every request is answered, and every increment is counted exactly once."""
    counter = "counter:__rand_int__"
    before = int(node.call("GET", counter) or 0)
    output = run(
        "redis-benchmark", "-p", str(node.port), "-t", "set,get,incr", "-q",
        "-n", str(REQUESTS), "-c", "50", *flags,
    )  # fmt: skip
    lines = [line for text in output.splitlines() for line in text.split("\r")]
    for test in ("SET", "GET", "INCR"):
        rates = [line for line in lines if line.startswith(f"{test}:") and "per second" in line]
        assert rates, f"redis-benchmark gave no result for {test}:\n{output}"
        print(f"  {node} {' '.join(flags)} {rates[-1].strip()}")
    assert "ERR" not in output, f"the server answered with errors:\n{output}"
    expect("increments", int(node.call("GET", counter)) - before, REQUESTS)


def check_redis_py(node, protocol):
    client = redis.Redis(port=node.port, protocol=protocol, decode_responses=True)
    key = f"py:{node.id}:{protocol}"
    assert client.ping()
    client.delete(key, f"{key}:n")
    assert client.set(key, "\u00e9")
    expect("get", client.get(key), "\u00e9")
    expect("incr", [client.incr(f"{key}:n") for _ in range(3)], [1, 2, 3])
    expect("delete", client.delete(key, f"{key}:n"), 2)
    expect("get of nothing", client.get(key), None)
    with client.pipeline(transaction=False) as pipeline:
        for number in range(100):
            pipeline.set(f"{key}:{number}", number)
            pipeline.get(f"{key}:{number}")
        answers = pipeline.execute()
    expect("a pipeline's answers, in order", answers[1::2], [str(n) for n in range(100)])
    client.close()


def under_one_leader(cluster, work, *args):
    """Does the work, and does it again if the leader was lost meanwhile.

    A machine that is busy with other things can cost a leader its majority; what was under way
    then ends with an error, as it should, and these clients give up at the first.
    """
    for _ in range(ATTEMPTS_MAX):
        term = cluster.wait_for_leader().info().get("raft_term")
        try:
            return work(*args)
        except (AssertionError, OSError, ServerError, redis.RedisError) as error:
            if cluster.wait_for_leader().info().get("raft_term") == term:
                raise
            print(f"  again, for the leader was lost: {error}")
    raise AssertionError(f"no leader lasted through {work.__name__} in {ATTEMPTS_MAX} attempts")


def check(cluster):
    need("redis-cli", "redis-benchmark")
    cluster.start()
    leader = cluster.wait_for_leader()
    follower = cluster.others(leader)[0]
    for node in (leader, follower):
        under_one_leader(cluster, check_redis_cli, node)
        for protocol in (2, 3):
            under_one_leader(cluster, check_redis_py, node, protocol)
        under_one_leader(cluster, check_redis_benchmark, node)
        under_one_leader(cluster, check_redis_benchmark, node, "-P", "16")
    counters = {node.insist("GET", "counter:__rand_int__") for node in cluster.nodes}
    assert len(counters) == 1, f"the nodes disagree on the counter: {counters}"
    wait_for(
        "all nodes to have applied the same",
        lambda: agree_on_applied(cluster.nodes),
    )


if __name__ == "__main__":
    sys.exit(main(check))
