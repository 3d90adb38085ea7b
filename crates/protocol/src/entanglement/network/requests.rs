//! The requests at the head of a circuit: how many pairs each still wants, and which are under way.

use super::api::{PairRequest, RequestEnd};
use super::message::RequestId;
use bellwether_units::Time;

#[derive(Debug)]
struct Open {
    request: PairRequest,
    /// Halves that are given to it and not confirmed.
    under_way: u64,
    delivered: u64,
    /// It wants no more, and ends when nothing is under way: the other end may have counted on that already.
    closing: Option<RequestEnd>,
}

impl Open {
    fn wants(&self) -> bool {
        let more = self.request.pairs.is_none_or(|pairs| self.delivered + self.under_way < pairs);
        more && self.closing.is_none()
    }
    fn end(&self) -> Option<RequestEnd> {
        let done = self.request.pairs.is_some_and(|pairs| self.delivered >= pairs);
        let end = if done { Some(RequestEnd::Done) } else { self.closing };
        end.filter(|_| self.under_way == 0)
    }
}

/// The requests at the head of a circuit.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// In the order of their numbers.
    open: Vec<Open>,
    /// Some may be over.
    changed: bool,
}

impl Requests {
    fn place(&self, request: RequestId) -> Result<usize, usize> {
        self.open.binary_search_by_key(&request, |open| open.request.id)
    }
    fn get(&mut self, request: RequestId) -> Option<&mut Open> {
        self.place(request).ok().map(|place| &mut self.open[place])
    }

    /// Takes a request on, unless its number is in use.
    pub(super) fn add(&mut self, request: PairRequest) -> bool {
        let Err(place) = self.place(request.id) else { return false };
        self.open.insert(place, Open { request, under_way: 0, delivered: 0, closing: None });
        self.changed = true;
        true
    }

    /// The request for which the next pair is: the oldest that wants one.
    pub(super) fn assign(&mut self) -> Option<RequestId> {
        let open = self.open.iter_mut().find(|open| open.wants())?;
        open.under_way += 1;
        Some(open.request.id)
    }
    /// A pair that was given to it came to nothing.
    pub(super) fn unassign(&mut self, request: RequestId) {
        if let Some(open) = self.get(request) {
            open.under_way -= 1;
            self.changed = true;
        }
    }
    pub(super) fn delivered(&mut self, request: RequestId) {
        if let Some(open) = self.get(request) {
            open.under_way -= 1;
            open.delivered += 1;
            self.changed = true;
        }
    }
    /// A pair that was delivered is revoked.
    pub(super) fn take_back(&mut self, request: RequestId) {
        if let Some(open) = self.get(request) {
            open.delivered -= 1;
        }
    }

    /// Whether its halves are handed out early, and whether the tail turns them.
    pub(super) fn manner(&self, request: RequestId) -> (bool, bool) {
        let open = self.place(request).map(|place| &self.open[place]);
        open.map_or((false, false), |open| (open.request.early, open.request.correct))
    }

    /// It wants no more pairs.
    pub(super) fn close(&mut self, request: RequestId, end: RequestEnd) {
        if let Some(open) = self.get(request) {
            open.closing = open.closing.or(Some(end));
            self.changed = true;
        }
    }
    /// Those whose time is up want no more.
    pub(super) fn close_due(&mut self, now: Time) {
        for open in &mut self.open {
            if open.closing.is_none() && open.request.until.is_some_and(|until| until <= now) {
                open.closing = Some(RequestEnd::TimeOut);
                self.changed = true;
            }
        }
    }
    /// Takes a request that is over, with how many pairs it had.
    pub(super) fn take_over(&mut self) -> Option<(RequestId, u64, RequestEnd)> {
        if !self.changed {
            return None;
        }
        let over = self.open.iter().enumerate().find_map(|(place, open)| Some((place, open.end()?)));
        let Some((place, end)) = over else {
            self.changed = false;
            return None;
        };
        let open = self.open.remove(place);
        Some((open.request.id, open.delivered, end))
    }
    /// Those that want pairs.
    pub(super) fn wanting(&self) -> impl Iterator<Item = RequestId> {
        self.open.iter().filter(|open| open.closing.is_none()).map(|open| open.request.id)
    }
    pub(super) fn all(&self) -> Vec<RequestId> {
        self.open.iter().map(|open| open.request.id).collect()
    }
    /// When the first runs out of time; the latest of all times if none does.
    pub(super) fn deadline(&self) -> Time {
        let running = self.open.iter().filter(|open| open.closing.is_none());
        running.filter_map(|open| open.request.until).fold(Time::MAX, Time::min)
    }
}
