//! Commands that run a network live, or speak to one that runs.

pub(super) mod audit;
pub(super) mod inject;
pub(super) mod key;
pub(super) mod part;
pub(super) mod pki;
pub(super) mod record;
pub(super) mod status;
pub(super) mod tunnel;
pub(super) mod up;
pub(super) mod wireguard;

use crate::Failure;
use crate::args::Keeping;
use bellwether_live::directory::{self, Applications};
use bellwether_live::identity::Role;
use bellwether_live::node::records::{Records, StorePlace};
use bellwether_live::process::runtime;
use bellwether_live::state::State;
use bellwether_live::store::MasterKeyPlace;
use bellwether_live::store::postgres::Address;
use bellwether_network::Network;
use std::path::Path;

/// The state directory: as it was typed, or the network's own.
pub(crate) fn state_of(network: &Network, typed: Option<&Path>) -> State {
    typed.map_or_else(|| State::of_network(network), State::at)
}

/// Runs what is asynchronous to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime::block_on(future).map_err(Failure::live)?
}

/// How records are kept, as it was typed.
fn records(keeping: &Keeping) -> Result<Records, Failure> {
    let place = match &keeping.store {
        None => StorePlace::Embedded,
        Some(address) => StorePlace::Postgres(Box::new(Address::new(address).map_err(Failure::input)?)),
    };
    let master = keeping.master_key.as_deref().map(str::parse::<MasterKeyPlace>).transpose();
    let (master, witness) = (master.map_err(Failure::input)?, keeping.witness.clone());
    Ok(Records { place, master, witness, ..Records::default() })
}

fn applications(network: &Network) -> Result<Applications, Failure> {
    directory::applications(network).map_err(Failure::input)
}

/// Refuses to go on without this identity, and tells where to get it.
fn require_identity(state: &State, role: Role, name: &str) -> Result<(), Failure> {
    let path = state.identities().certificate(role, name).map_err(Failure::input)?;
    if path.exists() {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "there is no certificate of {role} `{name}` ({} is missing): `bellwether pki` makes it, and with --export \
         copies it for another host; --state names the state directory",
        path.display()
    )))
}
