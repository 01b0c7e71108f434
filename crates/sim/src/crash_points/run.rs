//! Runs a trace once, and checks every image of the disk on the way.

use std::fmt;

use quorate_log::{AfterFailedSync, DirectoryId, Log, MemDisk};

use super::call::{Call, Trace};
use super::held::Held;
use super::image::{Image, open};
use super::survivors::{Point, Survivors};
use super::told::Told;
use super::watched::{Watch, Watched};
use crate::digest::mix;

/// How much is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where more subsets of the unsynced writes are possible, so many are drawn.
    pub subsets: u64,
    /// Decides what is drawn.
    pub seed: u64,
    /// The size of segments at the start, in bytes.
    pub segment_bytes: u64,
    /// Only this is tried. What the trace does is the same.
    pub only: Option<Point>,
}

/// What was tried, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls that were made.
    pub calls: u64,
    /// Operations on the disk that they made; after each, the world was stopped.
    pub prefixes: u64,
    /// Images that were left by a crash and checked.
    pub images: u64,
    /// How many times a log was opened for it.
    pub recoveries: u64,
    /// The first thing that was wrong.
    pub failure: Option<Box<Failure>>,
}

/// Something that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub at: Point,
    /// The call that was under way, or done.
    pub call: String,
    /// What.
    pub facts: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, call, facts } = self;
        write!(f, "crash point {at}: {facts}; the call: {call}")
    }
}

/// Runs `trace` on an empty disk and tries every crash point. Stops at the first failure.
#[must_use]
pub fn explore(trace: &mut impl Trace, options: &Options) -> Report {
    let disk = MemDisk::new();
    let mut run = Run {
        options,
        watch: Watch::new(&disk),
        disk,
        log: None,
        told: Told::nothing(),
        segment_bytes: options.segment_bytes,
        report: Report::default(),
    };
    if let Err(failure) = run.run(trace) {
        run.report.failure = Some(failure);
    }
    run.report
}

/// More syncs than there ever are.
const NEVER: u64 = u64::MAX;

type Outcome = Result<(), Box<Failure>>;

/// What a call that was not interrupted came to.
enum Done {
    /// Everything it was to do.
    Call,
    /// The log is open, and this is what it holds from now on.
    Opened(Held, DirectoryId),
}

struct Run<'a> {
    options: &'a Options,
    disk: MemDisk,
    watch: Watch,
    log: Option<Log<Watched>>,
    told: Told,
    segment_bytes: u64,
    report: Report,
}

