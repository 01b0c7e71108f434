//! What no replicated write can be faster than: an fsync on three nodes at once and the round
//! trips between them, on this machine, now.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// The smallest write a disk does whole; a batch of the log starts on such a boundary.
const SECTOR: usize = 512;
/// Sectors in each file. They are written in turn, as a log does.
const SECTORS: u64 = 2048;
const SYNCS: usize = 10;
const TRIPS: usize = 30;
/// About what a small append and its answer take on the wire.
const MESSAGE: usize = 128;

/// Three files of zeros, and a connection to an echo.
pub(super) struct Floor {
    files: [File; 3],
    next_sector: u64,
    echo: TcpStream,
}

impl Floor {
    /// Prepares the files under `folder`, which is where the nodes have theirs.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let folder = folder.join("floor");
        fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        let file = |name: &str| -> Result<File> {
            let path = folder.join(name);
            let file = File::create(&path).map_err(Failure::at(&path))?;
            for sector in 0..SECTORS {
                file.write_all_at(&[0; SECTOR], sector * SECTOR as u64)
                    .map_err(Failure::at(&path))?;
            }
            file.sync_all().map_err(Failure::at(&path))?;
            Ok(file)
        };
        let files = [file("1")?, file("2")?, file("3")?];
        let echo = echo().map_err(|error| Failure::new(format!("loopback: {error}")))?;
        Ok(Self {
            files,
            next_sector: 0,
            echo,
        })
    }

    /// A few times until three files, overwritten at once, are all on the disk.
    pub(super) fn sync_of_three(&mut self) -> Result<Vec<Duration>> {
        let start = Barrier::new(self.files.len());
        let first = self.next_sector;
        self.next_sector += SYNCS as u64;
        let times = thread::scope(|scope| {
            let workers: Vec<_> = self
                .files
                .iter()
                .map(|file| scope.spawn(|| overwrite_and_sync(file, first, &start)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(panicked())))
                .collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(|error| Failure::new(format!("fdatasync: {error}")))?;
        let slowest = (0..SYNCS)
            .map(|turn| {
                times
                    .iter()
                    .filter_map(|file| file.get(turn))
                    .max()
                    .copied()
            })
            .map(Option::unwrap_or_default);
        Ok(slowest.collect())
    }

    /// A few times of a small message to another thread over loopback and back.
    pub(super) fn round_trip(&mut self) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(TRIPS);
        let mut message = [7; MESSAGE];
        for _ in 0..TRIPS {
            let start = Instant::now();
            self.echo
                .write_all(&message)
                .and_then(|()| self.echo.read_exact(&mut message))
                .map_err(|error| Failure::new(format!("loopback: {error}")))?;
            times.push(start.elapsed());
        }
        Ok(times)
    }
}

fn overwrite_and_sync(file: &File, first: u64, start: &Barrier) -> std::io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(SYNCS);
    for turn in 0..SYNCS as u64 {
        start.wait();
        let began = Instant::now();
        let offset = (first + turn) % SECTORS * SECTOR as u64;
        file.write_all_at(&[1; SECTOR], offset)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn panicked() -> std::io::Error {
    std::io::Error::other("a measuring thread panicked")
}

/// A connection to a thread that sends back what it gets, until the connection closes.
fn echo() -> std::io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    near.set_nodelay(true)?;
    let (mut far, _) = listener.accept()?;
    far.set_nodelay(true)?;
    thread::spawn(move || {
        let mut message = [0; MESSAGE];
        while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
    });
    Ok(near)
}
