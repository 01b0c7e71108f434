//! Changes of the membership, rule by rule [Thesis 4.1]: one server at a time, in force from the
//! append, taken back with the entry, and every reason to refuse one. How a new server catches up
//! is in `paper_catch_up.rs`, how one leaves in `paper_removal.rs`.

use quorate_core::{
    Action, Body, Change, ChangeId, ChangeRefusal, EntryId, Event, Membership, Refusal, Request,
    RoleName, SnapshotMeta, TransferId,
};

use super::support::bench::{
    append, conflict, has, heartbeat, node_of, only_send, said_to, vote_reply, vote_request,
};
use super::support::changes::{
    add_learner, add_voter, answers, members, membership_entry, move_to, numbers, promote, refused,
    remove, settled_leader, settled_leader_of,
};
use super::support::snapshots::{purged, snapshot};
use super::support::{entries, i, id, n, r};

/// [Thesis 4.1]
#[test]
fn a_change_is_in_force_as_soon_as_it_is_appended() {
    let with_learner = || settled_leader(node_of(3).among(members(&[1, 2, 3], &[5])));
    let changes = [
        (add_learner(4), members(&[1, 2, 3], &[4, 5])),
        (remove(3), members(&[1, 2], &[5])),
        (remove(5), members(&[1, 2, 3], &[])),
        (remove(1), members(&[2, 3], &[5])),
    ];
    for (change, expected) in changes {
        let mut leader = with_learner();
        let actions = leader.change(change.clone());
        assert_eq!(answers(&actions), [Ok(id(2, 1))], "{change:?}");
        let status = leader.status();
        assert_eq!(
            (numbers(&status.membership), status.membership_index),
            (numbers(&expected), i(2)),
            "{change:?} is in force before it is durable or committed"
        );
        assert!(
            has(&actions, |action| matches!(action,
                Action::MembershipChanged { index, membership }
                    if *index == i(2) && *membership == status.membership)),
            "the host hears whom to connect to: {actions:#?}"
        );
    }
}

/// [Thesis 4.1]: a cluster may be changed as often as one likes.
#[test]
fn memberships_from_before_the_log_are_forgotten() {
    let mut leader = settled_leader(node_of(3).configured(|config| config.trailing_entries = 0));
    for (index, address) in [(2, "a:1"), (3, "a:2"), (4, "a:3")] {
        assert_eq!(leader.answer_to(move_to(2, address)), Ok(id(index, 1)));
        let _ = leader.persist();
        let _ = leader.confirmed_by([2, 3], index);
    }
    let _ = leader.step(Event::Applied(i(4)));
    let (since, _) = leader.engine.membership_at(i(3));
    assert_eq!(since, i(3), "entries may be purged only up to there");
    let (membership_index, membership) = leader.engine.membership_at(i(4));
    let snapshot = SnapshotMeta {
        membership: membership.clone(),
        membership_index,
        ..snapshot(4, 1)
    };
    let actions = leader.step(Event::SnapshotTaken(snapshot));
    assert_eq!(purged(&actions), Some(id(4, 1)));
    let (since, _) = leader.engine.membership_at(i(3));
    assert_eq!(since, i(4), "they would fill the memory");
}

/// [Thesis 4.1]
#[test]
fn a_follower_counts_with_the_newest_membership_of_its_log_committed_or_not() {
    let mut follower = node_of(3)
        .with_log(&[1])
        .configured(|config| config.pre_vote = false)
        .start();
    let change = membership_entry(2, 1, &members(&[1, 2, 3, 4], &[]));
    let _ = follower.receive(2, 1, append(id(1, 1), change, 1));
    let _ = follower.persist();
    let actions = follower.time_out();
    for peer in [2, 3, 4] {
        let asked = said_to(&actions, peer);
        assert_eq!(asked, [&vote_request(id(2, 1))], "n{peer} is a voter now");
    }
    let _ = follower.persist();
    let _ = follower.receive(3, 2, vote_reply(2, true));
    assert_eq!(
        follower.status().role,
        RoleName::Candidate,
        "two of three would have been enough, two of four are not"
    );
    let _ = follower.receive(4, 2, vote_reply(2, true));
    assert_eq!(
        follower.status().role,
        RoleName::Leader,
        "n4's vote counts like any other"
    );
}