impl Run<'_> {
    fn run(&mut self, trace: &mut impl Trace) -> Outcome {
        let first = Call::Reopen {
            close: false,
            segment_bytes: self.segment_bytes,
        };
        self.make(&first)?;
        while let Some(call) = trace.next(self.told.sure()) {
            self.make(&call)?;
        }
        Ok(())
    }

    fn make(&mut self, call: &Call) -> Outcome {
        self.report.calls += 1;
        self.told.begins(call);
        match call {
            Call::Crash {
                during,
                after,
                survivors,
            } => {
                let begin = self.disk.operations();
                self.disk.stop_after(*after);
                let outcome = self.perform(during);
                // Where the world stops, it may fail, and only there.
                if self.disk.operations() - begin < *after {
                    self.passes(call, outcome)?;
                } else {
                    self.check_passed(call, outcome.ok())?;
                }
                survivors.crash(&self.disk);
                self.log = None;
                let opened = self.open();
                self.passes(call, opened)
            }
            Call::FailSync {
                during,
                skip,
                old_content,
            } => self.fail_sync(call, during, *skip, *old_content),
            Call::Perform(_)
            | Call::Housekeep { .. }
            | Call::Idle
            | Call::Stage(_)
            | Call::Reopen { .. } => {
                let outcome = self.perform(call);
                self.passes(call, outcome)
            }
        }
    }

    fn fail_sync(&mut self, call: &Call, during: &Call, skip: u64, old_content: bool) -> Outcome {
        let after = if old_content {
            AfterFailedSync::OldContent
        } else {
            AfterFailedSync::NewContent
        };
        self.disk.fail_sync(skip, after);
        let done = self.perform(during).ok();
        // A call with fewer syncs than that keeps nobody else from syncing.
        self.disk.fail_sync(NEVER, after);
        self.check_passed(call, done)?;
        self.log = None;
        let opened = self.open();
        self.passes(call, opened)
    }

    /// A call that nothing interrupted is over.
    fn passes(&mut self, call: &Call, outcome: Result<Done, String>) -> Outcome {
        let (done, facts) = match outcome {
            Ok(done) => (Some(done), None),
            Err(facts) => (None, Some(facts)),
        };
        self.check_passed(call, done)?;
        let at = Point::all_at(self.disk.operations());
        facts.map_or(Ok(()), |facts| Err(failure(at, call, facts)))
    }

    /// Makes a call.
    fn perform(&mut self, call: &Call) -> Result<Done, String> {
        if let Call::Reopen {
            close,
            segment_bytes,
        } = call
        {
            self.segment_bytes = *segment_bytes;
            if let Some(log) = self.log.take()
                && *close
            {
                log.close().map_err(|error| error.to_string())?;
            }
            return self.open();
        }
        let Some(log) = &mut self.log else {
            return Err("the log is not open".to_owned());
        };
        let outcome = match call {
            Call::Perform(writes) => log.perform(writes).map(drop),
            Call::Housekeep { budget_bytes } => log.housekeep(*budget_bytes).map(drop),
            Call::Idle => log.idle(),
            Call::Stage(stage) => log.set_stage(stage.clone()),
            Call::Reopen { .. } | Call::FailSync { .. } | Call::Crash { .. } => Ok(()),
        };
        outcome
            .map(|()| Done::Call)
            .map_err(|error| error.to_string())
    }

    /// Opens the log. It may hold only what a crash may have left.
    fn open(&mut self) -> Result<Done, String> {
        self.report.recoveries += 1;
        let fresh = mix(self.options.seed) ^ self.disk.operations();
        let mut opened = open(self.watch.handle(), self.segment_bytes, fresh)
            .map_err(|error| format!("it cannot be opened: {error}"))?;
        let found = Held::of(&mut opened)?;
        let directory = opened.identity.directory;
        self.told.allows(&found, directory)?;
        self.log = Some(opened.log);
        Ok(Done::Opened(found, directory))
    }
}

/// The images of a call.
impl Run<'_> {
    /// Checks the images that the last operations left. After the last one, if the call is done,
    /// what it did is acknowledged.
    fn check_passed(&mut self, call: &Call, done: Option<Done>) -> Outcome {
        let mut images = self.watch.take();
        if done.is_some() {
            images.pop();
        }
        for image in images {
            self.check_image(&image, call, false)?;
            self.report.prefixes += 1;
        }
        let is_witnessed = match done {
            None => return Ok(()),
            Some(Done::Call) => {
                self.told.ends();
                matches!(call, Call::Idle)
            }
            Some(Done::Opened(found, directory)) => {
                self.told.settles(found, directory);
                true
            }
        };
        self.check_image(&self.disk.fork(), call, is_witnessed)?;
        self.report.prefixes += 1;
        Ok(())
    }

    /// Every crash that is to be tried in the world of `image`.
    fn check_image(&mut self, image: &MemDisk, call: &Call, is_witnessed: bool) -> Outcome {
        let prefix = image.operations();
        let only = self.options.only.as_ref();
        if only.is_some_and(|only| only.prefix != prefix) {
            return Ok(());
        }
        let salt = mix(self.options.seed ^ mix(prefix));
        for survivors in Survivors::to_try(image.unsynced(), self.options.subsets, salt) {
            if only.is_some_and(|only| !only.means(prefix, &survivors)) {
                continue;
            }
            let disk = image.fork();
            // A failure that is yet to come is not of this world.
            disk.fail_sync(NEVER, AfterFailedSync::NewContent);
            survivors.crash(&disk);
            self.report.images += 1;
            let image = Image {
                disk,
                told: &self.told,
                segment_bytes: self.segment_bytes,
                is_witnessed,
                salt: mix(salt ^ survivors.hash()),
                opens: &mut self.report.recoveries,
            };
            image.check().map_err(|(recovery, facts)| {
                let at = Point {
                    prefix,
                    survivors: Some(survivors),
                    recovery,
                };
                failure(at, call, facts)
            })?;
        }
        Ok(())
    }
}

fn failure(at: Point, call: &Call, facts: String) -> Box<Failure> {
    let call = call.to_string();
    Box::new(Failure { at, call, facts })
}
