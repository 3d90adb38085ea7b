//! A node's ends of links: from devices and sockets to blocks in the node's pools.

use super::keys::Keys;
use super::link::{Clock, KeepError, Keeper, LinkEnd, LinkEndError, Notice, Progress, drive};
use crate::emulation::Dialler;
use crate::hardware::replay::{Pace, ReplayError, replay_link};
use crate::hardware::{LinkHardware, Side};
use crate::random::SystemRandom;
use crate::state::{State, StateError};
use crate::store::{Change, Space, Store, StoreError};
use crate::transport::{Channel, Transport};
use bellwether_network::{Link, Network};
use bellwether_protocol::keys::LinkCondition;
use bellwether_protocol::qkd::alarm::{Alarm, Trust};
use bellwether_protocol::qkd::session::{BlockReport, Durable};
use bellwether_protocol::qkd::wire::Malformed;
use bellwether_sim::emulator::link_settings;
use bellwether_sim::run::RunError;
use bellwether_units::{LinkId, NodeId};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};

/// The one record of a link end's space.
const RECORD: &[u8] = b"end";

/// Why an end of a link cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Its settings.
    #[error("link `{link}`: {problem}")]
    Settings {
        /// Which.
        link: String,
        /// What is wrong.
        problem: RunError,
    },
    /// Its first secret.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was kept of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was kept of it is not readable.
    #[error("what the store keeps of link `{link}` cannot be read: {problem}")]
    Kept {
        /// Which.
        link: String,
        /// What is wrong.
        problem: Malformed,
    },
    /// The recording that stands in for its devices.
    #[error("link `{link}`: {problem}")]
    Recording {
        /// Which.
        link: String,
        /// What is wrong.
        problem: ReplayError,
    },
    /// The machine stopped.
    #[error("link `{link}`: {problem}")]
    End {
        /// Which.
        link: String,
        /// Why.
        problem: LinkEndError,
    },
}

/// What a link tells the node's listeners: alarms, blocks and conditions, never key.
#[derive(Clone, Debug)]
pub enum LinkNews {
    /// A block ended.
    Block(Box<BlockReport>),
    /// Something is wrong.
    Alarm(Box<Alarm>),
    /// Whether its key may be used has changed.
    Condition(LinkCondition),
    /// Windows that its devices lost so far because they were not taken in time.
    Lost(u64),
    /// How far the block is that is being gathered.
    Progress(Progress),
    /// Whether a session with the other end is open.
    Session(Option<u64>),
    /// Whether this end sees the other's light.
    Light(bool),
    /// Whether its devices answer.
    Devices(bool),
}

/// What all ends of a node share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) network: Arc<Network>,
    pub(super) node: NodeId,
    pub(super) state: State,
    pub(super) store: Arc<dyn Store>,
    pub(super) transport: Arc<Transport>,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) news: broadcast::Sender<(LinkId, LinkNews)>,
}

/// The devices at `node`'s end of a link: those of the emulated light, or a recording, of which a path that is not
/// absolute is found from `folder`.
///
/// # Errors
/// If the recording cannot be played.
fn hardware(
    network: &Network,
    node: NodeId,
    link: &Link,
    folder: &Path,
    devices: &Dialler,
) -> Result<LinkHardware, LinkError> {
    let side = if link.transmitter_at == node { Side::Transmitter } else { Side::Receiver };
    let Some(recording) = &link.recording else { return Ok(devices.devices(side, &link.name)) };
    let path = folder.join(match side {
        Side::Transmitter => &recording.transmitter,
        Side::Receiver => &recording.receiver,
    });
    let pace = Pace::WallClock { head_start: network.live.head_start };
    tracing::info!(link = link.name, file = %path.display(), "a recording stands in for the {side}");
    replay_link(&path, side, pace, link)
        .map_err(|problem| LinkError::Recording { link: link.name.clone(), problem })
}

/// The same of all links that end at `node`.
pub(super) fn all_hardware(
    network: &Network,
    node: NodeId,
    folder: &Path,
    devices: &Dialler,
) -> Result<Vec<(LinkId, LinkHardware)>, LinkError> {
    let links = (0..).map(LinkId).zip(&network.links);
    let ours = links.filter(|(_, link)| [link.transmitter_at, link.receiver_at].contains(&node));
    ours.map(|(id, link)| Ok((id, hardware(network, node, link, folder, devices)?))).collect()
}