/// [Thesis 4.1]
#[test]
fn a_leader_commits_a_change_by_the_majority_that_it_brings() {
    let mut leader = settled_leader(
        node_of(4)
            .among(members(&[1, 2, 3, 4], &[]))
            .configured(|config| config.require_reachable_quorum = false),
    );
    let _ = leader.change(remove(4));
    let _ = leader.persist();
    let _ = leader.confirmed_by([4], 2);
    assert_eq!(
        leader.status().commit,
        i(1),
        "whoever leaves does not count"
    );
    let _ = leader.confirmed_by([3], 2);
    assert_eq!(leader.status().commit, i(2), "two of {{1 2 3}}");
}

/// [Thesis 4.1]
#[test]
fn commands_behind_an_uncommitted_change_are_taken_and_committed_with_it() {
    let mut leader = settled_leader_of(3);
    let _ = leader.change(remove(3));
    let actions = leader.propose(&["x"]);
    let is_proposed = |action: &Action| matches!(action, Action::Proposed { .. });
    assert!(has(&actions, is_proposed), "a change does not stop writes");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 3);
    assert_eq!(leader.status().commit, i(3), "both, by two of {{1 2}}");
}

/// Scenario C01 [Thesis 4.1]
#[test]
fn a_leader_refuses_changes_until_an_entry_of_its_term_is_committed() {
    let mut leader = node_of(3).with_log(&[1, 1]).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 2);
    for change in [remove(3), add_learner(4), add_voter(4), move_to(2, "b:1")] {
        assert_eq!(
            leader.answer_to(change),
            refused(ChangeRefusal::NoOwnCommit),
            "its majority might not meet that of a change it has never heard of"
        );
    }
    assert_eq!(leader.status().last, i(3), "the log stays as it is");
    let _ = leader.confirmed_by([2], 3);
    assert_eq!(
        leader.answer_to(remove(3)),
        Ok(id(4, 2)),
        "now nobody without its first entry can be elected"
    );
}

/// Scenario C02 [Thesis 4.1]
#[test]
fn a_second_change_is_refused_until_the_first_is_committed() {
    let mut leader = settled_leader_of(3);
    assert_eq!(leader.answer_to(add_learner(4)), Ok(id(2, 1)));
    for change in [add_learner(5), remove(4), remove(3), add_voter(5)] {
        assert_eq!(
            leader.answer_to(change),
            refused(ChangeRefusal::InFlight),
            "two changes at once could leave majorities that share nobody"
        );
    }
    assert_eq!(leader.status().last, i(2), "the log stays as it is");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 2);
    assert_eq!(leader.answer_to(add_learner(5)), Ok(id(3, 1)));
}

/// Scenario C02 [Thesis 4.1]
#[test]
fn a_new_leader_refuses_changes_while_an_inherited_one_is_not_committed() {
    let inherited = members(&[1, 2, 3, 4], &[]);
    let mut leader = node_of(3)
        .with_log(&[1, 1])
        .recovering(|disk| disk.memberships.push((i(2), inherited.clone())))
        .leader();
    assert_eq!(leader.status().membership, inherited, "it goes by its log");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 3);
    let before = leader.status();
    assert_eq!(before.commit, i(0), "two of four hold it");
    assert!(
        leader.answer_to(remove(3)).is_err(),
        "it never made a change, and one is under way"
    );
    assert_eq!(leader.status().last, before.last, "the log stays as it is");
    let _ = leader.confirmed_by([3], 3);
    assert_eq!(leader.answer_to(remove(3)), Ok(id(4, 2)));
}

