//! How a server leaves: a leader that removes itself [Thesis 4.2.2], and servers that do not know
//! yet that they are out [Thesis 4.2.3]. Changes in general are in `paper_membership.rs`.

use quorate_core::{
    Action, Body, ChangeRefusal, Event, LogIndex, ReadId, Refusal, Request, RoleName, Round,
    TransferId,
};

use super::support::bench::{
    Bench, append, has, heartbeat, matched, node_of, pre_vote_request, said_to, saved, sends,
    vote_reply, vote_request,
};
use super::support::changes::{
    add_learner, add_voter, answers, members, membership_entry, move_to, refused, remove,
    settled_leader, settled_leader_of,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, entries, i, id, ms, n, t};

/// A leader of three whose own removal is appended at i2, and durable here.
fn leaving_leader() -> Bench {
    let mut leader = settled_leader_of(3);
    assert_eq!(leader.answer_to(remove(1)), Ok(id(2, 1)));
    let _ = leader.persist();
    leader
}

const fn removed(index: u64) -> Body {
    Body::Removed { index: i(index) }
}

/// What this node is told of its removal among these actions.
fn notices(actions: &[Action], peer: u64) -> usize {
    let is_notice = |body: &&&Body| matches!(body, Body::Removed { .. });
    said_to(actions, peer).iter().filter(is_notice).count()
}

/// Scenario C07 [Thesis 4.2.2]
#[test]
fn a_leader_that_removes_itself_does_not_count_itself_and_leads_until_that_is_committed() {
    let mut leader = leaving_leader();
    let _ = leader.confirmed_by([2], 2);
    let status = leader.status();
    assert_eq!(
        (status.commit, status.role),
        (i(1), RoleName::Leader),
        "one of {{2 3}} holds it; its own copy is worth nothing"
    );
    let actions = leader.confirmed_by([3], 2);
    let status = leader.status();
    assert_eq!(
        (status.commit, status.role, status.leader),
        (i(2), RoleName::Follower, None),
        "both hold it: it leaves at once"
    );
    let says_so = actions.contains(&Action::Removed { index: i(2) });
    assert!(says_so && status.removed, "nobody else would tell it");
    let tells_commit = |body: &&&Body| {
        matches!(body, Body::Append { entries, commit, .. }
            if entries.is_empty() && *commit == i(2))
    };
    for peer in [2, 3] {
        let told = said_to(&actions, peer);
        assert_eq!(
            told.iter().filter(tells_commit).count(),
            1,
            "n{peer}: {told:?}"
        );
    }
    let is_asked = |(_, message): &(_, &_)| {
        matches!(
            message,
            quorate_core::Message {
                body: Body::TimeoutNow { .. },
                ..
            }
        )
    };
    let asked = sends(&actions).into_iter().filter(is_asked).count();
    assert_eq!(asked, 1, "one of them takes over without waiting");
}

/// Scenario C07 [Thesis 4.2.2]
#[test]
fn a_leader_that_removes_itself_needs_a_majority_without_itself_to_stay_and_to_serve_reads() {
    let mut leader = leaving_leader();
    let is_ready = |action: &Action| matches!(action, Action::ReadReady { .. });
    let _ = leader.read(7);
    let actions = leader.receive(2, 1, matched(1, 2, Round::new(1)));
    assert!(
        !has(&actions, is_ready),
        "n3 may have elected another leader together with n2"
    );
    let mut actions = Vec::new();
    for _ in 0..ELECTION_MAX_MS / HEARTBEAT_MS + 1 {
        actions.extend(leader.sleep(HEARTBEAT_MS));
        actions.extend(leader.confirmed_by([2], 2));
    }
    assert_eq!(
        leader.status().role,
        RoleName::Follower,
        "one of {{2 3}} is no majority"
    );
    let is_refused = |action: &Action| {
        matches!(
            action,
            Action::Refused {
                request: Request::Read(_),
                ..
            }
        )
    };
    assert!(has(&actions, is_refused), "the read is not forgotten");
}

