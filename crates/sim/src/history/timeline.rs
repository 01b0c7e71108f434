//! A history of one key as text: a line for each operation, a column for each client.

use std::fmt::Write as _;

use super::op::OpId;
use super::search::Call;

/// Draws `calls`, which no order explains; `longest` is how far the best one goes.
pub(super) fn timeline(key: u8, calls: &[Call], longest: &[OpId]) -> String {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.invoked);
    let mut clients: Vec<u32> = calls.iter().map(|call| call.client).collect();
    clients.sort_unstable();
    clients.dedup();
    let cells: Vec<String> = calls.iter().map(cell).collect();
    let width = cells.iter().map(String::len).max().unwrap_or(0).max(10);
    let mut text = format!("no order explains what clients saw at key {key}\n  asked   told");
    for client in &clients {
        let _ = write!(text, " | {:width$}", format!("client {client}"));
    }
    for (call, cell) in calls.iter().zip(&cells) {
        let told = call
            .returned
            .map_or_else(|| "-".to_owned(), |at| at.to_string());
        let _ = write!(text, "\n{:>7}{told:>7}", call.invoked);
        for client in &clients {
            let here = if *client == call.client { cell } else { "" };
            let _ = write!(text, " | {here:width$}");
        }
    }
    let mut text = text
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n");
    text.push_str("\nas far as it goes:");
    for id in longest {
        let _ = write!(text, " {id}");
    }
    if longest.is_empty() {
        text.push_str(" not even one");
    }
    text
}

fn cell(call: &Call) -> String {
    let (id, op) = (call.id, call.op);
    match call.reply {
        Some(reply) => format!("{id} {op} = {reply}"),
        None if call.required => format!("{id} {op}, done"),
        None => format!("{id} {op}, unknown"),
    }
}
