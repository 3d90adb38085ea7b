//! Where a node's records are kept, and how they are opened.

use super::daemon::NodeError;
use super::standby::{Standby, StandbySettings};
use crate::store::postgres::{Address, PostgresSettings};
use crate::store::{
    EmbeddedStore, MasterKeyChoice, MasterKeyPlace, PostgresStore, Rollback, Store, StoreError,
};
use bellwether_network::Network;
use bellwether_protocol::keys::delivery::Memory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Where a node's records are kept.
#[derive(Clone, Debug, Default)]
pub enum StorePlace {
    /// In a file in the node's folder.
    #[default]
    Embedded,
    /// In a PostgreSQL database, which several replicas of the node can share.
    Postgres(Box<Address>),
}

/// How a node's records are kept.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Where.
    pub place: StorePlace,
    /// What opens them; without it, `master.key` in the node's folder, which is made together with the store.
    pub master: Option<MasterKeyPlace>,
    /// The folder of the store's witness, in which it is called `NODE.witness`; without it, `witness` in the node's
    /// folder. It notices an old copy of the store only where it is not put back together with it.
    pub witness: Option<PathBuf>,
    /// What to do if they are older than their witness.
    pub rollback: Rollback,
}

/// An open store, and whether it may be older than what was done.
pub(super) type Opened = (Arc<dyn Store>, Memory);

impl Records {
    /// Opens the store of the node of this name in its folder.
    pub(super) async fn open_embedded(&self, folder: PathBuf, node: &str) -> Result<Opened, NodeError> {
        let (master, rollback) = (self.master_of(&folder), self.rollback);
        let witness = self.witness_of(&folder, node);
        let opened = tokio::task::spawn_blocking(move || {
            let file = folder.join("store.redb");
            let master = master.open(file.exists())?;
            EmbeddedStore::open(&file, &witness, &master, rollback)
        });
        let store = opened.await.map_err(|_| StoreError::Closed)??;
        let memory = memory(store.rolled_back());
        Ok((Arc::new(store), memory))
    }

    /// Waits until this replica leads, standing by for callers meanwhile, and opens the store in the database.
    pub(super) async fn open_database(
        &self,
        address: &Address,
        name: &str,
        folder: &Path,
        standby: StandbySettings,
    ) -> Result<Opened, NodeError> {
        let settings = PostgresSettings {
            address: address.clone(),
            name: name.to_owned(),
            witness: self.witness_of(folder, &standby.node),
            rollback: self.rollback,
        };
        let (tell, told) = oneshot::channel();
        let stands_by = move || {
            // Whoever started the node may have given up.
            let _ = tell.send(());
        };
        let mut opening = Box::pin(PostgresStore::open(settings, self.master_of(folder), stands_by));
        let store = tokio::select! {
            biased;
            store = &mut opening => store?,
            Ok(()) = told => {
                let standby = Standby::start(standby).await?;
                let store = opening.await;
                standby.end().await;
                store?
            }
        };
        let memory = memory(store.rolled_back());
        Ok((Arc::new(store), memory))
    }

    fn witness_of(&self, folder: &Path, node: &str) -> PathBuf {
        match &self.witness {
            Some(elsewhere) => elsewhere.join(format!("{node}.witness")),
            None => folder.join("witness"),
        }
    }

    fn master_of(&self, folder: &Path) -> MasterKeyChoice {
        match &self.master {
            Some(place) => MasterKeyChoice::Named(place.clone()),
            None => MasterKeyChoice::Own(folder.join("master.key")),
        }
    }
}

/// The name of a node's store in a database.
pub(super) fn store_name(network: &Network, node: &str) -> String {
    format!("{}/{node}", network.name)
}

fn memory(rolled_back: bool) -> Memory {
    if rolled_back { Memory::Doubtful } else { Memory::Current }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Space};
    use std::fs;
    use zeroize::Zeroizing;

    async fn write(records: &Records, folder: &Path, value: u8) -> Result<Memory, NodeError> {
        let (store, memory) = records.open_embedded(folder.to_owned(), "A").await?;
        let value = Zeroizing::new(vec![value]);
        let change = Change::Put { space: Space::Delivery, key: vec![1], value };
        store.commit(vec![change]).await.unwrap();
        Ok(memory)
    }

    /// The folder as a backup has it: its files, put back where they were.
    fn put_back(backup: &[(PathBuf, Vec<u8>)]) {
        backup.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }

    fn backup(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    #[tokio::test]
    async fn a_folder_that_is_put_back_is_noticed_by_a_witness_elsewhere_alone() {
        let place = tempfile::tempdir().unwrap();
        for elsewhere in [true, false] {
            let folder = place.path().join(if elsewhere { "A" } else { "B" });
            fs::create_dir(&folder).unwrap();
            let witness = elsewhere.then(|| place.path().join("another-disk"));
            let records = Records { witness, ..Records::default() };
            write(&records, &folder, 1).await.unwrap();
            let old = backup(&folder);
            write(&records, &folder, 2).await.unwrap();
            assert_eq!(folder.join("witness").exists(), !elsewhere);
            assert!(place.path().join("another-disk/A.witness").exists());
            put_back(&old);
            let again = write(&records, &folder, 3).await;
            if !elsewhere {
                // The witness was put back with the store, and tells what the store tells.
                assert!(matches!(again, Ok(Memory::Current)), "{:?}", again.err());
                continue;
            }
            assert!(
                matches!(again, Err(NodeError::Store(StoreError::RolledBack { .. }))),
                "{:?}",
                again.err()
            );
            let accepting = Records { rollback: Rollback::Accept, ..records };
            assert!(matches!(write(&accepting, &folder, 3).await, Ok(Memory::Doubtful)));
        }
    }
}