/// Scenario C10
#[test]
fn every_request_to_a_leader_that_removes_itself_is_answered_once() {
    let mut leader = leaving_leader();
    let mut actions = leader.propose(&["x"]);
    let is_refused = |wanted: Refusal| {
        move |action: &Action| {
            matches!(action, Action::Refused { request: Request::Proposal(_), reason }
                if *reason == wanted)
        }
    };
    assert!(has(&actions, is_refused(Refusal::HandingOver)));
    assert_eq!(
        leader.answer_to(add_learner(4)),
        refused(ChangeRefusal::InFlight)
    );
    actions = leader.read(7);
    for peer in [2, 3] {
        actions.extend(leader.receive(peer, 1, matched(1, 2, Round::new(1))));
    }
    let about_read = |action: &&Action| {
        matches!(
            action,
            Action::ReadReady { .. }
                | Action::Refused {
                    request: Request::Read(_),
                    ..
                }
        )
    };
    actions.extend(leader.persist());
    assert_eq!(actions.iter().filter(about_read).count(), 1, "{actions:#?}");
    assert_eq!(leader.status().role, RoleName::Follower);
    let actions = leader.propose(&["y"]);
    let not_leader = Refusal::NotLeader { leader: None };
    assert!(has(&actions, is_refused(not_leader)));
    assert_eq!(leader.answer_to(add_learner(4)), Err(not_leader));
}

/// Scenario C10
#[test]
fn a_transfer_from_a_leader_that_removes_itself_ends_once() {
    let mut leader = leaving_leader();
    let transfer = TransferId::new(3);
    let target = Some(n(2));
    let mut actions = leader.step(Event::TransferLeadership { transfer, target });
    for peer in [2, 3] {
        actions.extend(leader.receive(peer, 1, matched(1, 2, Round::ZERO)));
    }
    actions.extend(leader.receive(2, 2, vote_request(id(2, 1))));
    let ends = |action: &&Action| {
        matches!(
            action,
            Action::HandedOver { .. }
                | Action::Refused {
                    request: Request::Transfer(_),
                    ..
                }
        )
    };
    assert_eq!(actions.iter().filter(ends).count(), 1, "{actions:#?}");
}

/// Scenario C07 [Thesis 4.2.2]
#[test]
fn a_leader_that_left_never_campaigns_again() {
    let mut leader = leaving_leader();
    let _ = leader.confirmed_by([2, 3], 2);
    for _ in 0..10 {
        assert_eq!(leader.time_out(), [], "the others go on without it");
    }
    assert_eq!(leader.status().term, t(1));
}

/// Node 1 with its own removal at i2, as its disk says after a restart.
fn restarted_outside() -> super::support::bench::Past {
    node_of(3).with_log(&[1, 1]).recovering(|disk| {
        let left = members(&[2, 3], &[]);
        disk.memberships.push((i(2), left));
    })
}

/// Scenario A23 [Thesis 4.2.2]
#[test]
fn a_node_outside_its_newest_membership_may_win_an_election_in_which_it_does_not_count() {
    let mut node = restarted_outside()
        .configured(|config| config.pre_vote = false)
        .start();
    let actions = node.time_out();
    assert_eq!(
        node.status().role,
        RoleName::Candidate,
        "the others may need its log: {actions:#?}"
    );
    let _ = node.persist();
    let _ = node.receive(2, 2, vote_reply(2, true));
    assert_eq!(
        node.status().role,
        RoleName::Candidate,
        "its own vote and n2's are one vote of {{2 3}}"
    );
    let _ = node.receive(3, 2, vote_reply(2, true));
    assert_eq!(node.status().role, RoleName::Leader);
    let _ = node.persist();
    let _ = node.confirmed_by([2], 3);
    assert_eq!(node.status().commit, i(0), "nor does its log count");
    let _ = node.confirmed_by([3], 3);
    assert_eq!(
        (node.status().commit, node.status().role),
        (i(3), RoleName::Follower),
        "what it led for is done"
    );
}

