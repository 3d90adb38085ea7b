//! Three nodes' keys over channels in memory: from blocks of the links to keys for applications.

use bellwether_live::interface::service::{DecKeysWanted, EncKeysWanted, KeyService};
use bellwether_live::node::keys::{Keys, KeysError, KeysEvent, KeysSettings, KeysState};
use bellwether_live::node::link::Clock;
use bellwether_live::random::SystemRandom;
use bellwether_live::store::{MemoryStore, Space, Store};
use bellwether_live::transport::{Arrived, Channel};
use bellwether_protocol::keys::delivery::{
    self, ApplicationKey, DeliveryError, Directory, Memory, PairPolicy, Protection, Requirement, SaeName,
};
use bellwether_protocol::keys::{KeyId, LinkCondition, SecretBits, Settings, Topology};
use bellwether_units::{BlockId, EntityId, LinkId, NodeId, Purpose, Stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

type Inlets = BTreeMap<NodeId, [mpsc::Sender<Arrived>; 2]>;

struct Running {
    keys: Keys,
    task: JoinHandle<Result<(), KeysError>>,
    events: broadcast::Receiver<Arc<KeysEvent>>,
}

struct Line {
    stores: Vec<Arc<MemoryStore>>,
    nodes: Vec<Option<Running>>,
    inlets: Arc<Mutex<Inlets>>,
    topology: Arc<Topology>,
    directory: Arc<Directory>,
    clock: Clock,
    blocks: u64,
}

fn name(text: &str) -> SaeName {
    text.parse().unwrap()
}

impl Line {
    /// A–B–C, with applications `a` and `c` at the ends, and `stranger` that nobody may share keys with.
    async fn new(requirement: Requirement, stores: [MemoryStore; 3]) -> Self {
        let topology = Topology::new(3, &[(NodeId(0), NodeId(1)), (NodeId(1), NodeId(2))]).unwrap();
        let mut directory = Directory::default();
        directory.add_application(name("a"), NodeId(0), None).unwrap();
        directory.add_application(name("c"), NodeId(2), None).unwrap();
        directory.add_application(name("stranger"), NodeId(2), None).unwrap();
        let policy = PairPolicy { requirement, ..PairPolicy::default() };
        directory.allow(&name("a"), &name("c"), policy).unwrap();
        let mut line = Self {
            stores: stores.map(Arc::new).into(),
            nodes: vec![None, None, None],
            inlets: Arc::default(),
            topology: Arc::new(topology),
            directory: Arc::new(directory),
            clock: Clock::start(),
            blocks: 0,
        };
        for node in [A, B, C] {
            line.start(node, Memory::Current).await;
        }
        line
    }

    async fn start(&mut self, node: usize, memory: Memory) {
        let from = NodeId(node as u32);
        let (relay, relay_frames) = mpsc::channel(4096);
        let (delivery, delivery_frames) = mpsc::channel(4096);
        self.inlets.lock().unwrap().insert(from, [relay, delivery]);
        let inlets = Arc::clone(&self.inlets);
        let send = move |to: NodeId, channel: Channel, bytes: Vec<u8>| {
            if let Some(inlets) = inlets.lock().unwrap().get(&to) {
                // A node that is away loses it.
                let _ = inlets[usize::from(channel == Channel::Delivery)]
                    .try_send(Arrived::within_process(from, channel, bytes));
            }
        };
        let settings = KeysSettings {
            node: from,
            topology: Arc::clone(&self.topology),
            relay: Settings::default(),
            delivery: delivery::Settings::default(),
            directory: Arc::clone(&self.directory),
            store: Arc::clone(&self.stores[node]) as Arc<dyn Store>,
            memory,
            clock: self.clock,
            random: Box::new(SystemRandom::new()),
            send: Box::new(send),
            names: ["A", "B", "C"].map(str::to_owned).into(),
        };
        let (keys, task) = Keys::start(settings, relay_frames, delivery_frames).await.unwrap();
        let task = tokio::spawn(task);
        let events = keys.subscribe();
        self.nodes[node] = Some(Running { keys, task, events });
    }

    async fn crash(&mut self, node: usize) {
        // The handle lives on until the task is gone: without any the task would end in order.
        let Running { keys, task, .. } = self.nodes[node].take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(keys);
        self.inlets.lock().unwrap().remove(&NodeId(node as u32));
        self.stores[node] = Arc::new(self.stores[node].crash(0));
    }

    fn keys(&self, node: usize) -> &Keys {
        &self.nodes[node].as_ref().unwrap().keys
    }

    /// One more block at both ends of both links.
    async fn fill(&mut self) {
        let mut stream = Stream::new(self.blocks, EntityId(0), Purpose::named("blocks of a test"));
        for link in 0..2 {
            let key = SecretBits::random(1 << 16, &mut stream);
            for end in [link, link + 1] {
                let link = LinkId(link as u32);
                self.keys(end).store_block(link, BlockId(self.blocks), key.duplicate()).await;
            }
        }
        self.blocks += 1;
    }

    async fn until(&self, node: usize, what: &str, is: impl Fn(&KeysState) -> bool) {
        let wait = async {
            while !is(&self.keys(node).state().await) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let came = timeout(Duration::from_secs(60), wait).await;
        assert!(came.is_ok(), "never {what}: {:?}", self.keys(node).state().await);
    }

    async fn until_stocked(&self) {
        self.until(A, "stock at A", |state| state.peers.iter().any(|peer| peer.met && peer.bits >= 64 * 256))
            .await;
    }

    async fn enc(&self, slave: &str, number: u32) -> Result<Vec<ApplicationKey>, DeliveryError> {
        enc(self.keys(A), slave, number).await
    }

    async fn dec(&self, ids: Vec<KeyId>) -> Result<Vec<ApplicationKey>, DeliveryError> {
        let wanted = DecKeysWanted { caller: name("c"), master: name("a"), ids };
        self.keys(C).dec_keys(wanted).await
    }

    fn events(&mut self, node: usize) -> Vec<Arc<KeysEvent>> {
        let events = &mut self.nodes[node].as_mut().unwrap().events;
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    }
}

async fn enc(keys: &Keys, slave: &str, number: u32) -> Result<Vec<ApplicationKey>, DeliveryError> {
    let (caller, slave) = (name("a"), name(slave));
    keys.enc_keys(EncKeysWanted { caller, slave, additional: vec![], number, bits: None }).await
}

fn ids(keys: &[ApplicationKey]) -> Vec<KeyId> {
    keys.iter().map(|key| key.id).collect()
}

fn assert_same(ours: &[ApplicationKey], theirs: &[ApplicationKey]) {
    assert_eq!(ids(ours), ids(theirs));
    assert!(ours.iter().zip(theirs).all(|(a, b)| a.key == b.key && a.key.len() == 256));
}

fn fresh() -> [MemoryStore; 3] {
    std::array::from_fn(|_| MemoryStore::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_at_the_ends_of_a_line_share_hybrid_keys_once() {
    let mut line = Line::new(Requirement::Both, fresh()).await;
    line.fill().await;
    line.until_stocked().await;
    let given = line.enc("c", 3).await.unwrap();
    assert_eq!(given.len(), 3);
    for key in &given {
        assert_eq!(key.protection, Protection::Hybrid);
        assert_eq!(key.nodes, [0, 1, 2].map(NodeId));
    }
    let collected = line.dec(ids(&given)).await.unwrap();
    assert_same(&given, &collected);
    assert_eq!(line.dec(ids(&given)).await.unwrap_err(), DeliveryError::NotFound);
    assert_eq!(line.enc("stranger", 1).await.unwrap_err(), DeliveryError::NotAllowed);
    let status = line.keys(A).status(&name("a"), &name("c")).await.unwrap();
    assert_eq!((status.source, status.target, status.key_size), (NodeId(0), NodeId(2), 256));
    assert!(status.stored_key_count > 0);
    assert_eq!(line.keys(A).node_name(NodeId(1)), "B");
    let told = line.events(A);
    let has = |is: fn(&KeysEvent) -> bool| told.iter().any(|event| is(event));
    assert!(has(|e| matches!(e, KeysEvent::QuantumKey { peer: NodeId(2), nodes, .. } if nodes.len() == 3)));
    assert!(has(|e| matches!(
        e,
        KeysEvent::Delivery(delivery::Event::Audit(delivery::Audit::Issued { .. }))
    )));
    assert!(line.events(B).iter().any(|e| matches!(&**e, KeysEvent::Relay(relay)
        if format!("{relay:?}").starts_with("Relayed"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_between_asking_and_collecting_lose_nothing() {
    let mut line = Line::new(Requirement::Both, fresh()).await;
    line.fill().await;
    line.until_stocked().await;
    let first = line.enc("c", 2).await.unwrap();
    line.crash(C).await;
    // This one's announcement finds nobody.
    let second = line.enc("c", 2).await.unwrap();
    line.start(C, Memory::Current).await;
    line.until(C, "four keys at C", |state| state.pending == 4).await;
    assert_same(&first, &line.dec(ids(&first)).await.unwrap());
    // And the master's node: what it had announced stands, and its stock is used on where it was left.
    line.crash(A).await;
    line.start(A, Memory::Current).await;
    assert_same(&second, &line.dec(ids(&second)).await.unwrap());
    line.until_stocked().await;
    let third = line.enc("c", 2).await.unwrap();
    assert_same(&third, &line.dec(ids(&third)).await.unwrap());
    assert_eq!(line.dec(ids(&first)).await.unwrap_err(), DeliveryError::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_without_a_quantum_part_are_marked_while_a_link_is_cut() {
    let mut line = Line::new(Requirement::PostQuantumWhileDown, fresh()).await;
    for end in [A, B] {
        line.keys(end).link_condition(LinkId(0), LinkCondition::Cut).await;
    }
    let mut given = line.enc("c", 1).await;
    for _ in 0..10 {
        if given.is_ok() {
            break;
        }
        given = line.enc("c", 1).await;
    }
    let given = given.unwrap();
    assert_eq!(given[0].protection, Protection::PostQuantumOnly);
    let collected = line.dec(ids(&given)).await.unwrap();
    assert_same(&given, &collected);
    assert_eq!(collected[0].protection, Protection::PostQuantumOnly);
    let downgraded = |event: &Arc<KeysEvent>| {
        matches!(
            &**event,
            KeysEvent::Delivery(delivery::Event::Downgraded { peer: NodeId(2), reason: Some(_) })
        )
    };
    assert!(line.events(A).iter().any(downgraded));
    assert_eq!(line.keys(A).state().await.links[0].condition, LinkCondition::Cut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_leaves_before_its_taking_is_durable_and_few_commits_carry_many_answers() {
    let [_, b, c] = fresh();
    let mut line = Line::new(Requirement::Both, [MemoryStore::holding(), b, c]).await;
    let store = Arc::clone(&line.stores[A]);
    let writing = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let writer = tokio::spawn({
        let (store, writing) = (Arc::clone(&store), Arc::clone(&writing));
        async move {
            while writing.load(std::sync::atomic::Ordering::SeqCst) {
                store.make_durable(1);
                sleep(Duration::from_micros(200)).await;
            }
        }
    });
    line.fill().await;
    line.until_stocked().await;
    line.until(A, "rest", |state| state.commits == 0 && state.requests_pending == 0).await;
    writing.store(false, std::sync::atomic::Ordering::SeqCst);
    writer.await.unwrap();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let keys = line.keys(A).clone();
            tokio::spawn(async move { enc(&keys, "c", 1).await })
        })
        .collect();
    line.until(A, "all questions", |state| state.open_questions == 50).await;
    assert!(asking.iter().all(|asked| !asked.is_finished()));
    assert!(store.held() <= 2, "{} commits", store.held());
    let mut commits = 0;
    while !asking.iter().all(JoinHandle::is_finished) {
        commits += store.held().min(1);
        store.make_durable(1);
        sleep(Duration::from_millis(1)).await;
    }
    // Two that were under way, one with all the rest, and what the machine wants durable after.
    assert!(commits <= 20, "{commits} commits for fifty answers");
    let mut all = Vec::new();
    for asked in asking {
        all.extend(ids(&asked.await.unwrap().unwrap()));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 50, "fifty different keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_may_be_old_gives_no_key_that_it_held() {
    let mut line = Line::new(Requirement::Both, fresh()).await;
    line.fill().await;
    line.until_stocked().await;
    let before = line.enc("c", 1).await.unwrap();
    line.until(C, "a key at C", |state| state.pending == 1).await;
    line.crash(A).await;
    line.start(A, Memory::Doubtful).await;
    let state = line.keys(A).state().await;
    let held = state.links[0].account;
    assert_eq!((held.outgoing, held.incoming, held.unconfirmed), (0, 0, 0));
    assert!(held.burned > 0 && held.balances(), "{held:?}");
    let journal = line.stores[A].load(Space::Relay).await.unwrap();
    let bytes: usize = journal.iter().map(|(_, value)| value.len()).sum();
    assert!(bytes < (1 << 16) / 8, "the block of 8 KiB is not in the {bytes} bytes of the journal");
    // What was issued before stands at C, and fresh key makes fresh keys.
    assert_same(&before, &line.dec(ids(&before)).await.unwrap());
    line.fill().await;
    line.until_stocked().await;
    let after = line.enc("c", 1).await.unwrap();
    assert_same(&after, &line.dec(ids(&after)).await.unwrap());
}
