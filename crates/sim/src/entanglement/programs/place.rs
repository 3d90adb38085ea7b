//! A node that runs a program: the program and its seat.

use bellwether_protocol::application::Seat;
use bellwether_units::Time;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Wake;

/// Whether a program was answered.
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Place {
    pub(super) seat: Seat,
    /// None once it has ended.
    pub(super) task: Option<Pin<Box<dyn Future<Output = ()>>>>,
    pub(super) flag: Arc<Flag>,
    /// When the seat will be reminded.
    pub(super) reminded: Time,
}

impl Place {
    pub(super) fn new(seat: Seat, task: Pin<Box<dyn Future<Output = ()>>>) -> Self {
        Self { seat, task: Some(task), flag: Arc::new(Flag(AtomicBool::new(true))), reminded: Time::MAX }
    }
}