/// Scenario A23 [Thesis 4.2.2]
#[test]
fn a_node_outside_its_newest_membership_does_not_count_its_own_pre_vote() {
    let mut node = restarted_outside().start();
    let _ = node.time_out();
    let granted = |campaign| Body::PreVoteReply {
        campaign: t(campaign),
        granted: true,
    };
    let _ = node.receive(2, 1, granted(2));
    assert_eq!(node.status().role, RoleName::PreCandidate);
    let _ = node.receive(3, 1, granted(2));
    assert_eq!(node.status().role, RoleName::Candidate);
}

/// Scenario C08 [Thesis 4.2.2]
#[test]
fn the_voter_that_is_left_elects_itself_before_it_knows_of_the_commit() {
    let mut left = node_of(2).with_log(&[1]).start();
    let change = membership_entry(2, 1, &members(&[1], &[]));
    let _ = left.receive(2, 1, append(id(1, 1), change, 1));
    let _ = left.persist();
    assert_eq!(left.status().commit, i(1));
    let _ = left.time_out();
    let _ = left.persist();
    assert_eq!(left.status().role, RoleName::Leader, "it is a majority");
    let _ = left.persist();
    assert_eq!(left.status().commit, i(3));
}

/// Scenario C08
#[test]
fn clusters_shrink_from_four_to_one_by_their_leaders_and_go_on() {
    let mut world = World::new(4);
    world.elect(1);
    let mut leader = 1;
    for size in [3, 2, 1] {
        let change = world.change(leader, remove(leader));
        world.settle();
        assert!(matches!(world.change_end(change), Some(Ok(_))));
        world.crash(leader, 0);
        world.advance(ms(HEARTBEAT_MS));
        leader = world
            .leader()
            .expect("nobody waits for an election timeout");
        world.advance(ms(ELECTION_MIN_MS));
        assert_eq!(world.members_at(leader).0.len(), size);
        world.propose(leader, &["x"]);
        world.settle();
        let status = world.status(leader);
        assert_eq!(status.commit, status.last, "{size} voters go on");
    }
}

/// Scenario A12 [Thesis 4.2.3]
#[test]
fn whoever_is_led_tells_a_campaigning_stranger_that_it_was_removed_and_keeps_its_term() {
    let left = membership_entry(2, 1, &members(&[1, 2, 3], &[]));
    let led = || {
        let mut follower = node_of(4).with_log(&[1]).start();
        let _ = follower.receive(2, 1, append(id(1, 1), left.clone(), 2));
        let _ = follower.persist();
        follower
    };
    for request in [vote_request(id(9, 1)), pre_vote_request(9, id(9, 1))] {
        let mut follower = led();
        let actions = follower.receive(4, 9, request.clone());
        assert!(
            said_to(&actions, 4).contains(&&removed(2)),
            "{request:?} is answered with the word: {actions:#?}"
        );
        assert_eq!(saved(&actions), None, "{request:?} moves nobody");
        assert_eq!(follower.status().term, t(1));
        let actions = follower.receive(3, 9, request);
        assert_eq!(notices(&actions, 3), 0, "n3 is a member");
    }
    let read = ReadId::new(1);
    let actions = led().receive(4, 1, Body::ReadIndex { read });
    assert_eq!(notices(&actions, 4), 1, "a reader may never campaign");
    let mut follower = led();
    let _ = follower.sleep(ELECTION_MIN_MS);
    let actions = follower.receive(4, 9, vote_request(id(9, 1)));
    assert_eq!(
        notices(&actions, 4),
        0,
        "without a leader, this node may know less than n4 does"
    );
}

