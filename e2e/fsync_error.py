"""A node whose fsync fails stops at once and says so, and nothing acknowledged is lost.

After a failed fsync the kernel may call the pages clean although they never reached the disk, so
that trying again proves nothing (scenario G03). Once for a follower and once for the leader.
"""

import signal
import sys

from support.cluster import Cluster, agree_on_applied, main, need, skip, wait_for
from support.resp import ServerError

# Calls that succeed first: enough to start up and to be elected.
GOOD_CALLS = 400
# A node that strace slows down takes many entries with one sync.
WRITES_MAX = 100 * GOOD_CALLS
ELECTIONS_MAX = 20


def failing_disk(cluster, node):
    """A command under which every fsync fails after the first few hundred."""
    calls = "fdatasync,fsync"
    return (
        "strace", "-f", "-qq", "-o", f"{cluster.folder}/strace.{node.id}",
        "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={GOOD_CALLS}+",
    )  # fmt: skip


def make_leader(cluster, node):
    """Pauses whoever else leads until `node` does."""
    for _ in range(ELECTIONS_MAX):
        leader = cluster.wait_for_leader()
        if leader is node:
            return
        leader.pause()
        cluster.wait_for_leader(among=cluster.others(leader))
        leader.resume()
    raise AssertionError(f"{node} was never elected in {ELECTIONS_MAX} elections")


def write_until_it_ends(node, writer):
    """Writes at `writer` until `node` has ended; returns what was acknowledged."""
    acknowledged = {}
    for number in range(WRITES_MAX):
        key, value = f"key:{number}", f"value:{number}"
        try:
            if writer.call("SET", key, value) == "OK":
                acknowledged[key] = value
        except (OSError, ServerError):
            # Not acknowledged: it may be there or not.
            pass
        if node.process.poll() is not None:
            return acknowledged
    raise AssertionError(f"{node} outlived {WRITES_MAX} writes on a failing disk")


def check_node(cluster, node, writer):
    acknowledged = write_until_it_ends(node, writer)
    status = node.wait_until_it_ends()
    assert status != 0, f"{node} ended with status 0: a supervisor would think that all is well"
    assert status != -signal.SIGSEGV and "panicked" not in node.log(), f"{node} crashed"
    last = node.log().lower()
    assert "storage" in last or "fsync" in last or "sync" in last, f"{node} does not say why"
    assert acknowledged, "no write was acknowledged before the disk failed"
    print(f"  {node} ended with status {status} after {len(acknowledged)} writes")

    survivors = cluster.others(node)
    leader = cluster.wait_for_leader(among=survivors)
    assert leader.insist("SET", "after", "the failure") == "OK"
    check_all_there(survivors, acknowledged)

    node.start()
    wait_for(
        f"{node} to catch up on a disk that works again",
        lambda: agree_on_applied([node, leader]),
    )
    check_all_there([node], acknowledged)


def check_all_there(nodes, acknowledged):
    for node in nodes:
        lost = [key for key, value in acknowledged.items() if node.insist("GET", key) != value]
        assert not lost, f"{node} lost {len(lost)} acknowledged writes, among them {lost[0]}"


def start_with_failing_disk(cluster, node):
    node.start(under=failing_disk(cluster, node))
    for other in cluster.others(node):
        other.start()
    cluster.wait_for_leader()


def check(cluster):
    need("strace")
    if sys.platform != "linux":
        skip("faults are injected with strace")
    node = cluster.nodes[2]
    start_with_failing_disk(cluster, node)
    if node.leads():
        make_leader(cluster, cluster.nodes[0])
    check_node(cluster, node, cluster.wait_for_leader())
    print("  a follower's disk failed: ok")

    with Cluster(cluster.server) as second:
        node = second.nodes[0]
        start_with_failing_disk(second, node)
        make_leader(second, node)
        check_node(second, node, node)
        print("  the leader's disk failed: ok")


if __name__ == "__main__":
    sys.exit(main(check))
