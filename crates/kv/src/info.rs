//! What the server tells about itself: the sections of `INFO` and the settings of `CONFIG GET`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::executor::ReplicaStatus;
use crate::resp::Reply;

/// The version of Redis whose forms this server follows, for clients that ask before they use a
/// command.
pub(crate) const REDIS_VERSION: &str = "7.2.0";

/// Facts about the server process.
#[derive(Debug)]
pub(crate) struct ServerFacts {
    /// The port clients connect to.
    pub(crate) port: u16,
    /// When the server started.
    pub(crate) started: Instant,
    /// Connections open now.
    pub(crate) connected: AtomicUsize,
    /// Connections that may be open at once.
    pub(crate) clients_max: usize,
    /// The longest argument, in bytes.
    pub(crate) bulk_bytes_max: usize,
}

type Section = (&'static str, fn(&mut String, &ServerFacts, &ReplicaStatus));

const SECTIONS: [Section; 5] = [
    ("Server", server),
    ("Clients", clients),
    ("Replication", replication),
    ("Raft", raft),
    ("Keyspace", keyspace),
];

/// The sections of these names, or all of them if there are none.
pub(crate) fn text(facts: &ServerFacts, status: &ReplicaStatus, names: &[Bytes]) -> String {
    let wanted = |section: &str| {
        names.is_empty()
            || names.iter().any(|name| {
                [section, "all", "default", "everything"]
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            })
    };
    let mut text = String::new();
    for (name, write) in SECTIONS.into_iter().filter(|(name, _)| wanted(name)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {name}\r\n");
        write(&mut text, facts, status);
    }
    text
}

/// Writes `name:value` lines. Writing to a string cannot fail.
macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),+ $(,)?) => {
        $(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)+
    };
}

fn server(text: &mut String, facts: &ServerFacts, _: &ReplicaStatus) {
    lines!(text,
        "redis_version": REDIS_VERSION,
        "quorate_version": env!("CARGO_PKG_VERSION"),
        "redis_mode": "standalone",
        "process_id": std::process::id(),
        "tcp_port": facts.port,
        "uptime_in_seconds": facts.started.elapsed().as_secs(),
    );
}

fn clients(text: &mut String, facts: &ServerFacts, _: &ReplicaStatus) {
    lines!(text,
        "connected_clients": facts.connected.load(Ordering::Relaxed),
        "maxclients": facts.clients_max,
    );
}

/// What a client of plain Redis looks for: every node takes writes, so every node is a master.
fn replication(text: &mut String, _: &ServerFacts, _: &ReplicaStatus) {
    lines!(text, "role": "master", "connected_slaves": 0);
}

fn raft(text: &mut String, _: &ServerFacts, status: &ReplicaStatus) {
    lines!(text,
        "raft_id": status.id,
        "raft_role": status.role,
        "raft_term": status.term,
        "raft_leader": status.leader.unwrap_or(0),
        "raft_commit": status.commit,
        "raft_applied": status.applied,
    );
    for (name, count) in &status.counters {
        let _ = write!(text, "raft_{name}:{count}\r\n");
    }
}

fn keyspace(text: &mut String, _: &ServerFacts, status: &ReplicaStatus) {
    if status.keys > 0 {
        let _ = write!(text, "db0:keys={},expires=0,avg_ttl=0\r\n", status.keys);
    }
}

/// The settings whose names match one of `patterns`.
pub(crate) fn config(facts: &ServerFacts, patterns: &[Bytes]) -> Reply {
    let settings = [
        ("appendfsync", "always".to_owned()),
        ("appendonly", "yes".to_owned()),
        ("databases", "1".to_owned()),
        ("maxclients", facts.clients_max.to_string()),
        ("port", facts.port.to_string()),
        ("proto-max-bulk-len", facts.bulk_bytes_max.to_string()),
        ("save", String::new()),
    ];
    let asked = |name: &str| {
        patterns
            .iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    Reply::Map(
        settings
            .into_iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, value)| (Reply::text(name), Reply::Bulk(Bytes::from(value))))
            .collect(),
    )
}

/// Whether `name` fits a pattern with `*` for any text and `?` for any one byte. Takes time
/// proportional to the product of the lengths at worst: patterns come from clients.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // The pattern behind the last star, and the name not yet tried against it.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            ([wanted, rest @ ..], [byte, behind @ ..]) if *wanted == b'?' || wanted == byte => {
                (pattern, name) = (rest, behind);
            }
            ([], []) => return true,
            _ => match retry {
                Some((rest, [_, behind @ ..])) => {
                    retry = Some((rest, behind));
                    (pattern, name) = (rest, behind);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> ServerFacts {
        ServerFacts {
            port: 6379,
            started: Instant::now(),
            connected: AtomicUsize::new(3),
            clients_max: 10,
            bulk_bytes_max: 100,
        }
    }

    fn status() -> ReplicaStatus {
        let counters = vec![("log_fsyncs", 17)];
        ReplicaStatus {
            id: 2,
            role: "leader",
            term: 4,
            keys: 5,
            counters,
            ..Default::default()
        }
    }

    #[test]
    fn info_holds_the_lines_that_tools_look_for() {
        let text = text(&facts(), &status(), &[]);
        for line in [
            "# Server",
            "redis_version:7.2.0",
            "connected_clients:3",
            "raft_role:leader",
            "raft_term:4",
            "raft_leader:0",
            "raft_log_fsyncs:17",
            "db0:keys=5,expires=0,avg_ttl=0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn info_is_limited_to_the_sections_asked_for() {
        let text = text(
            &facts(),
            &status(),
            &[Bytes::from("RAFT"), Bytes::from("clients")],
        );
        let sections: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(sections, ["# Clients", "# Raft"]);
    }

    #[test]
    fn config_answers_the_settings_that_match() {
        let names = |pattern: &'static str| {
            let Reply::Map(pairs) = config(&facts(), &[Bytes::from_static(pattern.as_bytes())])
            else {
                panic!("not a map");
            };
            pairs.len()
        };
        assert_eq!(names("save"), 1);
        assert_eq!(names("APPEND*"), 2);
        assert_eq!(names("*"), 7);
        assert_eq!(names("nothing"), 0);
    }

    #[test]
    fn patterns_match_as_a_shell_would() {
        for (pattern, name, fits) in [
            ("a*c", "abbc", true),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*", "", false),
            ("**", "", true),
            ("*ab", "aab", true),
            ("a", "ab", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                fits,
                "{pattern} {name}"
            );
        }
        let evil = "*a".repeat(1000);
        assert!(!matches(
            format!("{evil}b").as_bytes(),
            "a".repeat(20_000).as_bytes()
        ));
    }
}
