//! The commands of an interaction script and what they do to a world. One word, then its
//! arguments; nodes are numbers. Unknown or malformed commands give `None`.

use quorate_core::{Change, Event, Floor, HardState, NodeId, PeerMode, Priority, RoleName};

use super::support::trace::{Keep, describe_entry, describe_membership, describe_role};
use super::support::world::World;
use super::support::{id, ms, n, t};

/// A world under the command of a script; `cluster` creates it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    world: Option<World>,
}

impl Script {
    /// Runs one command: the lines of history it causes.
    pub(crate) fn run(&mut self, command: &str) -> Option<Vec<String>> {
        let mut words = command.split_whitespace();
        let (verb, words) = (words.next()?, words.collect::<Vec<_>>());
        if verb == "cluster" {
            self.world = Some(cluster(&words)?);
            return Some(Vec::new());
        }
        let world = self.world.as_mut()?;
        if verb == "quiet" {
            let (verb, words) = words.split_first()?;
            obey(world, verb, words)?;
            world.trace.take();
            return Some(Vec::new());
        }
        obey(world, verb, &words)?;
        Some(world.trace.take())
    }
}

/// `cluster nodes=3 [pre-vote=off] [reachable=off] [lease=..ms] [low=1] [append-bytes=..]
/// [inflight=..] [window=..] [uncommitted=..] [trailing=..] [retained=..] [snapshot-entries=..]`
fn cluster(words: &[&str]) -> Option<World> {
    let mut count = None;
    let mut settings = Vec::new();
    for word in words {
        match word.split_once('=')? {
            ("nodes", value) => count = value.parse().ok(),
            (name @ ("pre-vote" | "reachable"), "off") => settings.push((name, 0)),
            (
                name @ ("append-bytes" | "inflight" | "window" | "uncommitted" | "trailing"
                | "retained" | "snapshot-entries" | "lease" | "low" | "high"),
                value,
            ) => {
                let value = value.strip_suffix("ms").unwrap_or(value);
                settings.push((name, value.parse().ok()?));
            }
            _ => return None,
        }
    }
    let mut world = World::with(count?, |config| {
        for &(name, value) in &settings {
            match name {
                "pre-vote" => config.pre_vote = false,
                "reachable" => config.require_reachable_quorum = false,
                "trailing" => config.trailing_entries = value,
                "retained" => config.max_retained_bytes = value,
                "snapshot-entries" => config.snapshot_entries = Some(value),
                "lease" => config.lease = Some(ms(value)),
                "low" if config.id == n(value) => config.priority = Priority::Low,
                "high" if config.id == n(value) => config.priority = Priority::High,
                "low" | "high" => {}
                "append-bytes" => config.max_append_bytes = value,
                "inflight" => config.max_inflight_messages = usize::try_from(value).unwrap(),
                "window" => config.window_bytes = value,
                _ => config.max_uncommitted_bytes = value,
            }
        }
    });
    world.trace.keep = Keep::All;
    Some(world)
}

