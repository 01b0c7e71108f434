"""A node that lost its directory neither votes nor counts, and says what to do (scenario A20).

Two of three hold a write. One of the two is wiped and started again with the very same command,
the other is paused. The third was down and never heard of the write: if the wiped node voted for
it, the two would be a majority and the write would be gone.
"""

import sys
import time

from support.cluster import main, wait_for

# Many times the longest election timeout, which is half a second by default.
SILENCE_SECONDS = 6.0


def stays_without_leader(nodes):
    end = time.monotonic() + SILENCE_SECONDS
    while time.monotonic() < end:
        for node in nodes:
            assert not node.leads(), f"{node} was elected with the vote of a wiped node"
        time.sleep(0.1)


def check(cluster):
    cluster.start()
    leader = cluster.wait_for_leader()
    wiped, behind = cluster.others(leader)

    # Killed and not paused: a paused process would find the write in its socket on waking.
    behind.kill()
    assert leader.insist("SET", "held", "by two") == "OK"
    wiped.kill()
    wiped.wipe()
    leader.pause()
    behind.start()
    log_before = len(wiped.log())
    wiped.start()
    for node in (wiped, behind):
        wait_for(f"{node} to answer", node.info)

    stays_without_leader([wiped, behind])
    said = wiped.log()[log_before:].lower()
    assert "does not vote" in said and "put its original data directory back" in said, (
        f"the wiped node does not say what is wrong and what to do:\n{said}"
    )

    leader.resume()
    elected = cluster.wait_for_leader(among=[leader, behind])
    assert elected.insist("GET", "held") == "by two", "an acknowledged write was lost"
    assert elected.insist("SET", "later", "by two again") == "OK"
    assert behind.insist("GET", "held") == "by two", "the node that was behind did not catch up"
    assert not wiped.leads(), "the wiped node leads"


if __name__ == "__main__":
    sys.exit(main(check))