/// Runs one end of `id` with these devices until it fails or the node stops.
pub(super) async fn run(shared: Shared, id: LinkId, hardware: LinkHardware) -> Result<(), LinkError> {
    let link = shared.network.link(id);
    let (side, peer) = match link.transmitter_at == shared.node {
        true => (Side::Transmitter, link.receiver_at),
        false => (Side::Receiver, link.transmitter_at),
    };
    let settings = link_settings(&shared.network, id)
        .map_err(|problem| LinkError::Settings { link: link.name.clone(), problem })?;
    let kept = shared.store.load(Space::Link(id)).await?;
    let durable = match kept.iter().find(|(key, _)| key == RECORD) {
        Some((_, value)) => {
            Durable::decode(value).map_err(|problem| LinkError::Kept { link: link.name.clone(), problem })?
        }
        None => shared.state.link_secret(link)?,
    };
    let mut arrived = shared.transport.register(Channel::Qkd(id));
    let (frames_in, frames) = mpsc::channel(64);
    let transport = Arc::clone(&shared.transport);
    let (notices_in, notices) = mpsc::channel(64);
    let end = LinkEnd {
        side,
        settings,
        durable,
        hardware,
        frames,
        send: Box::new(move |bytes| {
            // A peer that is away gets it again: the machine sends until it is heard.
            let _ = transport.send(peer, Channel::Qkd(id), bytes);
        }),
        keeper: Arc::new(InStore { store: Arc::clone(&shared.store), link: id }),
        notices: notices_in,
        random: Box::new(SystemRandom::new()),
        clock: shared.clock,
        transcript: None,
    };
    let forward = async {
        while let Some(frame) = arrived.recv().await {
            // Only the other end has a say on a link.
            if frame.from == peer && frames_in.send(frame.bytes).await.is_err() {
                return;
            }
        }
    };
    let name = link.name.clone();
    tokio::select! {
        ended = drive(end) => ended.map_err(|problem| LinkError::End { link: name, problem }),
        () = forward => Ok(()),
        () = listen(&shared, id, notices) => Ok(()),
    }
}

/// Passes on what the end tells: keys to the pools, the rest to whoever listens.
async fn listen(shared: &Shared, id: LinkId, mut notices: mpsc::Receiver<Notice>) {
    let link = &shared.network.link(id).name;
    let mut view = View::default();
    while let Some(notice) = notices.recv().await {
        let news = match notice {
            Notice::Key { block, key, .. } => {
                shared.keys.store_block(id, block, key).await;
                continue;
            }
            Notice::Block(block) => {
                tracing::debug!(link, block = %block.block, round_trips = block.round_trips, key_bits = block.key_bits, "a block ended");
                view.trust.block(block.ended, block.key_bits > 0);
                LinkNews::Block(block)
            }
            Notice::Alarm(alarm) => {
                tracing::warn!(link, kind = alarm.kind.name(), "{}", alarm.kind);
                if alarm.kind.marks_link() {
                    view.trust.mark(alarm.at);
                }
                LinkNews::Alarm(alarm)
            }
            Notice::Light(seen) => {
                view.dark = !seen;
                if !seen {
                    tracing::warn!(link, "no light: the fibre is cut, or the other end's devices are off");
                }
                LinkNews::Light(seen)
            }
            Notice::Connected { session } => LinkNews::Session(Some(session)),
            Notice::Disconnected { .. } => LinkNews::Session(None),
            Notice::Lost(windows) => LinkNews::Lost(windows),
            Notice::Progress(progress) => LinkNews::Progress(progress),
            Notice::Devices { .. } => LinkNews::Devices(true),
            Notice::DevicesAway => LinkNews::Devices(false),
            Notice::Skipped { .. } => continue,
        };
        // Nobody needs to listen.
        let _ = shared.news.send((id, news));
        if let Some(condition) = view.changed() {
            tracing::info!(link, ?condition, "the link's condition");
            shared.keys.link_condition(id, condition).await;
            let _ = shared.news.send((id, LinkNews::Condition(condition)));
        }
    }
}

/// What this end knows of its link.
#[derive(Default)]
struct View {
    dark: bool,
    trust: Trust,
    told: LinkCondition,
}

impl View {
    /// The condition, if it is another than last time.
    fn changed(&mut self) -> Option<LinkCondition> {
        let condition = match (self.dark, self.trust.is_marked()) {
            (true, _) => LinkCondition::Cut,
            (false, true) => LinkCondition::Alarmed,
            (false, false) => LinkCondition::Up,
        };
        (core::mem::replace(&mut self.told, condition) != condition).then_some(condition)
    }
}

struct InStore {
    store: Arc<dyn Store>,
    link: LinkId,
}

impl Keeper for InStore {
    fn keep(&self, record: Durable) -> Pin<Box<dyn Future<Output = Result<(), KeepError>> + Send + '_>> {
        let change =
            Change::Put { space: Space::Link(self.link), key: RECORD.to_vec(), value: record.encode() };
        let commit = self.store.commit(vec![change]);
        Box::pin(async move { commit.await.map_err(|error| KeepError(error.to_string())) })
    }
}
