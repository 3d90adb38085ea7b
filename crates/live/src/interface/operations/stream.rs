//! The event stream: `text/event-stream` of the WHATWG HTML standard, section 9.2 (server-sent events).

use super::events::{Event, Next, Place};
use super::news::Kinds;
use super::observer::Observer;
use crate::interface::listener::stopped;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use hyper::body::{Body, Bytes, Frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{sleep, timeout};

/// How many events may wait for a connection to take them, besides those that the node keeps.
const AHEAD: usize = 64;
/// A comment is sent after so long without an event, so that both ends notice a connection that is gone.
const ALIVE: Duration = Duration::from_secs(15);
/// A reader that takes nothing for so long is gone.
const STALLED: Duration = Duration::from_secs(30);

/// The body of an answer that goes on.
pub(super) struct EventBody(mpsc::Receiver<Bytes>);

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Starts to stream the events of these kinds: those after `last`, or those from now on.
pub(super) fn start(
    observer: Arc<Observer>,
    last: Option<Place>,
    wanted: Kinds,
    stop: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) -> EventBody {
    let (lines, body) = mpsc::channel(AHEAD);
    let place = match last {
        Some(last) => observer.events().resume(last),
        None => observer.events().end(),
    };
    tokio::spawn(async move {
        feed(&observer, place, wanted, stop, &lines).await;
        drop(permit);
    });
    EventBody(body)
}

async fn feed(
    observer: &Observer,
    mut place: Place,
    wanted: Kinds,
    mut stop: watch::Receiver<bool>,
    lines: &mpsc::Sender<Bytes>,
) {
    let mut newest = observer.events().newest();
    // A reader that begins or comes back is told what it missed and goes on; one that falls behind later ends.
    let mut begins = true;
    let mut line = Some(Bytes::from_static(b"retry: 2000\n\n"));
    loop {
        if let Some(line) = line
            && !matches!(timeout(STALLED, lines.send(line)).await, Ok(Ok(())))
        {
            return;
        }
        newest.mark_unchanged();
        line = match observer.events().next(&mut place, wanted) {
            Next::Event(event) => Some(written(&event)),
            Next::Missed(missed) if begins => Some(Bytes::from(format!(": missed {missed} events\n\n"))),
            Next::Missed(missed) => {
                let last =
                    format!(": missed {missed} events, being slower than they come: connect again\n\n");
                // It is told if it still listens.
                let _ = timeout(STALLED, lines.send(Bytes::from(last))).await;
                return;
            }
            Next::Nothing => {
                begins = false;
                tokio::select! {
                    changed = newest.changed() => match changed {
                        Ok(()) => None,
                        Err(_) => return,
                    },
                    () = sleep(ALIVE) => Some(Bytes::from_static(b": alive\n\n")),
                    () = lines.closed() => return,
                    () = stopped(&mut stop) => return,
                }
            }
        };
    }
}

fn written(event: &Event) -> Bytes {
    Bytes::from(format!("id: {}\nevent: {}\ndata: {}\n\n", event.after, event.kind.name(), event.json))
}
