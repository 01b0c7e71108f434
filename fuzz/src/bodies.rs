//! Messages, one function for each kind, listed in `BODIES`. What they carry is drawn by the scene
//! in `events.rs`.

use quorate_core::{AppendOutcome, Body, LogIndex, SnapshotOutcome, Term};

use crate::events::Scene;

/// Draws what a message of this term says.
pub(crate) type DrawBody = fn(&mut Scene<'_, '_>, Term) -> Body;

/// The kinds of message; more than once where more of them reach more.
pub(crate) const BODIES: [DrawBody; 19] = [
    pre_vote,
    pre_vote_reply,
    vote,
    vote_reply,
    append,
    append,
    append_reply,
    append_reply,
    honest_reply,
    honest_reply,
    honest_reply,
    honest_reply,
    honest_reply,
    snapshot_offer,
    snapshot_reply,
    timeout_now,
    removed,
    read_index,
    read_index_reply,
];

fn pre_vote(scene: &mut Scene<'_, '_>, term: Term) -> Body {
    Body::PreVote {
        campaign: Term::new(scene.draw.near(term.next().get())),
        last: scene.id(),
    }
}

fn pre_vote_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::PreVoteReply {
        campaign: scene.term().next(),
        granted: scene.draw.flag(),
    }
}

fn vote(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::Vote {
        last: scene.id(),
        transfer: scene.draw.flag(),
    }
}

fn vote_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::VoteReply {
        campaign: scene.term(),
        granted: scene.draw.flag(),
    }
}

fn append(scene: &mut Scene<'_, '_>, term: Term) -> Body {
    let prev = scene.id();
    let entries = scene.entries(prev, term);
    let sent = prev.index.plus(entries.len() as u64);
    Body::Append {
        prev,
        entries,
        commit: LogIndex::new(scene.draw.near(prev.index.get())),
        round: scene.round(),
        last: LogIndex::new(scene.draw.near(sent.get())),
    }
}

/// That of a peer that holds everything: without it no leader gets anywhere.
fn honest_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::AppendReply {
        asked: scene.engine.hard_state().term,
        round: scene.host.round,
        outcome: AppendOutcome::Matched(scene.engine.last().index),
        suspect: false,
    }
}

fn append_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::AppendReply {
        asked: scene.term(),
        round: scene.round(),
        outcome: if scene.draw.up_to(3) > 0 {
            AppendOutcome::Matched(scene.id().index)
        } else {
            AppendOutcome::Conflict {
                refused: scene.id().index,
                hint: scene.id(),
            }
        },
        suspect: scene.draw.up_to(7) == 7,
    }
}

fn snapshot_offer(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::SnapshotOffer {
        snapshot: scene.snapshot(),
        round: scene.round(),
    }
}

fn snapshot_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    let outcome = match scene.draw.up_to(2) {
        0 => SnapshotOutcome::Receiving {
            bytes: scene.draw.near(10),
        },
        1 => SnapshotOutcome::Installed,
        _ => SnapshotOutcome::Lost,
    };
    Body::SnapshotReply {
        asked: scene.term(),
        round: scene.round(),
        last: scene.id(),
        outcome,
        suspect: scene.draw.up_to(7) == 7,
    }
}

fn timeout_now(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::TimeoutNow {
        round: scene.round(),
    }
}

fn removed(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::Removed {
        index: scene.id().index,
    }
}

fn read_index(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::ReadIndex {
        read: scene.read_id(),
    }
}

fn read_index_reply(scene: &mut Scene<'_, '_>, _: Term) -> Body {
    Body::ReadIndexReply {
        read: scene.read_id(),
        index: scene.draw.flag().then(|| scene.id().index),
    }
}