fn obey(world: &mut World, verb: &str, words: &[&str]) -> Option<()> {
    match (verb, words) {
        ("show", ["heartbeats"]) => world.trace.shows_heartbeats = true,
        ("hide", ["heartbeats"]) => world.trace.shows_heartbeats = false,
        ("log", [node, settings @ ..]) => install(world, number(node)?, settings)?,
        ("campaign", [node]) => world.campaign(number(node)?),
        ("elect", [node]) => world.elect(number(node)?),
        ("tick", [node]) => world.fire(number(node)?),
        ("advance", [time]) => world.advance(ms(number(time.strip_suffix("ms")?)?)),
        ("pause", [node, time]) => {
            world.now = world.now.after(ms(number(time.strip_suffix("ms")?)?));
            let now = world.now;
            world.step(number(node)?, Event::Tick { now });
            world.pump_all();
        }
        ("propose", [node, commands @ ..]) => {
            world.propose(number(node)?, commands);
            world.pump_all();
        }
        ("read", [node]) => {
            let node = number(node)?;
            world.read(node);
            world.pump_all();
        }
        ("settle", []) => world.settle(),
        ("deliver", [from, "->", to]) => {
            let message = world.net.pop_on(link(from, to)?)?;
            world.deliver(message);
            world.pump_all();
        }
        ("copy", [from, "->", to]) => world.net.copy(link(from, to)?)?,
        ("deliver-copy", [from, "->", to]) => {
            let message = world.net.take_copy(link(from, to)?)?;
            world.deliver(message);
            world.pump_all();
        }
        ("cut", sides) => cut(world, sides)?,
        ("block", [from, "->", to]) => world.net.cut(link(from, to)?),
        ("delay", [from, "->", to]) => world.net.delay(link(from, to)?),
        ("let-go", [from, "->", to]) => world.net.let_go(link(from, to)?),
        ("drop", [from, "->", to]) => {
            let lost = world.net.drop_all(link(from, to)?);
            world.trace.line("", &format!("lost on the way: {lost}"));
        }
        ("heal", []) => world.net.heal(),
        ("hold-disk", [node]) => world.node_mut(number(node)?).disk.is_held = true,
        ("release-disk", [node]) => {
            let node = number(node)?;
            world.node_mut(node).disk.is_held = false;
            world.sync(node);
            world.pump_all();
        }
        ("crash", [node]) => world.crash(number(node)?, 0),
        ("crash", [node, keep]) => {
            world.crash(number(node)?, number(keep.strip_prefix("keep=")?)? as usize);
        }
        ("restart", [node]) => world.restart(number(node)?),
        ("status", []) => status(world),
        ("members", []) => members(world),
        ("addresses", []) => addresses(world),
        ("logs", []) => logs(world),
        ("terms", []) => terms(world),
        _ => return operate(world, verb, words),
    }
    Some(())
}

