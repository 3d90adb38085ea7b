//! A store in memory, for tests: durable at once, or with commits held back so that a crash can lose them.

use super::{Answer, Change, Commit, Load, Space, Store, Waiter};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

type Durable = BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>;

/// A store that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    holds: bool,
}

#[derive(Default)]
struct Inner {
    durable: Durable,
    held: VecDeque<(Vec<Change>, Waiter<()>)>,
}

impl MemoryStore {
    /// A store in which every commit is durable at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store whose commits wait until [`MemoryStore::make_durable`].
    pub fn holding() -> Self {
        Self { holds: true, ..Self::default() }
    }

    /// How many commits are held.
    pub fn held(&self) -> usize {
        self.inner().held.len()
    }

    /// Makes the first `count` held commits durable and answers them.
    pub fn make_durable(&self, count: usize) {
        let mut inner = self.inner();
        for _ in 0..count {
            let Some((changes, answer)) = inner.held.pop_front() else { return };
            apply(&mut inner.durable, changes);
            // Whoever waited may be gone.
            let _ = answer.send(Ok(()));
        }
    }

    /// What a restart finds after a crash: what was durable, and the first `reached` of the commits that were
    /// held, as if the crash came after they reached the disk and before anybody was told. The others are lost.
    /// This store is empty afterwards, and those who wait for it read [`StoreError::Closed`](super::StoreError::Closed).
    pub fn crash(&self, reached: usize) -> Self {
        let Inner { mut durable, held } = std::mem::take(&mut *self.inner());
        for (changes, _unanswered) in held.into_iter().take(reached) {
            apply(&mut durable, changes);
        }
        Self { inner: Mutex::new(Inner { durable, held: VecDeque::new() }), holds: self.holds }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn commit(&self, changes: Vec<Change>) -> Commit {
        let mut inner = self.inner();
        if !self.holds {
            apply(&mut inner.durable, changes);
            return Commit(Answer::Now(Some(Ok(()))));
        }
        let (answer, receiver) = oneshot::channel();
        inner.held.push_back((changes, answer));
        Commit(Answer::Later(receiver))
    }

    fn load(&self, space: Space) -> Load {
        let inner = self.inner();
        let mut seen = inner.durable.clone();
        for (changes, _) in &inner.held {
            for change in changes {
                match change {
                    Change::Put { space, key, value } => seen.insert(space.place(key), value.clone()),
                    Change::Delete { space, key } => seen.remove(&space.place(key)),
                };
            }
        }
        let prefix = space.prefix();
        let records = seen
            .into_iter()
            .filter_map(|(place, value)| Some((place.strip_prefix(&prefix)?.to_vec(), value)))
            .collect();
        Load(Answer::Now(Some(Ok(records))))
    }

    fn backlog(&self) -> usize {
        let size = |change: &Change| match change {
            Change::Put { key, value, .. } => key.len() + value.len(),
            Change::Delete { key, .. } => key.len(),
        };
        self.inner().held.iter().flat_map(|(changes, _)| changes).map(size).sum()
    }
}

fn apply(durable: &mut Durable, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Put { space, key, value } => durable.insert(space.place(&key), value),
            Change::Delete { space, key } => durable.remove(&space.place(&key)),
        };
    }
}
