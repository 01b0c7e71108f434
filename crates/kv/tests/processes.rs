//! Tests of the program itself: real processes, sockets and disks. No test waits for a fixed
//! time; the limits are only there to end a run that hangs.
#![expect(clippy::unwrap_used, reason = "a step that fails is to fail its test")]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_quorate-kv");
const LIMIT: Duration = Duration::from_secs(60);

/// A cluster of one. Its process ends with the value, and with the test.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// A server that is ready. The system chooses its ports, and the server holds them from then
    /// on: a port chosen here could be anybody's before the server has it.
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = serve(data).args(more).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = address_told(&mut log);
        // A server whose log nobody reads would stop at a full pipe.
        spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Client(BufReader::new(stream))
    }
}

/// The program as a server. Its standard input is to be held open.
fn serve(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["serve", "--id", "1", "--until-stdin-ends"])
        .args(["--listen", "127.0.0.1:0", "--peer", "1=127.0.0.1:0"])
        .arg("--data")
        .arg(data)
        .env("RUST_LOG", "info")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Where a server says that it takes clients.
fn address_told(log: &mut impl BufRead) -> SocketAddr {
    let mut told = String::new();
    loop {
        let start = told.len();
        assert!(
            log.read_line(&mut told).unwrap() > 0,
            "the server ended at once: {told}"
        );
        if let Some((_, fields)) = told[start..].split_once("the server is ready") {
            let address = fields
                .split_whitespace()
                .find_map(|field| field.strip_prefix("address="));
            return address.unwrap().parse().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Sends an inline command and reads one line of the answer.
    fn ask(&mut self, command: &str) -> String {
        self.0
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        self.hear().unwrap()
    }

    /// One line from the server.
    fn hear(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

#[test]
fn acknowledged_writes_are_there_when_the_server_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    for start in 1..=3 {
        let mut server = Server::start(directory.path(), &[]);
        let mut client = server.connect();
        let answer = client.ask("INCR starts");
        assert_eq!(
            answer,
            format!(":{start}"),
            "an acknowledged write was lost"
        );
        server.child.kill().unwrap();
    }
}

#[test]
fn server_ends_cleanly_when_its_standard_input_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SET k v"), "+OK");
    drop(server.child.stdin.take());
    assert!(
        server.child.wait().unwrap().success(),
        "an orderly end is no failure"
    );
    assert_eq!(
        client.0.read(&mut [0]).unwrap(),
        0,
        "the connection was left open"
    );
}

/// Scenario H09: a long log takes time to be read, too.
#[test]
fn server_ends_when_it_is_told_to_while_its_disk_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    // Whoever opens a pipe to write to it waits for somebody who reads.
    let pipe = directory.path().join("lock");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let mut child = serve(directory.path()).spawn().unwrap();
    drop(child.stdin.take());
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => sleep(Duration::from_millis(5)),
            None => {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
        }
    };
    assert!(status.success(), "it had to be killed");
}

#[test]
fn client_is_refused_when_too_many_are_connected() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--max-clients", "1"]);
    let mut first = server.connect();
    assert_eq!(first.ask("PING"), "+PONG");
    let refusal = server.connect().hear().unwrap();
    assert_eq!(refusal, "-ERR max number of clients reached");
    assert_eq!(first.ask("QUIT"), "+OK");
    let deadline = Instant::now() + LIMIT;
    while !admitted(server.connect()) {
        assert!(
            Instant::now() < deadline,
            "a client that left makes no room"
        );
    }
}

/// A refused client may find the connection closed before it has sent anything.
fn admitted(mut client: Client) -> bool {
    let sent = client.0.get_mut().write_all(b"PING\r\n");
    sent.is_ok() && client.hear().is_ok_and(|answer| answer == "+PONG")
}

#[test]
fn program_fails_with_one_line_when_an_option_is_missing() {
    let output = Command::new(PROGRAM)
        .args(["serve", "--id", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text, "quorate-kv: --peer is missing\n");
}

/// Nothing is lost when the leader is killed under load, and no read goes back in time.
#[test]
fn demo_passes() {
    let output = Command::new(PROGRAM)
        .args(["demo", "--writes", "600", "--clients", "4", "--kills", "1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("PASSED"), "{text}");
}
