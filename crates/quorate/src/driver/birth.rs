//! The birth of a cluster. A node with an empty directory has no memory of what it may have
//! promised, so it neither votes nor counts, with one exception: when every founder's directory
//! is empty, there is nothing to forget. Who the founders are is configured; what happens after
//! the birth is the engine's.
//!
//! A founder first promises, durably, to found the cluster with one set of directories and no
//! other; the cluster is born for it when every founder has promised the same. A founder whose
//! directory is replaced later is not in any set that somebody promised, and stays out
//! (scenario A20).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_core::{NodeId, Time};
use quorate_log::{BirthStage, DirectoryId, Founding};
use tracing::{error, info};

/// How often a node that is not yet born tells the others how far it is.
const NOTICE_INTERVAL: Duration = Duration::from_millis(100);

/// One node's part in the birth.
#[derive(Debug)]
pub(super) struct Birth {
    node: NodeId,
    directory: DirectoryId,
    founders: Vec<NodeId>,
    stage: BirthStage,
    heard: BTreeMap<NodeId, (DirectoryId, BirthStage)>,
    notice_at: Time,
    /// What was reported. Of each founder once: what it says may differ each time.
    obstacles: BTreeSet<Obstacle>,
}

/// Why a birth cannot go on without an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    /// The cluster exists, with another directory of this node.
    Forgotten { by: NodeId },
    /// A founder's directory was replaced while the cluster was being founded.
    Replaced { founder: NodeId },
}

impl Birth {
    pub(super) fn new(
        node: NodeId,
        directory: DirectoryId,
        founders: Vec<NodeId>,
        stage: BirthStage,
        now: Time,
    ) -> Self {
        let heard = BTreeMap::new();
        Self {
            node,
            directory,
            founders,
            stage,
            heard,
            notice_at: now,
            obstacles: BTreeSet::new(),
        }
    }

    /// Whether the node has nothing to wait for. One that is no founder never had: what it is to
    /// be a member of, it learns when it is added.
    pub(super) fn is_born(&self) -> bool {
        matches!(self.stage, BirthStage::Born(_)) || !self.founders.contains(&self.node)
    }

    /// When the others are next to be told; never once born.
    pub(super) fn notice_at(&self) -> Time {
        if self.is_born() {
            Time::NEVER
        } else {
            self.notice_at
        }
    }

    /// What to tell the others.
    pub(super) fn notice(&self) -> (DirectoryId, BirthStage) {
        (self.directory, self.stage.clone())
    }

    /// The founders to tell now, if it is time.
    pub(super) fn due_notices(&mut self, now: Time) -> Vec<NodeId> {
        if now < self.notice_at() {
            return Vec::new();
        }
        self.notice_at = now.after(NOTICE_INTERVAL);
        self.others().collect()
    }

    /// A founder says how far it is. Returns whether it should be told how far we are: whoever
    /// is born answers those who are not, and nobody else answers, so that no echo arises.
    pub(super) fn hear(&mut self, from: NodeId, directory: DirectoryId, stage: BirthStage) -> bool {
        if !self.founders.contains(&from) {
            return false;
        }
        let is_unborn = !matches!(stage, BirthStage::Born(_));
        if !self.is_born() {
            self.heard.insert(from, (directory, stage));
        }
        self.is_born() && is_unborn
    }

    /// The stage to record next, if what was heard allows one.
    pub(super) fn next_stage(&mut self) -> Option<BirthStage> {
        match &self.stage {
            BirthStage::New => self.promise().map(BirthStage::Prepared),
            BirthStage::Prepared(founding) => {
                let founding = founding.clone();
                self.all_promised(&founding)
                    .then_some(BirthStage::Born(founding))
            }
            BirthStage::Born(_) => None,
        }
    }

    /// `stage` is on stable storage.
    pub(super) fn recorded(&mut self, stage: BirthStage, now: Time) {
        self.stage = stage;
        self.notice_at = now;
        if self.is_born() {
            self.heard.clear();
            info!(target: "quorate::node", node = %self.node, "the cluster is born");
        }
    }

    /// What to promise: what others have promised already, or, where all are new, the
    /// directories that they have.
    fn promise(&mut self) -> Option<Founding> {
        let promised = self
            .heard
            .iter()
            .find_map(|(&founder, (_, stage))| match stage {
                BirthStage::Prepared(founding) => Some((founder, founding.clone(), false)),
                BirthStage::Born(founding) => Some((founder, founding.clone(), true)),
                BirthStage::New => None,
            });
        if let Some((by, founding, is_born)) = promised {
            let known = founding.get(&self.node).copied();
            let is_complete = founding.keys().eq(self.founders.iter());
            if known == Some(self.directory) && is_complete {
                return Some(founding);
            }
            self.report(if is_born {
                Obstacle::Forgotten { by }
            } else {
                Obstacle::Replaced { founder: self.node }
            });
            return None;
        }
        let mut founding: Founding = self
            .heard
            .iter()
            .map(|(&founder, (directory, _))| (founder, *directory))
            .collect();
        founding.insert(self.node, self.directory);
        founding.keys().eq(self.founders.iter()).then_some(founding)
    }

