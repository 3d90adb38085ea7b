//! An answer that is not there yet: one side promises it, the other waits.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Place<T> {
    value: Option<T>,
    waker: Option<Waker>,
    abandoned: bool,
}

struct Shared<T>(Mutex<Place<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that will answer: a driver's.
pub struct Promise<T>(Arc<Shared<T>>);

/// The side that waits: a future of the answer.
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait<T>(Arc<Shared<T>>);

impl<T> Promise<T> {
    /// A promise, and the wait for it.
    pub fn new() -> (Self, Wait<T>) {
        let shared = Arc::new(Shared(Mutex::new(Place { value: None, waker: None, abandoned: false })));
        (Self(Arc::clone(&shared)), Wait(shared))
    }
    /// Answers. If nobody waits any more, the value is dropped, and with it what it owns.
    pub fn fulfil(self, value: T) {
        let (waker, refused) = {
            let mut place = self.0.lock();
            if place.abandoned {
                (None, Some(value))
            } else {
                place.value = Some(value);
                (place.waker.take(), None)
            }
        };
        // Outside the lock: dropping a qubit writes to its port, waking may poll.
        drop(refused);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    /// Whether somebody still waits.
    pub fn is_awaited(&self) -> bool {
        !self.0.lock().abandoned
    }
}

impl<T> Future for Wait<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut place = self.0.lock();
        match place.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let unused = {
            let mut place = self.0.lock();
            place.abandoned = true;
            place.value.take()
        };
        drop(unused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_wakes_who_waits_and_is_given_once() {
        let (promise, mut wait) = Promise::new();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut wait).poll(&mut context).is_pending());
        assert!(promise.is_awaited());
        promise.fulfil(7);
        assert_eq!(Pin::new(&mut wait).poll(&mut context), Poll::Ready(7));
        assert!(Pin::new(&mut wait).poll(&mut context).is_pending());
    }

    #[test]
    fn what_nobody_waits_for_is_dropped() {
        let owned = Arc::new(());
        let (promise, wait) = Promise::new();
        drop(wait);
        assert!(!promise.is_awaited());
        promise.fulfil(Arc::clone(&owned));
        let (promise, wait) = Promise::new();
        promise.fulfil(Arc::clone(&owned));
        drop(wait);
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}
