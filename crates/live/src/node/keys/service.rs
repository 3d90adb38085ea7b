//! Applications' questions to the task.

use super::task::Order;
use super::{BACKLOG_LIMIT, Keys};
use crate::interface::service::{DecKeysWanted, EncKeysWanted, KeyService, OpenStreamWanted, StreamService};
use bellwether_protocol::keys::delivery::{
    ApplicationKey, CloseStream, Command, DeliveryError, GetChunk, KeyStreamId, OpenStream, PairStatus,
    SaeName, StreamError, StreamReply, Ticket,
};
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

impl Keys {
    /// As [`ask`](Self::ask), about a stream.
    async fn call(
        &self,
        call: impl FnOnce(Ticket) -> Command + Send + 'static,
    ) -> Result<StreamReply, StreamError> {
        if self.store.backlog() > BACKLOG_LIMIT {
            return Err(StreamError::Busy);
        }
        let (reply, answer) = oneshot::channel();
        let order = Order::Stream { call: Box::new(call), reply };
        self.orders.try_send(order).map_err(|_| StreamError::Busy)?;
        answer.await.unwrap_or(Err(StreamError::Busy))
    }
}

impl StreamService for Keys {
    async fn open_stream(&self, wanted: OpenStreamWanted) -> Result<StreamReply, StreamError> {
        let OpenStreamWanted { caller, source, destination, stream, qos, waits_for_peer } = wanted;
        self.call(move |ticket| {
            Command::OpenStream(OpenStream {
                ticket,
                caller,
                source,
                destination,
                stream,
                qos,
                waits_for_peer,
            })
        })
        .await
    }

    async fn get_chunk(
        &self,
        caller: SaeName,
        stream: KeyStreamId,
        index: u32,
    ) -> Result<StreamReply, StreamError> {
        self.call(move |ticket| Command::GetChunk(GetChunk { ticket, caller, stream, index })).await
    }

    async fn close_stream(&self, caller: SaeName, stream: KeyStreamId) -> Result<StreamReply, StreamError> {
        self.call(move |ticket| Command::CloseStream(CloseStream { ticket, caller, stream })).await
    }
}
