//! What is seen of a run while it runs, and how it is stopped.

use crate::{Failure, words};
use bellwether_sim::run::Observer;
use bellwether_sim::trace::TraceRecord;
use bellwether_units::Time;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Runs shorter than this show no bar.
const PATIENCE_S: f64 = 2.0;
/// Ticks of the bar: virtual time over the run's end, in parts of this.
const TICKS: u64 = 10_000;

/// Set by Ctrl-C, a termination signal, or a run that cannot go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that the first Ctrl-C sets; the second ends the process at once with code 130.
    pub(crate) fn on_interrupt() -> Self {
        let flag = Self::default();
        let seen = flag.clone();
        let handler = move || {
            if seen.0.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            // Nobody is left to tell if standard error is gone.
            let _ =
                io::stderr().write_all(b"\nstopping: the results so far are kept; once more gives them up\n");
        };
        // A second handler in one process is refused; then the default stays, which ends the process.
        let _ = ctrlc::set_handler(handler);
        flag
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Watches a run: the bar, the trace file, the flag.
pub(crate) struct Watch {
    stop: StopFlag,
    clock: Stopwatch,
    bar: Option<ProgressBar>,
    trace: Option<TraceFile>,
    failure: Option<Failure>,
    /// Progress is told in runs, one a second of the time that is told, rather than in virtual time.
    counts_runs: bool,
}

struct TraceFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Watch {
    /// Watches without writing anything.
    pub(crate) fn new(stop: StopFlag) -> Self {
        Self { stop, clock: Stopwatch::start(), bar: None, trace: None, failure: None, counts_runs: false }
    }

    /// Watches [`replicate`](bellwether_sim::run::replicate), which tells one second for each run.
    pub(crate) fn counting_runs(self) -> Self {
        Self { counts_runs: true, ..self }
    }

    /// Writes the trace to `path` as JSON lines while the run goes on.
    pub(crate) fn write_trace(&mut self, path: &Path) -> Result<(), Failure> {
        let file = BufWriter::new(File::create(path).map_err(Failure::write(path))?);
        self.trace = Some(TraceFile { path: path.to_owned(), file });
        Ok(())
    }

    /// Takes the bar away, completes the trace, and tells whether anything failed on the way.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match self.trace {
            Some(mut trace) => trace.file.flush().map_err(Failure::write(&trace.path)),
            None => Ok(()),
        }
    }
}

impl Observer for Watch {
    fn progress(&mut self, now: Time, end: Time) -> bool {
        let elapsed = self.clock.seconds();
        if self.bar.is_none() && elapsed > PATIENCE_S {
            let bar = ProgressBar::with_draw_target(Some(TICKS), ProgressDrawTarget::stderr());
            // Without a template that can be read the bar keeps its default.
            if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            let part = if end > Time::ZERO { now.seconds() / end.seconds() } else { 1.0 };
            bar.set_position((part * TICKS as f64) as u64);
            let done = if self.counts_runs {
                format!("{} of {} runs", now.seconds(), end.seconds())
            } else {
                let speed = words::plain(now.seconds() / elapsed.max(1e-9));
                let (now, end) = (words::clock(now.seconds().floor()), words::clock(end.seconds()));
                format!("{now} of {end}, {speed} × real time")
            };
            let left = if part > 0.0 { (elapsed * (1.0 - part) / part).ceil() } else { f64::NAN };
            bar.set_message(if left.is_finite() {
                format!("{done}, {} left", words::seconds(left))
            } else {
                done
            });
        }
        self.failure.is_none() && !self.stop.is_set()
    }

    fn trace(&mut self, records: &[TraceRecord]) {
        let Some(trace) = &mut self.trace else { return };
        if self.failure.is_some() {
            return;
        }
        // Written out slice by slice, so that the trace can be followed and outlives whatever comes.
        let written = records.iter().try_for_each(|record| {
            serde_json::to_writer(&mut trace.file, record).map_err(io::Error::from)?;
            trace.file.write_all(b"\n")
        });
        if let Err(error) = written.and_then(|()| trace.file.flush()) {
            self.failure = Some(Failure::write(&trace.path)(error));
        }
    }
}

/// The wall clock: how long the person has waited.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the command tells how fast a run was, never a model")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_sim::trace::TraceEvent;

    #[test]
    fn the_trace_is_one_json_object_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.jsonl");
        let mut watch = Watch::new(StopFlag::default());
        watch.write_trace(&path).unwrap();
        let ended = |at_ps| TraceRecord { at_ps, event: TraceEvent::RunEnded { partial: false } };
        watch.trace(&[ended(1), ended(2)]);
        assert!(watch.progress(Time::ZERO, Time::MAX));
        watch.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[1]["at_ps"], &lines[1]["event"]), (&2.into(), &"run-ended".into()));
    }

    #[test]
    fn the_flag_ends_the_run() {
        let stop = StopFlag::default();
        let mut watch = Watch::new(stop.clone());
        assert!(watch.progress(Time::ZERO, Time::MAX));
        stop.0.store(true, Ordering::SeqCst);
        assert!(!watch.progress(Time::ZERO, Time::MAX));
    }
}
