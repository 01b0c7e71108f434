//! Running other programs and telling how it went.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, Result};

/// One program to run, with a name for the log.
pub(crate) struct Step {
    name: &'static str,
    program: String,
    args: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
}

impl Step {
    /// A step that runs the cargo this program was started by.
    pub(crate) fn cargo(name: &'static str, args: &str) -> Self {
        Self {
            name,
            program: cargo(),
            args: args.split_whitespace().map(str::to_owned).collect(),
            env: Vec::new(),
        }
    }

    pub(crate) fn env(mut self, key: &'static str, value: &'static str) -> Self {
        self.env.push((key, value));
        self
    }

    /// Runs the step in `root`, its output going where ours goes.
    pub(crate) fn run(&self, root: &Path) -> Result<()> {
        println!("\n== {}: {}", self.name, self.line());
        let start = Instant::now();
        let status = Command::new(&self.program)
            .args(&self.args)
            .envs(self.env.iter().copied())
            .current_dir(root)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| Failure::new(format!("{}: {error}", self.program)))?;
        let seconds = start.elapsed().as_secs_f64();
        if !status.success() {
            return Err(Failure::new(format!(
                "{} failed ({status}): {}",
                self.name,
                self.line()
            )));
        }
        println!("== {}: ok, {seconds:.1} s", self.name);
        Ok(())
    }

    /// The step as one would type it.
    fn line(&self) -> String {
        let program = if self.program == cargo() {
            "cargo"
        } else {
            &self.program
        };
        let env = self
            .env
            .iter()
            .map(|(key, value)| format!("{key}='{value}' "));
        format!(
            "{}{program} {}",
            env.collect::<String>(),
            self.args.join(" ")
        )
    }
}

/// The cargo that started us, so that a chore never mixes two toolchains.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The standard output of a program that must succeed.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("{name}: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("{name} failed ({})", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::new(format!("{name} printed something that is not UTF-8")))
}
