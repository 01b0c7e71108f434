//! The files of the repository. Knows which of them people write; knows nothing of rules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// Folders that hold nothing people write. The last three are what cargo-fuzz finds.
const SKIPPED: [&str; 8] = [
    "target",
    ".git",
    "__pycache__",
    "node_modules",
    "book",
    "artifacts",
    "corpus",
    "coverage",
];

/// A text file, with its path as `git ls-files` would print it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }
}

/// The lines of `text` with their numbers, from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(above, line)| (above + 1, line))
}

/// The root of the checkout this program was built in.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Every text file under `root`, sorted by path.
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = fs::read(&path).map_err(Failure::at(&path))?;
        // A file that is no text (an image, say) is nobody's prose.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File {
                path: relative(root, &path),
                text,
            });
        }
    }
    Ok(files)
}

/// Collects the paths of all files under `folder`, of any kind.
pub(crate) fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Failure::at(folder))? {
        let entry = entry.map_err(Failure::at(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Failure::at(&path))?;
        if kind.is_file() {
            paths.push(path);
        } else if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
            walk(&path, paths)?;
        }
    }
    Ok(())
}

/// `path` below `root`, with `/` between the parts.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_is_among_the_files_and_no_build_output_is() {
        let files = files(&root()).unwrap();
        assert!(
            files.iter().any(|file| file.path == "xtask/src/repo.rs"),
            "the rules would check nothing"
        );
        assert!(
            files.iter().all(|file| !file.path.starts_with("target/")),
            "the rules would check what the compiler wrote"
        );
    }
}
