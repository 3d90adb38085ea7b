//! The TLS handshakes that are under way at a socket.
//!
//! Whoever opens connections and says nothing must not keep others out. When there are too many handshakes, one of those
//! from where most of them come makes room: the oldest, since a handshake of somebody who wants to come in takes
//! milliseconds. An IPv6 address counts as its network of 64 bits, of which one host may have them all.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The handshakes from one address, by their numbers: dropping what stands there tells one to end.
type OfOne = BTreeMap<u64, oneshot::Sender<()>>;

#[derive(Default)]
struct Places {
    next: u64,
    count: usize,
    taken: BTreeMap<IpAddr, OfOne>,
}

impl Places {
    fn remove(&mut self, from: IpAddr, number: u64) {
        let Some(of_one) = self.taken.get_mut(&from) else { return };
        self.count -= usize::from(of_one.remove(&number).is_some());
        if of_one.is_empty() {
            self.taken.remove(&from);
        }
    }

    /// The oldest of those from where most come; of several such addresses, the one with the oldest.
    fn in_the_way(&self) -> Option<(IpAddr, u64)> {
        let oldest = |of_one: &OfOne| of_one.first_key_value().map_or(u64::MAX, |(number, _)| *number);
        let most = self.taken.iter().max_by_key(|(_, one)| (one.len(), u64::MAX - oldest(one)))?;
        Some((*most.0, oldest(most.1)))
    }
}

/// All handshakes under way, of which there are at most so many.
pub(crate) struct Handshakes {
    most: usize,
    places: Mutex<Places>,
}

/// A handshake that counts as under way while this lives.
pub(crate) struct Handshake {
    from: IpAddr,
    number: u64,
    pushed_out: oneshot::Receiver<()>,
    all: Arc<Handshakes>,
}

/// Why a handshake did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// It went wrong, or the other side went away.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// It took too long.
    #[error("the handshake took too long")]
    Late,
    /// It had to make room for a newer one.
    #[error("the handshake had to make room for a newer one")]
    PushedOut,
}

impl Handshakes {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), places: Mutex::default() })
    }

    /// Begins one with whoever is at an address. If there are too many then, another is told to end; true if so.
    pub(crate) fn begin(self: &Arc<Self>, address: IpAddr) -> (Handshake, bool) {
        let from = network_of(address);
        let (sender, pushed_out) = oneshot::channel();
        let mut places = self.places();
        let in_the_way = if places.count < self.most { None } else { places.in_the_way() };
        if let Some((from, number)) = in_the_way {
            places.remove(from, number);
        }
        let number = places.next;
        places.next += 1;
        places.count += 1;
        places.taken.entry(from).or_default().insert(number, sender);
        (Handshake { from, number, pushed_out, all: Arc::clone(self) }, in_the_way.is_some())
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// Does it, for so long at most, and no longer than there is room for it.
    pub(crate) async fn done<T>(
        mut self,
        patience: Duration,
        handshake: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Unfinished> {
        tokio::select! {
            done = timeout(patience, handshake) => Ok(done.map_err(|_| Unfinished::Late)??),
            // Nothing is ever sent: what comes is the end of the sender.
            _ = &mut self.pushed_out => Err(Unfinished::PushedOut),
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.places().remove(self.from, self.number);
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(handshake: &mut Handshake) -> bool {
        handshake.pushed_out.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_of_too_many_makes_room() {
        let all = Handshakes::new(2);
        let begin = || all.begin([127, 0, 0, 1].into());
        let (mut first, full) = begin();
        assert!(!full);
        let (mut second, full) = begin();
        assert!(!full);
        let (third, full) = begin();
        assert!(full && ended(&mut first) && !ended(&mut second));
        // One that is done leaves its place to another.
        drop(third);
        let (_fourth, full) = begin();
        assert!(!full && !ended(&mut second));
        drop(first);
        let (_fifth, full) = begin();
        assert!(full && ended(&mut second));
    }

    #[test]
    fn whoever_has_most_makes_room_and_not_who_came_first() {
        let all = Handshakes::new(3);
        let (mut honest, _) = all.begin([192, 0, 2, 1].into());
        let mut crowd: Vec<_> = (0..100_u16)
            .map(|host| all.begin(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, host).into()))
            .collect();
        assert!(!ended(&mut honest));
        assert_eq!(crowd.iter_mut().filter_map(|(one, _)| (!ended(one)).then_some(())).count(), 2);
        drop(crowd);
        assert!(all.places().taken.len() == 1 && all.places().count == 1);
    }
}