/// [Thesis 4.1]: a membership counts from when it is in the log, also for what came before it.
#[test]
fn what_a_majority_holds_once_a_voter_is_removed_is_committed_with_that_step() {
    let mut leader = settled_leader_of(4);
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 2);
    assert_eq!(leader.status().commit, i(1), "two of four hold it");
    assert_eq!(leader.answer_to(remove(4)), Ok(id(3, 1)));
    assert_eq!(leader.status().commit, i(2), "two of three do");
}

/// Scenario C03 [Thesis 4.1]
#[test]
fn a_change_is_taken_back_with_its_entry() {
    let mut follower = node_of(3)
        .with_log(&[1])
        .configured(|config| config.pre_vote = false)
        .start();
    let change = membership_entry(2, 1, &members(&[1, 2, 3, 4], &[]));
    let _ = follower.receive(2, 1, append(id(1, 1), change, 1));
    assert_eq!(follower.status().membership.voters().len(), 4);
    let actions = follower.receive(3, 2, append(id(1, 1), entries(2, &[2]), 1));
    assert!(
        has(&actions, |action| matches!(action,
            Action::MembershipChanged { index, membership }
                if *index == i(0) && *membership == members(&[1, 2, 3], &[]))),
        "the founders are in force again: {actions:#?}"
    );
    let _ = follower.persist();
    let actions = follower.time_out();
    assert_eq!(said_to(&actions, 4).len(), 0, "n4 is no voter");
    let _ = follower.persist();
    let _ = follower.receive(2, 3, vote_reply(3, true));
    assert_eq!(
        follower.status().role,
        RoleName::Leader,
        "two of three elect it"
    );
}

/// Scenario C03
#[test]
fn of_several_changes_only_the_replaced_ones_are_taken_back() {
    let mut follower = node_of(3).with_log(&[1]).start();
    let steps = [
        members(&[1, 2, 3], &[4]),
        members(&[1, 2, 3, 4], &[]),
        members(&[1, 2, 4], &[]),
    ];
    for (offset, step) in (0..).zip(&steps) {
        let change = membership_entry(2 + offset, 1, step);
        let _ = follower.receive(2, 1, append(id(1 + offset, 1), change, 1));
    }
    let _ = follower.receive(3, 2, append(id(3, 1), entries(4, &[2]), 1));
    let status = follower.status();
    assert_eq!(
        (&status.membership, status.membership_index),
        (&steps[1], i(3)),
        "the change at i3 stands, the one at i4 does not"
    );
}

/// Scenario A13 [Thesis 4.1]
#[test]
fn a_node_without_members_takes_appends_and_campaigns_only_when_it_has_them() {
    let mut joiner = node_of(3).among(Membership::default()).start();
    for _ in 0..5 {
        let actions = joiner.time_out();
        assert_eq!(actions, [], "it does not know whom to ask");
    }
    let founders = membership_entry(1, 3, &members(&[1, 2, 3], &[]));
    let actions = joiner.receive(2, 3, append(EntryId::NONE, founders, 0));
    assert_eq!(joiner.status().leader, Some(n(2)), "n2 leads: {actions:#?}");
    assert_eq!(joiner.status().last, i(1), "the entry is taken");
    let _ = joiner.persist();
    let actions = joiner.time_out();
    assert_eq!(said_to(&actions, 2).len(), 1, "it is a voter and campaigns");
}

/// Scenario A13 [Thesis 4.1]
#[test]
fn a_voter_listens_to_leaders_and_candidates_that_its_membership_does_not_list() {
    let mut voter = node_of(3).with_log(&[1]).unled();
    let actions = voter.receive(7, 2, vote_request(id(1, 1)));
    let (_, reply) = only_send(&actions);
    assert_eq!(
        (reply.to, &reply.body),
        (n(7), &vote_reply(2, true)),
        "its own membership may be the old one"
    );
    let _ = voter.persist();
    let actions = voter.receive(7, 2, append(id(1, 1), entries(2, &[2]), 1));
    assert_eq!(voter.status().leader, Some(n(7)));
    assert_eq!(
        voter.status().last,
        i(2),
        "its entry is taken: {actions:#?}"
    );
}