/// Scenario A12
#[test]
fn whoever_is_only_being_removed_or_added_is_not_told() {
    for (change, node) in [
        (members(&[1, 2, 3], &[]), 4),
        (members(&[1, 2, 3, 4, 5], &[]), 5),
    ] {
        let mut follower = node_of(4).with_log(&[1]).start();
        let entry = membership_entry(2, 1, &change);
        let _ = follower.receive(2, 1, append(id(1, 1), entry, 1));
        let actions = follower.receive(node, 9, vote_request(id(9, 1)));
        assert_eq!(notices(&actions, node), 0, "{change:?} is not committed");
    }
}

/// Scenario A12 [Thesis 4.2.3]
#[test]
fn a_leader_tells_whoever_it_removed_once_that_is_committed() {
    let mut leader = settled_leader_of(4);
    let mut actions = leader.change(remove(4));
    actions.extend(leader.persist());
    actions.extend(leader.confirmed_by([4], 2));
    assert_eq!(notices(&actions, 4), 0, "it may yet be taken back");
    let actions = leader.confirmed_by([2], 2);
    assert_eq!(notices(&actions, 4), 1, "now it is out");
    let is_kept = |peer: &quorate_core::PeerStatus| peer.id == n(4);
    assert!(!leader.status().peers.iter().any(is_kept));
    let mut later = Vec::new();
    for _ in 0..10 {
        later.extend(leader.sleep(HEARTBEAT_MS));
        later.extend(leader.confirmed_by([2, 3], 2));
    }
    assert_eq!(said_to(&later, 4).len(), 0, "and is left alone");
    let actions = leader.confirmed_by([4], 2);
    assert_eq!(sends(&actions), [], "a late answer of it changes nothing");
}

/// Scenario A12
#[test]
fn a_node_that_is_told_falls_silent_until_its_log_says_that_it_was_added_again() {
    let mut node = node_of(4).with_log(&[1]).start();
    let actions = node.time_out();
    assert_eq!(said_to(&actions, 2).len(), 1, "it campaigns");
    let actions = node.receive(2, 1, removed(2));
    let is_told = |index: LogIndex| move |action: &Action| *action == Action::Removed { index };
    assert!(
        has(&actions, is_told(i(2))),
        "its host is told: {actions:#?}"
    );
    for _ in 0..10 {
        assert_eq!(node.time_out(), [], "it disturbs nobody any more");
    }
    let actions = node.receive(3, 1, removed(2));
    assert_eq!(actions, [], "it is told once");
    let left = membership_entry(2, 1, &members(&[2, 3, 4], &[]));
    let _ = node.receive(2, 1, append(id(1, 1), left, 1));
    assert!(node.status().removed, "that is what it was told of");
    let again = membership_entry(3, 1, &members(&[1, 2, 3, 4], &[]));
    let _ = node.receive(2, 1, append(id(2, 1), again, 1));
    assert!(!node.status().removed, "that is later: it is in again");
    let _ = node.persist();
    let actions = node.time_out();
    assert_eq!(said_to(&actions, 2).len(), 1, "it takes part");
}

/// Scenario A12
#[test]
fn the_word_of_an_older_removal_is_ignored() {
    let mut node = node_of(4).with_log(&[1]).start();
    let added = membership_entry(2, 1, &members(&[1, 2, 3, 4], &[5]));
    let _ = node.receive(2, 1, append(id(1, 1), added, 1));
    for index in [0, 1, 2] {
        let actions = node.receive(3, 1, removed(index));
        assert_eq!(actions, [], "its log holds a later membership, with it");
    }
    assert!(!node.status().removed);
    let mut leader = settled_leader_of(3);
    let _ = leader.receive(2, 1, removed(9));
    assert_eq!(
        leader.status().role,
        RoleName::Leader,
        "a leader knows best"
    );
    let _ = node.receive(3, 1, removed(3));
    assert!(node.status().removed, "this one it did not know of");
}

