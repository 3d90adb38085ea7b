//! Keys for an application that shares them with one other: asked for, and held to what the application wants.

use super::client::{Client, ClientError, Key, patiently};
use bellwether_protocol::keys::KeyId;
use serde_json::Value;
use std::time::Duration;

/// How long the keys are that an application asks for, in bits.
const BITS: u32 = 256;

/// Why there is no key that could be used.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It was not got.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It rests on post-quantum cryptography alone.
    #[error(
        "key {0} has no quantum part, since no quantum key can be had; --allow-post-quantum-only takes such keys"
    )]
    PostQuantumOnly(KeyId),
    /// The key manager gave something else.
    #[error("the key manager gave no key of {BITS} bits under the name that was asked for")]
    Unfit,
}

/// Where an application gets the keys that it shares with another.
pub struct Supply {
    /// Its key manager.
    pub client: Client,
    /// The other application.
    pub peer: String,
    /// Whether keys without a quantum part are used. A key manager of Bellwether marks them.
    pub post_quantum_only: bool,
    /// How long the key manager is asked again while it has too little key or cannot be reached.
    pub patience: Duration,
}

impl Supply {
    /// A fresh key; the other application collects it by its name.
    ///
    /// # Errors
    /// See [`SupplyError`].
    pub async fn fresh(&self) -> Result<Key, SupplyError> {
        let keys = patiently(self.patience, || self.client.get(&self.peer, 1, Some(BITS))).await?;
        self.fit(keys, None)
    }

    /// The key of this name, which the other application got before.
    ///
    /// # Errors
    /// See [`SupplyError`].
    pub async fn named(&self, id: KeyId) -> Result<Key, SupplyError> {
        let names = [id.to_string()];
        let keys = patiently(self.patience, || self.client.get_by_id(&self.peer, &names)).await?;
        self.fit(keys, Some(id))
    }

    fn fit(&self, mut keys: Vec<Key>, id: Option<KeyId>) -> Result<Key, SupplyError> {
        let key = keys.pop().filter(|key| {
            keys.is_empty() && key.key.len() == BITS as usize && id.is_none_or(|id| key.id == id)
        });
        let key = key.ok_or(SupplyError::Unfit)?;
        if is_post_quantum_only(&key) && !self.post_quantum_only {
            return Err(SupplyError::PostQuantumOnly(key.id));
        }
        Ok(key)
    }
}

/// Whether the key manager marked the key as one without a quantum part.
pub fn is_post_quantum_only(key: &Key) -> bool {
    let protection = key.extension.as_ref().and_then(|extension| extension.get("bellwether_protection"));
    protection.and_then(Value::as_str) == Some("post-quantum-only")
}
