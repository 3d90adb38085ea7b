//! Threads that do the jobs of an end.

use bellwether_protocol::qkd::session::{Job, JobResult};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Jobs that several threads take from, and what they gave.
#[derive(Default)]
pub(super) struct Workers {
    waiting: Mutex<VecDeque<(usize, Job)>>,
    done: Mutex<Vec<(usize, JobResult)>>,
    /// Jobs that are waiting or being done by a worker.
    left: AtomicUsize,
    ended: AtomicBool,
}

/// Ends the workers, however the scope is left.
struct End<'a>(&'a Workers);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Workers {
    /// Does `work` with `threads` threads, this one among them.
    pub(super) fn with<T>(threads: usize, work: impl FnOnce(&Self) -> T) -> T {
        let workers = Self::default();
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| workers.serve());
            }
            let _end = End(&workers);
            work(&workers)
        })
    }

    /// Does all jobs, and gives their results in their order.
    pub(super) fn run(&self, jobs: Vec<Job>) -> Vec<JobResult> {
        let (mut results, mut shared) = (Vec::new(), VecDeque::new());
        for (number, job) in jobs.into_iter().enumerate() {
            if job.is_brief() { results.push((number, job.run())) } else { shared.push_back((number, job)) }
        }
        if !shared.is_empty() {
            self.left.store(shared.len(), Ordering::Release);
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = shared;
            while self.left.load(Ordering::Acquire) > 0 {
                if !self.one() {
                    spin_loop();
                }
            }
            results.append(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
            results.sort_by_key(|&(number, _)| number);
        }
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Looks for jobs until there will be none. It does not sleep: to be woken would take longer than many a job.
    fn serve(&self) {
        while !self.ended.load(Ordering::Acquire) {
            if self.left.load(Ordering::Acquire) == 0 || !self.one() {
                spin_loop();
            }
        }
    }

    /// Does a job, if one waits.
    fn one(&self) -> bool {
        let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((number, job)) = taken else { return false };
        let result = job.run();
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        self.left.fetch_sub(1, Ordering::AcqRel);
        true
    }
}
