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
    /// What to do if they are older than their witness.
    pub rollback: Rollback,
}

/// An open store, and whether it may be older than what was done.
pub(super) type Opened = (Arc<dyn Store>, Memory);

impl Records {
    /// Opens the store in a node's folder.
    pub(super) async fn open_embedded(&self, folder: PathBuf) -> Result<Opened, NodeError> {
        let (master, rollback) = (self.master_of(&folder), self.rollback);
        let opened = tokio::task::spawn_blocking(move || {
            let file = folder.join("store.redb");
            let master = master.open(file.exists())?;
            EmbeddedStore::open(&file, &folder.join("witness"), &master, rollback)
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
            witness: folder.join("witness"),
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