/// What operators, state machines and full disks do.
fn operate(world: &mut World, verb: &str, words: &[&str]) -> Option<()> {
    match (verb, words) {
        ("snapshot", [node]) => {
            world.take_snapshot(number(node)?);
            world.pump_all();
        }
        ("hold-snapshot", [node]) => world.node_mut(number(node)?).is_receive_held = true,
        ("let-snapshot-arrive", [node]) => {
            world.let_snapshot_arrive(number(node)?);
            world.pump_all();
        }
        ("lose-snapshot", [node]) => {
            world.lose_snapshot(number(node)?);
            world.pump_all();
        }
        ("join", []) => {
            let id = world.join(|_| {});
            world
                .trace
                .line(&n(id).to_string(), "starts with nothing on its disk");
        }
        ("change", [node, what @ ..]) => {
            let change = change(what)?;
            world.change(number(node)?, change);
            world.pump_all();
        }
        ("transfer", [node, target @ ..]) => {
            let target = match target {
                [] => None,
                [target] => Some(number(target)?),
                _ => return None,
            };
            world.transfer(number(node)?, target);
            world.pump_all();
        }
        ("room", [node, bytes]) => {
            let bytes = number(bytes)?;
            world.step(number(node)?, Event::Room { bytes });
            world.pump_all();
        }
        _ => return None,
    }
    Some(())
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

fn link(from: &str, to: &str) -> Option<(NodeId, NodeId)> {
    Some((NodeId::new(number(from)?)?, NodeId::new(number(to)?)?))
}

/// `log 1 terms=1,1,2 [term=3] [vote=2]`: the node starts with this on disk.
fn install(world: &mut World, node: u64, settings: &[&str]) -> Option<()> {
    let mut terms: Vec<u64> = Vec::new();
    let mut hard_state = HardState::default();
    for setting in settings {
        match setting.split_once('=')? {
            ("terms", list) => {
                terms = list.split(',').map(number).collect::<Option<_>>()?;
                hard_state.term = t(*terms.last()?);
            }
            ("floor", "any") => hard_state.floor = Some(Floor::AnyIndexOf(hard_state.term)),
            ("floor", at) => {
                let (index, term) = at.split_once(':')?;
                hard_state.floor = Some(Floor::At(id(number(index)?, number(term)?)));
            }
            ("term", term) => hard_state.term = t(number(term)?),
            ("vote", vote) => hard_state.vote = NodeId::new(number(vote)?),
            _ => return None,
        }
    }
    world.reinstall(node, hard_state, &terms);
    Some(())
}

/// `change 1 add-learner 4 [address]`, `promote 4`, `add-voter 4 [address]`, `remove 4`,
/// `move 4 address`, after the verb and the node.
fn change(words: &[&str]) -> Option<Change> {
    let (kind, node, address) = match words {
        [kind, node] => (*kind, number(node)?, format!("host{node}:7000")),
        [kind, node, address] => (*kind, number(node)?, (*address).to_owned()),
        _ => return None,
    };
    let node = NodeId::new(node)?;
    Some(match kind {
        "add-learner" => Change::AddLearner { node, address },
        "promote" => Change::Promote { node },
        "add-voter" => Change::AddVoter { node, address },
        "remove" => Change::Remove { node },
        "move" => Change::UpdateAddress { node, address },
        _ => return None,
    })
}

/// `cut 1 2 | 3 4 5`
fn cut(world: &mut World, sides: &[&str]) -> Option<()> {
    let middle = sides.iter().position(|word| *word == "|")?;
    let nodes = |words: &[&str]| {
        words
            .iter()
            .map(|word| number(word))
            .collect::<Option<Vec<_>>>()
    };
    world.cut(&nodes(&sides[..middle])?, &nodes(&sides[middle + 1..])?);
    Some(())
}

/// One line per node, and one per peer of a leader.
fn status(world: &mut World) {
    for node in &world.nodes {
        let subject = node.id.to_string();
        let Some(engine) = &node.engine else {
            world.trace.line(&subject, "is down");
            continue;
        };
        let status = engine.status();
        let role = describe_role(status.role, status.term, status.leader);
        let line = format!(
            "{role}: last {}, durable {}, commit {}, applied {}",
            status.last, status.durable, status.commit, status.applied
        );
        world.trace.line(&subject, &line);
        if status.role == RoleName::Leader {
            for peer in status.peers {
                let mode = match peer.mode {
                    PeerMode::Probe | PeerMode::Replicate => String::new(),
                    PeerMode::Snapshot { last, .. } => format!(", receives snapshot {last}"),
                };
                let suspect = if peer.suspect { ", suspect" } else { "" };
                let line = format!(
                    "  {} matched {}, next {}, {} in flight{mode}{suspect}",
                    peer.id, peer.matched, peer.next, peer.inflight
                );
                world.trace.line("", &line);
            }
        }
    }
}

/// The members that every node knows, and where its snapshot and its log stand.
fn members(world: &mut World) {
    for node in &world.nodes {
        let subject = node.id.to_string();
        let Some(engine) = &node.engine else {
            world.trace.line(&subject, "is down");
            continue;
        };
        let status = engine.status();
        let members = describe_membership(&status.membership);
        let since = status.membership_index;
        let removed = if status.removed { ", removed" } else { "" };
        let line = format!(
            "members {members} since {since}, snapshot {}, log {}..{}{removed}",
            status.snapshot, status.first, status.last
        );
        world.trace.line(&subject, &line);
    }
}

/// Where every node thinks that the members can be reached.
fn addresses(world: &mut World) {
    for node in &world.nodes {
        let subject = node.id.to_string();
        let Some(engine) = &node.engine else {
            world.trace.line(&subject, "is down");
            continue;
        };
        let membership = engine.status().membership;
        let known = membership.members().map(|member| {
            let address = membership.address(member).unwrap_or("unknown");
            format!("{member} at {address}")
        });
        let known: Vec<String> = known.collect();
        world.trace.line(&subject, &known.join(", "));
    }
}

/// The log of every node as written, entry by entry.
fn logs(world: &mut World) {
    for id in 1..=world.nodes.len() as u64 {
        let log = world.node(id).disk.log_as_written();
        let log: Vec<String> = log.iter().map(describe_entry).collect();
        world.trace.line(&n(id).to_string(), &log.join(", "));
    }
}

/// The terms of every log, for long logs.
fn terms(world: &mut World) {
    for id in 1..=world.nodes.len() as u64 {
        let terms: Vec<String> = world.terms(id).iter().map(u64::to_string).collect();
        world.trace.line(&n(id).to_string(), &terms.join(" "));
    }
}