/// Scenario C17
#[test]
fn a_change_that_makes_no_sense_is_refused_for_a_reason_of_its_own() {
    use ChangeRefusal::{AddressTooLong, AlreadyMember, AlreadyVoter, UnknownNode};
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &[4])));
    let long = "x".repeat(Membership::MAX_ADDRESS_BYTES + 1);
    let too_long = |node| move_to(node, &long);
    let add_far = Change::AddLearner {
        node: n(9),
        address: long.clone(),
    };
    for (change, reason) in [
        (add_learner(3), AlreadyMember),
        (add_learner(4), AlreadyMember),
        (add_voter(3), AlreadyVoter),
        (promote(1), AlreadyVoter),
        (promote(9), UnknownNode),
        (remove(9), UnknownNode),
        (move_to(9, "a:1"), UnknownNode),
        (too_long(2), AddressTooLong),
        (add_far, AddressTooLong),
    ] {
        let answer = leader.answer_to(change.clone());
        assert_eq!(answer, refused(reason), "{change:?}");
        assert_eq!(
            leader.status().last,
            i(1),
            "{change:?} leaves the log alone"
        );
    }
}

/// Scenario C17
#[test]
fn the_last_voter_cannot_be_removed_even_with_learners_left() {
    let mut leader = settled_leader(node_of(1).among(members(&[1], &[2])));
    assert_eq!(
        leader.answer_to(remove(1)),
        refused(ChangeRefusal::LastVoter),
        "nobody could decide anything any more"
    );
    assert_eq!(leader.status().last, i(1), "the log stays as it is");
    assert_eq!(leader.answer_to(remove(2)), Ok(id(2, 1)));
}

#[test]
fn a_full_membership_takes_nobody_in() {
    let learners: Vec<u64> = (4..=Membership::MAX_MEMBERS as u64).collect();
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &learners)));
    for change in [add_learner(1000), add_voter(1000)] {
        let answer = leader.answer_to(change);
        assert_eq!(answer, refused(ChangeRefusal::TooManyMembers));
    }
    assert_eq!(leader.status().last, i(1), "the log stays as it is");
    assert_eq!(leader.answer_to(remove(255)), Ok(id(2, 1)));
}

/// Nobody could read the entry, and the log could not go on behind it.
#[test]
fn a_cluster_that_was_founded_too_large_is_not_changed_to_one_that_still_is() {
    let most = Membership::MAX_MEMBERS as u64;
    let founders: Vec<u64> = (1..=most + 2).collect();
    let mut leader = settled_leader(node_of(3).among(members(&founders, &[])));
    for change in [remove(9), move_to(9, "b:1")] {
        let answer = leader.answer_to(change);
        assert_eq!(answer, refused(ChangeRefusal::TooManyMembers));
    }
    assert_eq!(leader.status().last, i(1), "the log stays as it is");
    let one_too_many = members(&founders[..=Membership::MAX_MEMBERS], &[]);
    let mut leader = settled_leader(node_of(3).among(one_too_many));
    assert_eq!(leader.answer_to(remove(9)), Ok(id(2, 1)));
}

#[test]
fn a_leader_without_room_on_its_disk_refuses_a_change() {
    let mut leader = settled_leader_of(1);
    let _ = leader.step(Event::Room { bytes: 10 });
    for change in [add_learner(4), add_voter(4), move_to(1, "b:1")] {
        let answer = leader.answer_to(change);
        assert_eq!(answer, Err(Refusal::NoRoom), "it could not be saved");
    }
    assert_eq!(leader.status().last, i(1), "the log stays as it is");
    let _ = leader.step(Event::Room { bytes: 1 << 20 });
    assert_eq!(leader.answer_to(add_learner(4)), Ok(id(2, 1)));
}

