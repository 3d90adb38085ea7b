//! Nodes over loopback: frames, peers that go away, stall, lie about who they are or send rubbish.

use bellwether_live::identity::{Authority, Identity, Layout, Role, SignatureKind, tls};
use bellwether_live::transport::frame::{PAYLOAD_LIMIT, head};
use bellwether_live::transport::{
    Arrived, Channel, Peer, SendError, Settings, Timing, Transport, TransportError,
};
use bellwether_units::{LinkId, NodeId};
use rustls::RootCertStore;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

/// Nothing here takes longer; what does has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short, so that stalls are seen quickly.
const TIMING: Timing = Timing {
    first_pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(200),
    handshake: Duration::from_secs(10),
    keep_alive: Duration::from_millis(300),
    stall: Duration::from_millis(1500),
    hand_over: Duration::from_millis(300),
};

struct World {
    _folder: TempDir,
    layout: Layout,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::under(folder.path());
        let authority =
            Authority::open_or_create(&layout, Role::Node, SignatureKind::of_role(Role::Node)).unwrap();
        Self { _folder: folder, layout, authority }
    }

    fn identity(&self, name: &str) -> Identity {
        self.authority.issue_in_memory(name, &[]).unwrap()
    }

    fn roots(&self) -> RootCertStore {
        self.layout.roots(Role::Node).unwrap()
    }

    fn start(&self, name: &str, listener: TcpListener, peers: &[(NodeId, &str, String)]) -> Transport {
        Transport::start(listener, self.settings(name, peers)).unwrap()
    }

    fn settings(&self, name: &str, peers: &[(NodeId, &str, String)]) -> Settings {
        let peer = |(node, name, address): &(NodeId, &str, String)| Peer {
            node: *node,
            name: (*name).to_owned(),
            address: address.clone(),
        };
        Settings {
            identity: self.identity(name),
            roots: self.roots(),
            peers: peers.iter().map(peer).collect(),
            queue_bytes: 20 << 20,
            timing: TIMING,
        }
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn next(arrived: &mut Receiver<Arrived>) -> Arrived {
    timeout(PATIENCE, arrived.recv()).await.expect("in time").expect("the transport lives")
}

async fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "what was awaited never came");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_frames_of_all_channels_and_sizes() {
    let world = World::new();
    let ((at_a, address_a), (at_b, address_b)) = (listen().await, listen().await);
    let a = world.start("a", at_a, &[(B, "b", address_b)]);
    let b = world.start("b", at_b, &[(A, "a", address_a)]);
    let channels = [Channel::Relay, Channel::Delivery, Channel::Qkd(LinkId(0)), Channel::Qkd(LinkId(9))];
    let mut at_b: Vec<_> = channels.iter().map(|channel| b.register(*channel)).collect();
    let mut at_a = a.register(Channel::Relay);
    for round in 0..50usize {
        for (number, channel) in channels.iter().enumerate() {
            a.send(B, *channel, vec![number as u8; round * 100]).unwrap();
        }
        b.send(A, Channel::Relay, vec![round as u8]).unwrap();
    }
    for round in 0..50usize {
        for (number, arrived) in at_b.iter_mut().enumerate() {
            let Arrived { from, channel, bytes, .. } = next(arrived).await;
            assert_eq!((from, channel), (A, channels[number]));
            assert_eq!(bytes, vec![number as u8; round * 100]);
        }
        let Arrived { from, bytes, .. } = next(&mut at_a).await;
        assert_eq!((from, bytes), (B, vec![round as u8]));
    }
    let largest: Vec<u8> = (0..PAYLOAD_LIMIT).map(|at| (at % 251) as u8).collect();
    a.send(B, Channel::Relay, largest.clone()).unwrap();
    assert!(next(&mut at_b[0]).await.bytes == largest);
    assert!(matches!(a.send(B, Channel::Relay, vec![0; PAYLOAD_LIMIT + 1]), Err(SendError::Frame(_))));
    assert_eq!(a.send(C, Channel::Relay, vec![]), Err(SendError::UnknownPeer(C)));
    let (node, statistics) = a.statistics()[0];
    assert_eq!((node, statistics.connections, statistics.dropped), (B, 1, 0));
    assert_eq!((statistics.sent, statistics.received), (201, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_away_gets_what_waited_and_a_connection_that_broke_is_made_anew() {
    let world = World::new();
    let ((at_a, address_a), (at_b, address_b)) = (listen().await, listen().await);
    drop(at_b);
    let a = world.start("a", at_a, &[(B, "b", address_b.clone())]);
    a.send(B, Channel::Relay, b"while away".to_vec()).unwrap();
    until(|| a.statistics()[0].1.failures > 2).await;
    for life in 1..=3u8 {
        let at_b = TcpListener::bind(&address_b).await.unwrap();
        let b = world.start("b", at_b, &[(A, "a", address_a.clone())]);
        let mut arrived = b.register(Channel::Relay);
        if life == 1 {
            assert_eq!(next(&mut arrived).await.bytes, b"while away");
        }
        // A frame may be lost with the old connection: send as machines do, until it is answered for.
        let start = Instant::now();
        loop {
            a.send(B, Channel::Relay, vec![life]).unwrap();
            match timeout(Duration::from_millis(100), arrived.recv()).await {
                Ok(Some(frame)) if frame.bytes == [life] => break,
                _ => assert!(start.elapsed() < PATIENCE, "life {life}"),
            }
        }
        b.close().await;
    }
    assert!(a.statistics()[0].1.connections >= 3);
}

/// A peer with the right certificate that shakes hands and then neither reads nor writes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_connects_keeps_no_peer_out() {
    let world = World::new();
    let (socket, address) = listen().await;
    let b = world.start("b", socket, &[(A, "a", "127.0.0.1:9".to_owned())]);
    // Far more than there is room for.
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(TcpStream::connect(&address).await.unwrap());
    }
    let mut arrived = b.register(Channel::Relay);
    let a = world.start("a", listen().await.0, &[(B, "b", address)]);
    a.send(B, Channel::Relay, vec![1, 2, 3]).unwrap();
    let begun = Instant::now();
    assert_eq!(next(&mut arrived).await.bytes, [1, 2, 3]);
    // Not only when the strangers' time is over.
    assert!(begun.elapsed() < TIMING.handshake / 2, "after {:?}", begun.elapsed());
    drop(strangers);
}

async fn silent_peer(world: &World, name: &str) -> String {
    let (listener, address) = listen().await;
    let config = tls::node_server(&world.identity(name), world.roots()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            kept.push(acceptor.accept(stream).await);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_left_after_a_while_and_delays_nobody_else() {
    let world = World::new();
    let ((at_a, address_a), (at_b, address_b)) = (listen().await, listen().await);
    let silent = silent_peer(&world, "c").await;
    let a = world.start("a", at_a, &[(C, "c", silent), (B, "b", address_b)]);
    let b = world.start("b", at_b, &[(A, "a", address_a)]);
    let mut arrived = b.register(Channel::Delivery);
    // More than sockets and the queue hold: the oldest are dropped, `send` never waits.
    let chunk = 1 << 20;
    for _ in 0..60 {
        a.send(C, Channel::Delivery, vec![0; chunk]).unwrap();
    }
    let start = Instant::now();
    for number in 0..200u8 {
        a.send(B, Channel::Delivery, vec![number]).unwrap();
        assert_eq!(next(&mut arrived).await.bytes, [number]);
    }
    let others = start.elapsed();
    until(|| a.statistics()[1].1.connections >= 2).await;
    let (node, statistics) = a.statistics()[1];
    assert!(node == C && statistics.dropped >= 30, "{statistics:?}");
    assert!(others < PATIENCE / 2, "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_takes_nothing_delays_no_other_channel_for_long() {
    let world = World::new();
    let ((at_a, address_a), (at_b, address_b)) = (listen().await, listen().await);
    let a = world.start("a", at_a, &[(B, "b", address_b)]);
    let b = world.start("b", at_b, &[(A, "a", address_a)]);
    let hanging = b.register(Channel::Relay);
    let mut arrived = b.register(Channel::Delivery);
    for _ in 0..3 {
        a.send(B, Channel::Relay, vec![0; 9 << 20]).unwrap();
        a.send(B, Channel::Delivery, vec![1]).unwrap();
        assert_eq!(next(&mut arrived).await.bytes, [1]);
    }
    assert_eq!(b.statistics()[0].1.unclaimed, 1, "two of nine MiB have room in twenty, the third has none");
    drop(hanging);
    a.send(B, Channel::Qkd(LinkId(3)), vec![]).unwrap();
    until(|| b.statistics()[0].1.unclaimed == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_the_expected_node_is_refused() {
    let world = World::new();
    let ((at_a, address_a), (at_b, address_b)) = (listen().await, listen().await);
    // Where A expects B, C listens; and A is no peer of C.
    let a = world.start("a", at_a, &[(B, "b", address_b.clone())]);
    let c = world.start("c", at_b, &[(B, "b", address_b.clone())]);
    let mut at_c = c.register(Channel::Relay);
    a.send(B, Channel::Relay, b"for B only".to_vec()).unwrap();
    until(|| a.statistics()[0].1.failures > 2).await;
    assert_eq!(a.statistics()[0].1.connections, 0);
    assert!(at_c.try_recv().is_err());

    // A stranger with a good certificate, then one of another network, dial A.
    for stranger in [&world, &World::new()] {
        let config = tls::node_client(&stranger.identity("stranger"), world.roots(), "a").unwrap();
        let stream = TcpStream::connect(&address_a).await.unwrap();
        let name = "node.invalid".try_into().unwrap();
        // Under TLS 1.3 the client learns of its refusal only when it reads.
        if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            let mut byte = [0];
            let read = timeout(PATIENCE, stream.read(&mut byte)).await.expect("closed in time");
            assert!(!matches!(read, Ok(1)), "the connection is closed without a word");
        }
    }
    c.close().await;
    // Once the right node is there, it gets its frame.
    let at_b = TcpListener::bind(&address_b).await.unwrap();
    let b = world.start("b", at_b, &[(A, "a", address_a)]);
    let mut arrived = b.register(Channel::Relay);
    a.send(B, Channel::Relay, b"for B only".to_vec()).unwrap();
    assert_eq!(next(&mut arrived).await.bytes, b"for B only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_frame_closes_the_connection_and_a_later_connection_replaces_an_earlier_one() {
    let world = World::new();
    let (at_a, address_a) = listen().await;
    let a = world.start("a", at_a, &[(B, "b", "127.0.0.1:1".to_owned())]);
    let mut arrived = a.register(Channel::Relay);
    let dial = || async {
        let config = tls::node_client(&world.identity("b"), world.roots(), "a").unwrap();
        let stream = TcpStream::connect(&address_a).await.unwrap();
        let name = "node.invalid".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    };
    let good = [&head(Channel::Relay, 3).unwrap()[..], b"yes"].concat();
    let malformed: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[1, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        &[1, 9, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 4],
    ];
    for (number, bytes) in malformed.into_iter().enumerate() {
        let mut stream = dial().await;
        stream.write_all(&good).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(next(&mut arrived).await.bytes, b"yes");
        let mut rest = Vec::new();
        // Closed, with or without an alert.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time");
        until(|| a.statistics()[0].1.malformed == number as u64 + 1).await;
    }

    let mut first = dial().await;
    first.write_all(&good).await.unwrap();
    next(&mut arrived).await;
    let mut second = dial().await;
    second.write_all(&good).await.unwrap();
    next(&mut arrived).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, first.read_to_end(&mut rest)).await.expect("replaced in time");
    second.write_all(&good).await.unwrap();
    next(&mut arrived).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_told() {
    let world = World::new();
    let peers = [(B, "b", "x:1".to_owned()), (C, "b", "y:1".to_owned())];
    let error = Transport::start(listen().await.0, world.settings("a", &peers)).err().unwrap();
    assert!(matches!(error, TransportError::Twice(name) if name == "b"));
    let small = Settings { queue_bytes: 1 << 20, ..world.settings("a", &[]) };
    assert!(matches!(Transport::start(listen().await.0, small), Err(TransportError::Queue(_))));
    let other =
        Authority::open_or_create(&world.layout, Role::Application, SignatureKind::EcdsaP256).unwrap();
    let identity = other.issue_in_memory("a", &[]).unwrap();
    let application = Settings { identity, ..world.settings("a", &[]) };
    assert!(matches!(
        Transport::start(listen().await.0, application),
        Err(TransportError::OwnCertificate(_))
    ));
}