/// Scenario A12
#[test]
fn a_removed_node_is_told_also_when_its_log_holds_a_change_that_came_to_nothing() {
    let mut world = World::with(5, |config| config.pre_vote = false);
    world.elect(1);
    world.cut(&[1, 4], &[2, 3, 5]);
    world.propose(1, &["a", "b", "c", "d", "e"]);
    world.change(1, move_to(4, "lost:1"));
    world.settle();
    assert_eq!(world.status(4).membership_index, i(7), "never committed");
    world.cut(&[4], &[1]);
    world.elect(2);
    let change = world.change(2, remove(4));
    world.settle();
    assert_eq!(world.change_end(change), Some(Ok(id(3, 2))));
    world.advance(ms(ELECTION_MAX_MS));
    world.net.heal();
    world.advance(ms(4 * ELECTION_MAX_MS));
    assert!(
        world.is_told_removed(4),
        "its membership has a higher index, but of a term that the cluster is past"
    );
}

/// Scenario A12
#[test]
fn whoever_has_committed_nothing_in_its_term_tells_nobody_that_it_was_removed() {
    let mut follower = node_of(3).with_log(&[1]).start();
    let _ = follower.receive(2, 2, heartbeat(id(1, 1), 1));
    let actions = follower.receive(4, 9, vote_request(id(9, 1)));
    assert_eq!(
        notices(&actions, 4),
        0,
        "n4 may have been added by an entry that has not come here yet"
    );
    let _ = follower.receive(2, 2, append(id(1, 1), entries(2, &[2]), 2));
    let actions = follower.receive(4, 9, vote_request(id(9, 1)));
    assert_eq!(notices(&actions, 4), 1, "that entry would be here by now");
}

/// Scenario A12 [Thesis 4.2.3]
#[test]
fn a_removed_node_cannot_depose_a_leader_that_is_heard() {
    for pre_vote in [true, false] {
        let mut world = World::with(4, |config| config.pre_vote = pre_vote);
        world.elect(1);
        world.cut(&[4], &[1, 2, 3]);
        world.change(1, remove(4));
        world.advance(ms(3 * ELECTION_MAX_MS));
        world.net.heal();
        world.advance(ms(3 * ELECTION_MAX_MS));
        assert!(world.is_told_removed(4), "it came back and was told");
        let status = world.status(1);
        assert_eq!((status.role, status.term), (RoleName::Leader, t(1)));
    }
}

/// Scenario A12
#[test]
fn a_removed_node_that_is_added_again_votes_and_counts() {
    let mut world = World::new(4);
    world.elect(1);
    world.cut(&[4], &[1, 2, 3]);
    world.change(1, remove(4));
    world.advance(ms(ELECTION_MAX_MS));
    world.net.heal();
    world.advance(ms(2 * ELECTION_MAX_MS));
    assert!(world.is_told_removed(4));
    let change = world.change(1, add_voter(4));
    world.advance(ms(ELECTION_MAX_MS));
    assert!(matches!(world.change_end(change), Some(Ok(_))));
    assert!(!world.is_told_removed(4));
    world.crash(3, 0);
    world.crash(1, 0);
    world.restart(3);
    world.advance(ms(4 * ELECTION_MAX_MS));
    let leader = world.leader().expect("three of four elect one of them");
    world.crash(if leader == 4 { 3 } else { 4 }, 0);
    world.propose(leader, &["lost"]);
    world.settle();
    let status = world.status(leader);
    assert!(status.commit < status.last, "two of four commit nothing");
}

/// A committed removal ends a pending answer of nobody.
#[test]
fn a_change_is_answered_once_also_when_it_removes_the_leader() {
    let mut leader = settled_leader(node_of(3));
    let mut actions = leader.change(remove(1));
    actions.extend(leader.persist());
    actions.extend(leader.confirmed_by([2, 3], 2));
    actions.extend(leader.receive(2, 2, heartbeat(id(2, 1), 2)));
    assert_eq!(answers(&actions), [Ok(id(2, 1))]);
}
