//! Runs the scripts in `e2e/` against the release build of the key-value server. What they check
//! is in the scripts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::command::Step;
use crate::failure::{Failure, Result};
use crate::repo;

/// What a script returns when the machine lacks something it needs.
const SKIPPED: i32 = 77;

/// Builds the server and runs the named scripts, or all of them.
pub(crate) fn run(root: &Path, names: &[String]) -> Result<()> {
    let scripts = scripts(root, names)?;
    Step::cargo("build", "build --release -p quorate-kv").run(root)?;
    let target = repo::target(root);
    let server = target.join("release").join("quorate-kv");
    let mut failed = Vec::new();
    for script in scripts {
        let name = script
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        println!("\n== e2e {name}");
        let start = Instant::now();
        let status = Command::new(python(&target))
            .arg(&script)
            .arg(&server)
            .current_dir(root)
            .envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")])
            .stdin(Stdio::null())
            .status()
            .map_err(Failure::at(&script))?;
        let seconds = start.elapsed().as_secs_f64();
        // CI installs what the scripts need, so that there a skip is a failure.
        let may_skip = std::env::var_os("CI").is_none();
        match status.code() {
            Some(0) => println!("== e2e {name}: ok, {seconds:.1} s"),
            Some(SKIPPED) if may_skip => println!("== e2e {name}: skipped (see above)"),
            _ => {
                println!("== e2e {name}: FAILED ({status}), {seconds:.1} s");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "end-to-end checks failed: {}",
        failed.join(", ")
    )))
}

fn scripts(root: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
    let folder = root.join("e2e");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Failure::at(&folder))? {
        let path = entry.map_err(Failure::at(&folder))?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            all.push(path);
        }
    }
    all.sort();
    let Some(unknown) = names.iter().find(|name| {
        !all.iter()
            .any(|path| path.file_stem() == Some(name.as_ref()))
    }) else {
        all.retain(|path| {
            names.is_empty()
                || names
                    .iter()
                    .any(|name| path.file_stem() == Some(name.as_ref()))
        });
        return Ok(all);
    };
    Err(Failure::new(format!("e2e/{unknown}.py does not exist")))
}

/// The interpreter of the virtual environment that `.ci/run` makes, or else the machine's.
fn python(target: &Path) -> PathBuf {
    let own = target.join("e2e-venv").join("bin").join("python");
    if own.exists() {
        own
    } else {
        PathBuf::from("python3")
    }
}
