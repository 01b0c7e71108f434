//! The `quorate-kv` program: the command line, the log output and the exit code. Everything else
//! is in the library.

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quorate_kv::config::Options;
use quorate_kv::{demo, server};
use tracing_subscriber::EnvFilter;

/// A replicated key-value server that speaks the Redis protocol
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one node of a cluster
    ///
    /// Every option can also be given in the environment or in a TOML file; there the names are
    /// those of the flags, and the peers a list: peers = ["1=HOST:PORT", ...]. RUST_LOG chooses
    /// what is logged, for example RUST_LOG=quorate=debug.
    #[command(verbatim_doc_comment)]
    Serve(Box<Options>),
    /// Start three nodes, kill the leader under load, and check that nothing was lost
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = std::io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(log().is_terminal())
        .with_writer(log)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = runtime.block_on(run(cli.command));
    // Nothing that is still running, such as a disk that hangs, may hold up the end.
    runtime.shutdown_background();
    code
}

async fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve(options) => match options.resolve() {
            Ok(settings) => match server::run(settings).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            },
            Err(error) => fail(&error),
        },
        Command::Demo(options) => match demo::run(&options).await {
            Ok(verdict) if verdict.passed() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        },
    }
}

/// One line with every cause.
fn fail(error: &dyn Error) -> ExitCode {
    let mut line = format!("quorate-kv: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("{line}");
    ExitCode::FAILURE
}
