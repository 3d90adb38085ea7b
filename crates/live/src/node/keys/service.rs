//! Applications' questions to the task.

use super::task::Order;
use super::{BACKLOG_LIMIT, Keys};
use crate::interface::service::{DecKeysWanted, EncKeysWanted, KeyService};
use bellwether_protocol::keys::delivery::{ApplicationKey, DeliveryError, PairStatus, SaeName};
use bellwether_units::NodeId;
use tokio::sync::oneshot;

impl Keys {
    /// Asks at once or not at all: what waits is bounded, and whoever would wait longer is told so.
    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, DeliveryError>>) -> Order,
    ) -> Result<T, DeliveryError> {
        if self.store.backlog() > BACKLOG_LIMIT {
            return Err(DeliveryError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(order(reply)).map_err(|_| DeliveryError::Busy)?;
        // Without an answer the task has stopped; what was taken is reported as lost when it starts again.
        answer.await.unwrap_or(Err(DeliveryError::Busy))
    }
}

impl KeyService for Keys {
    async fn enc_keys(&self, wanted: EncKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let bits = wanted.bits.unwrap_or(self.key_bits);
        self.ask(|reply| Order::Enc { wanted, bits, reply }).await
    }

    async fn dec_keys(&self, wanted: DecKeysWanted) -> Result<Vec<ApplicationKey>, DeliveryError> {
        self.ask(|reply| Order::Dec { wanted, reply }).await
    }

    async fn status(&self, caller: &SaeName, slave: &SaeName) -> Result<PairStatus, DeliveryError> {
        let (caller, slave) = (caller.clone(), slave.clone());
        self.ask(|reply| Order::Status { caller, slave, reply }).await
    }

    fn node_name(&self, node: NodeId) -> String {
        self.names.get(node.index()).cloned().unwrap_or_else(|| node.to_string())
    }
}