#[test]
fn whoever_does_not_lead_refuses_a_change_and_names_the_leader() {
    let mut follower = node_of(3).with_log(&[1]).start();
    let answer = |leader| Err(Refusal::NotLeader { leader });
    assert_eq!(follower.answer_to(remove(3)), answer(None));
    let _ = follower.receive(2, 1, heartbeat(id(1, 1), 1));
    assert_eq!(follower.answer_to(remove(3)), answer(Some(n(2))));
    assert_eq!(follower.status().last, i(1), "the log stays as it is");
}

/// Scenario C19
#[test]
fn a_leader_that_hands_over_refuses_changes_and_takes_them_again_afterwards() {
    let mut leader = settled_leader_of(3);
    let transfer = TransferId::new(1);
    let target = Some(n(3));
    let _ = leader.step(Event::TransferLeadership { transfer, target });
    let answer = leader.answer_to(remove(3));
    assert_eq!(answer, refused(ChangeRefusal::HandingOver));
    assert_eq!(
        leader.status().last,
        i(1),
        "the target holds everything still"
    );
    while leader.status().transfer_target.is_some() {
        let _ = leader.sleep(50);
        let _ = leader.confirmed_by([2, 3], 1);
    }
    assert_eq!(leader.answer_to(remove(3)), Ok(id(2, 1)), "n3 did not win");
    let actions = leader.step(Event::TransferLeadership { transfer, target });
    assert!(
        has(&actions, |action| matches!(
            action,
            Action::Refused {
                request: Request::Transfer(_),
                ..
            }
        )),
        "whoever is being removed is no target: {actions:#?}"
    );
}

/// A change that was appended is answered in that step, and its fate told by the log.
#[test]
fn a_deposed_leader_does_not_answer_a_change_a_second_time() {
    let mut leader = settled_leader_of(3);
    let change = ChangeId::new(1);
    let what = remove(3);
    let actions = leader.step(Event::ChangeMembership { change, what });
    assert_eq!(answers(&actions), [Ok(id(2, 1))]);
    let mut later = leader.receive(3, 2, append(id(1, 1), entries(2, &[2]), 2));
    later.extend(leader.persist());
    assert_eq!(answers(&later), [], "i2:t1 is not what is committed at i2");
    assert_eq!(leader.status().membership, members(&[1, 2, 3], &[]));
}

/// Nothing that a peer says makes an engine take a membership without voters.
#[test]
fn an_append_with_a_broken_membership_is_dropped() {
    let mut follower = node_of(3).with_log(&[1]).start();
    let nobody = membership_entry(2, 1, &members(&[], &[4]));
    let actions = follower.receive(2, 1, append(id(1, 1), nobody, 1));
    assert_eq!(actions, []);
    assert_eq!(follower.status().last, i(1), "it was not taken");
}

/// Scenario C12 [Thesis 4.2.1]
#[test]
fn a_new_member_is_sent_the_entry_that_made_it_one_and_then_what_it_lacks() {
    let mut leader = settled_leader_of(3);
    let actions = leader.change(add_learner(4));
    let sent = said_to(&actions, 4);
    assert!(
        matches!(sent[..], [Body::Append { prev, entries, .. }]
            if *prev == id(1, 1) && entries.len() == 1),
        "without it an idle leader would never learn what the node lacks: {sent:#?}"
    );
    let _ = leader.persist();
    let actions = leader.receive(4, 1, conflict(1, 1, EntryId::NONE, r(0)));
    let sent = said_to(&actions, 4);
    assert!(
        matches!(sent[..], [Body::Append { prev, .. }] if *prev == EntryId::NONE),
        "it begins where the node's log ends: {sent:#?}"
    );
}