    /// Whether every founder has promised the same as we have. One that says that it is born
    /// speaks for all of them: it would not be if one had not promised.
    fn all_promised(&mut self, ours: &Founding) -> bool {
        let is_ours = |(_, stage): &(DirectoryId, BirthStage)| match stage {
            BirthStage::Born(theirs) => theirs == ours,
            BirthStage::New | BirthStage::Prepared(_) => false,
        };
        if self.heard.values().any(is_ours) {
            return true;
        }
        let mut all = true;
        for founder in self.others().collect::<Vec<_>>() {
            let obstacle = match self.heard.get(&founder) {
                Some((_, BirthStage::Prepared(theirs))) if theirs == ours => continue,
                Some((directory, BirthStage::New)) if ours.get(&founder) == Some(directory) => None,
                Some((_, BirthStage::Born(_))) => Some(Obstacle::Forgotten { by: founder }),
                Some(_) => Some(Obstacle::Replaced { founder }),
                None => None,
            };
            all = false;
            if let Some(obstacle) = obstacle {
                self.report(obstacle);
            }
        }
        all
    }

    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.founders
            .iter()
            .copied()
            .filter(|&founder| founder != self.node)
    }

    /// The directory of this node that a founder knows to be part of the cluster.
    fn known_to(&self, founder: NodeId) -> Option<DirectoryId> {
        match self.heard.get(&founder) {
            Some((_, BirthStage::Born(founding))) => founding.get(&self.node).copied(),
            Some((_, BirthStage::New | BirthStage::Prepared(_))) | None => None,
        }
    }

    /// Says once what an operator has to know.
    fn report(&mut self, obstacle: Obstacle) {
        if !self.obstacles.insert(obstacle) {
            return;
        }
        let (node, directory) = (self.node, self.directory);
        match obstacle {
            Obstacle::Forgotten { by } => error!(
                target: "quorate::node",
                %node, %directory, %by, known = self.known_to(by).map(tracing::field::display),
                "this data directory is empty, but the cluster already exists and knows another \
                 one: what this node had acknowledged is lost. It does not vote and does not \
                 count. Stop it, put its original data directory back and start it again; if \
                 that is gone, leave it stopped",
            ),
            Obstacle::Replaced { founder } => error!(
                target: "quorate::node",
                %node, %founder,
                "the data directory of a founder was replaced while the cluster was being \
                 founded. Put the original one back. If it is gone and no founder has logged \
                 that the cluster is born, nothing was written yet: stop all founders, remove \
                 their data directories and start them again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn founder(id: u64, directory: u128) -> Birth {
        let founders = vec![node(1), node(2), node(3)];
        Birth::new(
            node(id),
            DirectoryId(directory),
            founders,
            BirthStage::New,
            Time::ZERO,
        )
    }

    fn tell(to: &mut Birth, from: &Birth) -> bool {
        let (directory, stage) = from.notice();
        to.hear(from.node, directory, stage)
    }

    fn advance(birth: &mut Birth) -> bool {
        let next = birth.next_stage();
        let moved = next.is_some();
        next.into_iter()
            .for_each(|stage| birth.recorded(stage, Time::ZERO));
        moved
    }

    /// Everybody hears everybody until nothing moves any more.
    fn settle(all: &mut [Birth]) {
        loop {
            let notices: Vec<_> = all.iter().map(|b| (b.node, b.notice())).collect();
            for birth in all.iter_mut() {
                for (from, (directory, stage)) in &notices {
                    if *from != birth.node {
                        birth.hear(*from, *directory, stage.clone());
                    }
                }
            }
            let moved = all
                .iter_mut()
                .filter_map(|birth| advance(birth).then_some(()))
                .count();
            if moved == 0 {
                return;
            }
        }
    }

    #[test]
    fn a_cluster_is_born_when_every_founder_is_new() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        settle(&mut all);
        assert!(all.iter().all(Birth::is_born));
    }

    #[test]
    fn nobody_is_born_while_a_founder_is_missing() {
        let mut present = [founder(1, 10), founder(2, 20)];
        settle(&mut present);
        assert!(present.iter().all(|birth| birth.stage == BirthStage::New));
    }

    #[test]
    fn a_single_founder_needs_nobody() {
        let mut alone = Birth::new(
            node(1),
            DirectoryId(1),
            vec![node(1)],
            BirthStage::New,
            Time::ZERO,
        );
        assert!(advance(&mut alone) && advance(&mut alone) && alone.is_born());
    }

    /// Scenario A20
    #[test]
    fn a_founder_that_comes_back_empty_is_not_born_again() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        settle(&mut all);
        let [one, two, _] = all;
        let mut again = [one, two, founder(3, 31)];
        settle(&mut again);
        assert_eq!(again[2].stage, BirthStage::New, "its memory is gone");
        assert!(matches!(
            again[2].obstacles.first(),
            Some(Obstacle::Forgotten { .. })
        ));
    }

    /// A late "I am new" of a founder that has been born since must not found a second cluster
    /// together with a founder that came back empty (scenarios A20, A21).
    #[test]
    fn old_news_does_not_found_a_second_cluster() {
        let (mut one, mut two, mut three) = (founder(1, 10), founder(2, 20), founder(3, 30));
        tell(&mut two, &one);
        for (to, from) in [(1, 2), (1, 3), (3, 1), (3, 2)] {
            let from = if from == 1 {
                &one
            } else if from == 2 {
                &two
            } else {
                &three
            };
            let (directory, stage) = from.notice();
            let id = from.node;
            let to = if to == 1 { &mut one } else { &mut three };
            to.hear(id, directory, stage);
        }
        assert!(
            advance(&mut one) && advance(&mut three),
            "both promise 10, 20, 30"
        );
        assert!(
            !advance(&mut one),
            "the second founder has not promised yet"
        );
        let wiped = founder(3, 31);
        tell(&mut two, &wiped);
        assert!(
            advance(&mut two),
            "it believes that all are new and promises 10, 20, 31"
        );
        tell(&mut one, &two);
        tell(&mut two, &one);
        assert!(
            !advance(&mut one) && !advance(&mut two),
            "the promises differ: nobody is born"
        );
        assert!(
            one.obstacles
                .contains(&Obstacle::Replaced { founder: two.node })
        );
    }

    /// Two founders have heard everybody and go on; the third has missed one word of theirs, and
    /// the one who said it is gone. The cluster may hold acknowledged writes by then.
    #[test]
    fn one_that_is_born_speaks_for_all_who_promised() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        settle(&mut all);
        let [one, _, three] = all;
        let BirthStage::Born(founding) = three.stage else {
            panic!("it is born")
        };
        let mut two = founder(2, 20);
        two.recorded(BirthStage::Prepared(founding), Time::ZERO);
        assert!(!advance(&mut two), "it has heard nobody");
        tell(&mut two, &one);
        assert!(advance(&mut two) && two.is_born());
    }

    /// Scenario A20: it has promised something else, so it is no part of what was born.
    #[test]
    fn one_that_is_born_does_not_speak_for_another_promise() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        settle(&mut all);
        let [one, _, three] = all;
        let BirthStage::Born(mut founding) = three.stage else {
            panic!("it is born")
        };
        founding.insert(node(2), DirectoryId(21));
        let mut two = founder(2, 21);
        two.recorded(BirthStage::Prepared(founding), Time::ZERO);
        tell(&mut two, &one);
        assert!(!advance(&mut two), "its directory is not the one they know");
        let forgotten = |it: &Obstacle| matches!(it, Obstacle::Forgotten { .. });
        assert!(two.obstacles.iter().any(forgotten), "nobody would be told");
    }

    /// Scenario A20: neither its own directory nor what it says of the founders' counts.
    #[test]
    fn a_stranger_has_no_say_in_the_birth() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        let stranger = node(4);
        for birth in &mut all {
            birth.hear(stranger, DirectoryId(40), BirthStage::New);
        }
        settle(&mut all);
        assert!(all.iter().all(Birth::is_born), "nobody waits for it");
        let BirthStage::Born(founding) = all[0].stage.clone() else {
            panic!("it is born")
        };
        let mut late = founder(2, 20);
        late.recorded(BirthStage::Prepared(founding.clone()), Time::ZERO);
        late.hear(stranger, DirectoryId(40), BirthStage::Born(founding));
        assert!(!advance(&mut late), "it speaks for nobody");
    }

    /// Whoever speaks for a founder may say something else each time.
    #[test]
    fn a_founder_that_contradicts_itself_is_reported_once() {
        let mut three = founder(3, 30);
        for other in 0..1000 {
            let founding = [(node(1), 10), (node(2), 20), (node(3), other)];
            let founding: Founding = founding.map(|(id, of)| (id, DirectoryId(of))).into();
            for stage in [
                BirthStage::Born(founding.clone()),
                BirthStage::Prepared(founding),
            ] {
                three.hear(node(1), DirectoryId(10), stage);
                if other != 30 {
                    assert_eq!(three.next_stage(), None, "it is not what it has");
                }
            }
        }
        assert_eq!(
            three.obstacles.len(),
            2,
            "memory and log would grow for ever"
        );
    }

    #[test]
    fn only_the_born_answer_and_only_the_unborn() {
        let mut all = [founder(1, 10), founder(2, 20), founder(3, 30)];
        let unborn = founder(2, 20);
        assert!(!tell(&mut all[0], &unborn));
        settle(&mut all);
        assert!(
            tell(&mut all[0], &unborn),
            "it has to learn that the cluster exists"
        );
        let [mut one, two, _] = all;
        assert!(!tell(&mut one, &two), "two born nodes have nothing to say");
    }
}
