//! Tests of the table and of what it understands: arity, options, the exact words of errors.

use super::*;
use crate::op::{Op, SetAnswer, When, WriteOp};

fn request(line: &str) -> Vec<Bytes> {
    line.split(' ')
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect()
}

fn error(line: &str) -> String {
    parse(&request(line)).expect_err(line).to_string()
}

#[test]
fn names_are_found_in_whatever_case_and_only_once() {
    for spec in COMMANDS {
        assert!(
            spec.name.bytes().all(|byte| byte.is_ascii_lowercase()),
            "{}",
            spec.name
        );
        let found = find(spec.name.to_ascii_uppercase().as_bytes()).unwrap();
        assert!(std::ptr::eq(found, spec), "{} is listed twice", spec.name);
    }
    assert!(find(b"getx").is_none() && find(b"").is_none());
}

#[test]
fn arity_is_checked_before_the_arguments_are_looked_at() {
    for spec in COMMANDS {
        let arity = format!("ERR wrong number of arguments for '{}' command", spec.name);
        for words in 1..6 {
            let line = vec![spec.name; words].join(" ");
            let fits = if spec.arity < 0 {
                words as i32 >= -spec.arity
            } else {
                words as i32 == spec.arity
            };
            if !fits {
                assert_eq!(error(&line), arity, "{line}");
            }
        }
    }
    assert_eq!(
        error("mset a b c"),
        "ERR wrong number of arguments for 'mset' command"
    );
    assert_eq!(
        error("ping a b"),
        "ERR wrong number of arguments for 'ping' command"
    );
}

#[test]
fn errors_are_worded_as_in_redis() {
    let cases = [
        (
            "foo",
            "ERR unknown command 'foo', with args beginning with: ",
        ),
        (
            "foo a b",
            "ERR unknown command 'foo', with args beginning with: 'a' 'b' ",
        ),
        (
            "set k v ex 10",
            "ERR option 'EX' is not supported: keys do not expire",
        ),
        ("set k v nx xx", "ERR syntax error"),
        ("set k v xx nx", "ERR syntax error"),
        ("set k v what", "ERR syntax error"),
        (
            "incrby k 1.5",
            "ERR value is not an integer or out of range",
        ),
        ("decrby k x", "ERR value is not an integer or out of range"),
        (
            "decrby k -9223372036854775808",
            "ERR decrement would overflow",
        ),
        ("select 1", "ERR DB index is out of range"),
        ("select x", "ERR value is not an integer or out of range"),
        ("hello 4", "NOPROTO unsupported protocol version"),
        (
            "hello x",
            "ERR Protocol version is not an integer or out of range",
        ),
        (
            "hello 3 auth a b",
            "ERR AUTH called without any password configured",
        ),
        ("hello 3 setname", "ERR syntax error"),
        (
            "client nope",
            "ERR unknown subcommand 'nope'. Try CLIENT HELP.",
        ),
        (
            "client setname",
            "ERR wrong number of arguments for 'client|setname' command",
        ),
        ("client setinfo lib-x 1", "ERR Unrecognized option 'lib-x'"),
        (
            "config set a b",
            "ERR unknown subcommand 'set'. Try CONFIG HELP.",
        ),
        ("flushall now", "ERR syntax error"),
    ];
    for (line, text) in cases {
        assert_eq!(error(line), text, "{line}");
    }
}

#[test]
fn unknown_command_quotes_a_bounded_part_of_what_was_sent() {
    let long = "x".repeat(100_000);
    let text = error(&format!("{long} {long} {long}"));
    assert!(text.len() < 400, "an error of {} bytes", text.len());
}

#[test]
fn set_understands_its_options_in_any_order_and_case() {
    for (line, when, answer) in [
        ("set k v", When::Always, SetAnswer::Done),
        ("SET k v NX", When::Missing, SetAnswer::Done),
        ("set k v keepttl xx", When::Present, SetAnswer::Done),
        ("set k v GET nx nx", When::Missing, SetAnswer::Previous),
        ("getset k v", When::Always, SetAnswer::Previous),
        ("setnx k v", When::Missing, SetAnswer::Flag),
    ] {
        let expected = WriteOp::Set {
            key: Bytes::from("k"),
            value: Bytes::from("v"),
            when,
            answer,
        };
        assert_eq!(
            parse(&request(line)),
            Ok(Command::Op(Op::Write(expected))),
            "{line}"
        );
    }
}
