//! Programs that attach to a node over TLS: what they wish comes out at the driver, and its answers come back.

use bellwether_live::directory;
use bellwether_live::hardware::wire::{read_frame, write_frame};
use bellwether_live::identity::{NameRule, OlderTls, Role, tls};
use bellwether_live::interface::listener::{Bounds, Security, listen};
use bellwether_live::node::link::Clock;
use bellwether_live::programs::client::{AttachError, Attachment, Names, attach};
use bellwether_live::programs::run;
use bellwether_live::programs::server::{Attached, Entrance};
use bellwether_live::programs::wire::{Ask, Tell};
use bellwether_live::state::State;
use bellwether_network::Network;
use bellwether_protocol::application::{
    Basis, EprError, Gate, MeasuredPair, MessageError, Node, Operation, OperationError, PairFacts, PairTerms,
    Port, QubitName, TwoQubitGate, Wish,
};
use bellwether_protocol::entanglement::{EndToEndId, PairId};
use bellwether_protocol::keys::delivery::SaeName;
use bellwether_quantum::bell::BellIndex;
use bellwether_units::{Duration, LinkId, NodeId, Time};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as Span;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const ALICE: NodeId = NodeId(0);
const BOB: NodeId = NodeId(1);
const WITHIN: Duration = Duration::from_whole_seconds(5);

/// Node `A` with its entrance, beside a node `B`; each has an application, and `A` another one.
struct House {
    _folder: tempfile::TempDir,
    state: State,
    address: SocketAddr,
    entrance: Entrance,
    programs: mpsc::Receiver<Attached>,
    clock: Clock,
    stop: watch::Sender<bool>,
}

impl House {
    async fn open() -> Self {
        let text = "format = 1\nnetwork.name = \"programs\"\n[node.A]\n[node.B]\n[sae.lab-a]\nnode = \"A\"\n\
                    [sae.other-a]\nnode = \"A\"\n[sae.lab-b]\nnode = \"B\"\n";
        let network = Network::parse(text, "programs.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path());
        state.provision(&network, ["lab-a", "other-a", "lab-b", "stranger"]).unwrap();
        let layout = state.identities();
        let identity = layout.load(Role::KeyManager, "A").unwrap();
        let roots = layout.roots(Role::Application).unwrap();
        let config = tls::key_manager_server(&identity, roots, OlderTls::Refuse).unwrap();
        let security = Security::Tls {
            config: Arc::new(config),
            identify: Arc::new(|certificate| {
                SaeName::new(&NameRule::applications().name(certificate).ok()?).ok()
            }),
        };
        let clock = Clock::start();
        let names = network.nodes.iter().map(|node| node.name.clone()).collect();
        let directory = Arc::new(directory::applications(&network).unwrap().directory);
        let (entrance, programs) = Entrance::new(ALICE, names, clock, directory);
        let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        entrance.listen(socket, security, Bounds::default(), Arc::new(|_, _| {}), stopped);
        Self { _folder: folder, state, address, entrance, programs, clock, stop }
    }

    async fn attach(&self, application: &str) -> Result<Attachment<TlsStream<TcpStream>>, AttachError> {
        let layout = self.state.identities();
        let identity = layout.load(Role::Application, application).unwrap();
        attach(self.address, "A", &identity, layout.roots(Role::KeyManager).unwrap()).await
    }

    /// The next program that the driver is given.
    async fn next(&mut self) -> Attached {
        timeout(Span::from_secs(20), self.programs.recv()).await.expect("a program in time").unwrap()
    }
}

async fn wish(attached: &mut Attached) -> Option<Wish> {
    timeout(Span::from_secs(20), attached.wishes.recv()).await.expect("a wish, or the end of them, in time")
}

/// A driver's port, by which it makes qubits.
fn port() -> Port {
    Port::open(ALICE, Box::new(|| 7)).1
}

fn facts(sequence: u64) -> PairFacts {
    let pair = PairId { link: LinkId(3), epoch: 1, sequence };
    PairFacts {
        id: EndToEndId { head: pair, tail: pair },
        bell: BellIndex::PSI_PLUS,
        fidelity: 0.93,
        born: Time::from_picoseconds(1234),
    }
}

fn measured(sequence: u64) -> MeasuredPair {
    let basis = if sequence.is_multiple_of(3) { Basis::X } else { Basis::Turned(0.25) };
    MeasuredPair { facts: facts(sequence), basis, outcome: sequence.is_multiple_of(2) }
}

/// One of each wish, and what the driver of the next test answers.
async fn one_of_each(node: Node) {
    assert_eq!((node.id(), node.random() == node.random()), (ALICE, false));
    let mut half = node.epr(BOB, 0.8, WITHIN).await.unwrap();
    assert_eq!((half.name(), half.pair()), (QubitName(10), Some(&facts(0))));
    let mut fresh = node.qubit().await.unwrap();
    assert_eq!((fresh.name(), fresh.pair()), (QubitName(11), None));
    node.cnot(&mut half, &mut fresh).await.unwrap();
    node.rz(&mut half, -0.5).await.unwrap();
    assert_eq!(node.bell_measure(half, fresh).await.unwrap(), BellIndex::PSI_MINUS);
    drop(node.qubit().await.unwrap());
    let pairs = node.measured_pairs(BOB, 9000, &[Basis::X, Basis::Turned(0.25)], 0.5, WITHIN).await.unwrap();
    assert_eq!(pairs, (0..9000).map(measured).collect::<Vec<_>>());
    node.send(BOB, &("hello", 1)).await.unwrap();
    assert_eq!(node.receive::<Vec<u64>>(BOB).await, Ok(vec![1, 2]));
    let before = node.now();
    node.sleep(Duration::from_milliseconds(20)).await;
    assert!(node.now() >= before.saturating_add(Duration::from_milliseconds(20)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wish_comes_out_at_the_driver_and_its_answer_comes_back() {
    let mut house = House::open().await;
    let before = house.clock.now();
    let attachment = house.attach("lab-a").await.unwrap();
    assert!(attachment.node().now() >= before);
    let names = attachment.names().clone();
    assert_eq!((names.find("B"), names.name(ALICE), names.find("C")), (Some(BOB), Some("A"), None));
    assert_eq!(names.all(), ["A", "B"]);
    let program = tokio::spawn(attachment.run(|node, _| one_of_each(node)));

    let port = port();
    let mut attached = house.next().await;
    assert_eq!(attached.application.as_str(), "lab-a");
    let Some(Wish::Pair { peer: BOB, terms, answer }) = wish(&mut attached).await else { panic!("a pair") };
    assert_eq!(terms, PairTerms { pairs: 1, min_fidelity: 0.8, within: WITHIN, correct: true });
    answer.fulfil(Ok(port.qubit(QubitName(10), Some(facts(0)))));
    let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
    answer.fulfil(Ok(port.qubit(QubitName(11), None)));
    let both = [QubitName(10), QubitName(11)];
    for (wanted, outcomes) in [
        (Operation::Two(TwoQubitGate::Cnot, both), vec![]),
        (Operation::One(Gate::Rz(-0.5), QubitName(10)), vec![]),
        (Operation::Bell(both), vec![true, true]),
    ] {
        let Some(Wish::Operate { operations, answer }) = wish(&mut attached).await else { panic!("a gate") };
        assert_eq!(operations, [wanted]);
        answer.fulfil(Ok(outcomes));
    }
    let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
    answer.fulfil(Ok(port.qubit(QubitName(12), None)));
    let Some(Wish::Free(QubitName(12))) = wish(&mut attached).await else { panic!("it was dropped") };
    let Some(Wish::MeasuredPairs { peer: BOB, terms, bases, answer }) = wish(&mut attached).await else {
        panic!("measured pairs")
    };
    assert_eq!((terms.pairs, terms.min_fidelity), (9000, 0.5));
    assert_eq!(bases, [Basis::X, Basis::Turned(0.25)]);
    answer.fulfil(Ok((0..9000).map(measured).collect()));
    let Some(Wish::Send { to: BOB, bytes, answer }) = wish(&mut attached).await else { panic!("a message") };
    assert_eq!(bytes, b"[\"hello\",1]");
    answer.fulfil(Ok(()));
    let Some(Wish::Receive { from: BOB, answer }) = wish(&mut attached).await else { panic!("a message") };
    answer.fulfil(Ok(b"[1,2]".to_vec()));
    // Sleep is the program's own affair.
    assert!(wish(&mut attached).await.is_none(), "the program is over");
    let ((), connection) = program.await.unwrap();
    connection.unwrap();
    // Handing qubits on frees none of them here.
    assert!(port.take().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_comes_back() {
    let mut house = House::open().await;
    let attachment = house.attach("lab-a").await.unwrap();
    let program = async |node: Node, _| {
        let mut told = Vec::new();
        for _ in 0..6 {
            told.push(node.epr(BOB, 0.8, WITHIN).await.unwrap_err().to_string());
        }
        told.push(node.measured_pairs(BOB, 2, &[], 0.9, WITHIN).await.unwrap_err().to_string());
        for _ in 0..4 {
            told.push(node.qubit().await.unwrap_err().to_string());
        }
        told.push(node.local(|_| ()).await.map(drop).unwrap_err().to_string());
        told.push(node.send(BOB, "x").await.unwrap_err().to_string());
        told.push(node.receive::<u8>(BOB).await.unwrap_err().to_string());
        told.push(node.receive::<u8>(BOB).await.unwrap_err().to_string());
        // What is no message at all is known here.
        told.push(node.send(BOB, &"x".repeat(9 << 20)).await.unwrap_err().to_string());
        told
    };
    let program = tokio::spawn(attachment.run(program));
    let mut attached = house.next().await;
    let mut wanted = Vec::new();
    for error in [
        EprError::TimedOut { peer: BOB, within: WITHIN },
        EprError::TooNoisy { wanted: 0.8, best: 0.75 },
        EprError::PeerGone(BOB),
        EprError::LinkDown(BOB),
        EprError::NoCircuit(BOB),
        EprError::NodeDown,
    ] {
        let Some(Wish::Pair { answer, .. }) = wish(&mut attached).await else { panic!("a pair") };
        answer.fulfil(Err(error));
        wanted.push(error.to_string());
    }
    let Some(Wish::MeasuredPairs { answer, .. }) = wish(&mut attached).await else { panic!("pairs") };
    answer.fulfil(Err(EprError::PeerGone(BOB)));
    wanted.push(EprError::PeerGone(BOB).to_string());
    for error in [
        OperationError::NotThisNode { owner: BOB, node: ALICE },
        OperationError::Lost,
        OperationError::NoMemory(8),
        OperationError::TooManyEntangled(11),
    ] {
        let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
        answer.fulfil(Err(error));
        wanted.push(error.to_string());
    }
    let Some(Wish::Operate { answer, operations }) = wish(&mut attached).await else { panic!("a block") };
    assert!(operations.is_empty());
    answer.fulfil(Err(OperationError::SameQubit));
    wanted.push(OperationError::SameQubit.to_string());
    let Some(Wish::Send { answer, .. }) = wish(&mut attached).await else { panic!("a message") };
    answer.fulfil(Err(MessageError::Unreachable(BOB)));
    wanted.push(MessageError::Unreachable(BOB).to_string());
    for error in [MessageError::PeerGone(BOB), MessageError::Malformed("as it was".to_owned())] {
        let Some(Wish::Receive { answer, .. }) = wish(&mut attached).await else { panic!("a message") };
        wanted.push(error.to_string());
        answer.fulfil(Err(error));
    }
    assert!(wish(&mut attached).await.is_none());
    let (mut told, connection) = program.await.unwrap();
    connection.unwrap();
    let long = told.pop().unwrap();
    assert!(long.contains("9437186 bytes are more than the 8388608"), "{long}");
    assert_eq!(told, wanted);
}

/// Why a program is refused.
fn why<T>(refused: Result<T, AttachError>) -> String {
    refused.map(drop).expect_err("a refusal").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_program_of_the_nodes_own_applications_is_attached_at_a_time() {
    let mut house = House::open().await;
    let told = why(house.attach("lab-b").await);
    assert!(told.contains("`lab-b` is no application of node `A`"), "{told}");
    let told = why(house.attach("stranger").await);
    assert!(told.contains("`stranger` is no application of node `A`"), "{told}");

    let first = house.attach("lab-a").await.unwrap();
    let mut attached = house.next().await;
    for application in ["lab-a", "other-a"] {
        let told = why(house.attach(application).await);
        assert!(told.contains("a program is attached to node `A` already"), "{told}");
    }
    // As soon as it has ended, the next one may come, and the driver meets it when it is ready.
    let (output, connection) = first.run(async |_, _| 5).await;
    assert_eq!(output, 5);
    connection.unwrap();
    let second = house.attach("other-a").await.unwrap();
    assert!(wish(&mut attached).await.is_none());
    drop(attached);
    assert_eq!(house.next().await.application.as_str(), "other-a");
    drop(second);

    // Applications that move are let in where they are now.
    let moved = "format = 1\nnetwork.name = \"programs\"\n[node.A]\n[node.B]\n[sae.lab-b]\nnode = \"A\"\n";
    let moved = Network::parse(moved, "programs.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    house.entrance.set_directory(Arc::new(directory::applications(&moved).unwrap().directory));
    let told = why(house.attach("lab-a").await);
    assert!(told.contains("`lab-a` is no application of node `A`"), "{told}");

    // Whoever wants another node than the one that answers does not attach.
    let layout = house.state.identities();
    let identity = layout.load(Role::Application, "lab-a").unwrap();
    let roots = layout.roots(Role::KeyManager).unwrap();
    let told = attach(house.address, "B", &identity, roots).await.map(drop);
    assert!(matches!(told, Err(AttachError::Connect { .. })), "{told:?}");
}

/// All that a program may wait for, at once, and what becomes of it.
async fn everything_waits(node: Node, _: impl Sized) -> Vec<String> {
    let (pair, pairs, zero, done, sent, received, ()) = tokio::join!(
        node.epr(BOB, 0.8, Duration::MAX),
        node.measured_pairs(BOB, 3, &[], 0.5, Duration::MAX),
        node.qubit(),
        node.local(|_| ()),
        node.send(BOB, "x"),
        node.receive::<u8>(BOB),
        node.sleep(Duration::from_milliseconds(50)),
    );
    let mut told = vec![
        pair.unwrap_err().to_string(),
        pairs.unwrap_err().to_string(),
        zero.unwrap_err().to_string(),
        done.map(drop).unwrap_err().to_string(),
        sent.unwrap_err().to_string(),
        received.unwrap_err().to_string(),
    ];
    // And what is wished from then on.
    told.push(node.epr(BOB, 0.8, WITHIN).await.unwrap_err().to_string());
    told.push(node.receive::<u8>(BOB).await.unwrap_err().to_string());
    node.sleep(Duration::from_milliseconds(1)).await;
    told
}

fn all_failed() -> Vec<String> {
    let (down, lost) = (EprError::NodeDown.to_string(), OperationError::Lost.to_string());
    let away = MessageError::Unreachable(BOB).to_string();
    vec![down.clone(), down.clone(), lost.clone(), lost, away.clone(), away.clone(), down, away]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_fails_when_the_connection_is_lost() {
    // The driver ends the program.
    let mut house = House::open().await;
    let program = tokio::spawn(house.attach("lab-a").await.unwrap().run(everything_waits));
    let mut attached = house.next().await;
    for _ in 0..6 {
        assert!(wish(&mut attached).await.is_some());
    }
    drop(attached);
    let (told, connection) = program.await.unwrap();
    assert_eq!(told, all_failed());
    let connection = connection.unwrap_err().to_string();
    assert_eq!(connection, "the node refuses: the node has ended the program");

    // The node stops.
    let program = tokio::spawn(house.attach("lab-a").await.unwrap().run(everything_waits));
    let mut attached = house.next().await;
    assert!(wish(&mut attached).await.is_some());
    house.stop.send(true).unwrap();
    let (told, connection) = program.await.unwrap();
    assert_eq!(told, all_failed());
    assert_eq!(connection.unwrap_err().to_string(), "the node refuses: the node stops");

    // The connection is cut.
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let welcome = Tell::Welcome { node: ALICE, now: Time::ZERO, names: vec!["A".to_owned(), "B".to_owned()] };
    write_frame(&mut far, &welcome.encode()).await.unwrap();
    let program = tokio::spawn(Attachment::over(near).await.unwrap().run(everything_waits));
    let mut asks = Vec::new();
    while asks.len() < 7 {
        let ask = Ask::decode(&read_frame(&mut far, 1 << 20).await.unwrap()).unwrap();
        asks.extend((ask != Ask::Alive).then_some(ask));
    }
    assert!(asks[0] == Ask::Hello && matches!(asks[6], Ask::Receive { .. }), "{asks:?}");
    drop(far);
    let (told, connection) = program.await.unwrap();
    assert_eq!(told, all_failed());
    assert!(matches!(connection, Err(AttachError::Frame(_))), "{connection:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_vanishes_is_over_for_the_driver() {
    let mut house = House::open().await;
    let attachment = house.attach("lab-a").await.unwrap();
    let program = async |node: Node, _| {
        let (half, local) = (node.epr(BOB, 0.8, WITHIN).await.unwrap(), node.qubit().await.unwrap());
        let used = node.qubit().await.unwrap();
        used.measure(Basis::Z).await.unwrap();
        let never = node.receive::<u8>(BOB).await;
        drop((half, local));
        never
    };
    let program = tokio::spawn(attachment.run(program));
    let mut attached = house.next().await;
    let port = port();
    let Some(Wish::Pair { answer, .. }) = wish(&mut attached).await else { panic!("a pair") };
    answer.fulfil(Ok(port.qubit(QubitName(1), Some(facts(0)))));
    for name in [2, 3] {
        let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
        answer.fulfil(Ok(port.qubit(QubitName(name), None)));
    }
    let Some(Wish::Operate { answer, .. }) = wish(&mut attached).await else { panic!("a measurement") };
    answer.fulfil(Ok(vec![false]));
    let Some(Wish::Receive { answer, .. }) = wish(&mut attached).await else { panic!("a message") };
    assert!(answer.is_awaited());
    program.abort();
    // What it held is free, but for what it had measured.
    let mut freed = Vec::new();
    while let Some(wish) = wish(&mut attached).await {
        let Wish::Free(QubitName(name)) = wish else { panic!("it is over") };
        freed.push(name);
    }
    freed.sort_unstable();
    assert_eq!(freed, [1, 2]);
    assert!(!answer.is_awaited() && port.take().is_none());
    // A qubit that comes too late is dropped where it was made.
    let house = House::open().await;
    let attachment = house.attach("lab-a").await.unwrap();
    let program = async |node: Node, _| timeout(Span::from_millis(20), node.qubit()).await.map(drop);
    let program = tokio::spawn(attachment.run(program));
    let mut programs = house.programs;
    let mut attached = programs.recv().await.unwrap();
    let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
    assert!(program.await.unwrap().0.is_err());
    assert!(wish(&mut attached).await.is_none());
    answer.fulfil(Ok(port.qubit(QubitName(9), None)));
    assert!(matches!(port.take(), Some(Wish::Free(QubitName(9)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_keep_their_order_and_none_is_lost_to_who_gave_up() {
    let mut house = House::open().await;
    let attachment = house.attach("lab-a").await.unwrap();
    let program = async |node: Node, _| {
        let gave_up = timeout(Span::from_millis(30), node.receive::<u8>(BOB)).await;
        assert!(gave_up.is_err());
        node.send(BOB, "go").await.unwrap();
        // Three at once, then one more.
        let (a, b, c) =
            tokio::join!(node.receive::<u8>(BOB), node.receive::<u8>(BOB), node.receive::<u8>(BOB));
        let d = node.receive::<u8>(BOB).await;
        [a, b, c, d].map(Result::unwrap)
    };
    let program = tokio::spawn(attachment.run(program));
    let mut attached = house.next().await;
    let Some(Wish::Receive { answer: first, .. }) = wish(&mut attached).await else { panic!("a message") };
    let Some(Wish::Send { answer, .. }) = wish(&mut attached).await else { panic!("a message") };
    answer.fulfil(Ok(()));
    first.fulfil(Ok(b"1".to_vec()));
    for message in [b"2", b"3", b"4"] {
        let Some(Wish::Receive { answer, .. }) = wish(&mut attached).await else { panic!("a message") };
        answer.fulfil(Ok(message.to_vec()));
    }
    assert!(wish(&mut attached).await.is_none());
    assert_eq!(program.await.unwrap().0, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_frame_ends_its_connection_and_nothing_else() {
    let house = House::open().await;
    let layout = house.state.identities();
    let connect = async || {
        let identity = layout.load(Role::Application, "lab-a").unwrap();
        let config = tls::program_client(&identity, layout.roots(Role::KeyManager).unwrap(), "A").unwrap();
        let stream = TcpStream::connect(house.address).await.unwrap();
        let name = ServerName::from(house.address.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    };
    /// The last that is told before the end.
    async fn last(stream: &mut (impl AsyncRead + Unpin)) -> Option<Tell> {
        let mut told = None;
        while let Ok(frame) = read_frame(stream, 1 << 20).await {
            told = Some(Tell::decode(&frame).unwrap());
        }
        told
    }
    // Before the greeting nothing else is understood, nor a long one.
    for (bytes, told) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "longer than the limit"),
        (&[1, 0, 0, 0, 9], "begins with a greeting"),
        (&[6, 0, 0, 0, 1, b'B', b'w', b'P', b'G', 2], "unknown version 2"),
        (&[0, 0, 0, 0], "end too early"),
    ] {
        let mut stream = connect().await;
        stream.write_all(bytes).await.unwrap();
        let Some(Tell::Refused(why)) = last(&mut stream).await else { panic!("a refusal") };
        assert!(why.contains(told), "{why}");
    }
    let mut programs = house.programs;
    for (bytes, told) in [
        (&[1, 0, 0, 0, 77][..], "unknown kind 77"),
        (&[255, 255, 255, 255], "longer than the limit"),
        (&[2, 0, 0, 0, 4, 0x80], "end too early"),
        (&[6, 0, 0, 0, 1, b'B', b'w', b'P', b'G', 1], "a second greeting"),
    ] {
        let mut stream = connect().await;
        write_frame(&mut stream, &Ask::Hello.encode()).await.unwrap();
        write_frame(&mut stream, &Ask::Receive { number: 1, from: BOB }.encode()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let Some(Tell::Refused(why)) = last(&mut stream).await else { panic!("a refusal") };
        assert!(why.contains(told), "{why}");
        // What came before it is told, and then that the program is over.
        let mut attached = programs.recv().await.unwrap();
        assert!(matches!(attached.wishes.recv().await, Some(Wish::Receive { from: BOB, .. })));
        assert!(attached.wishes.recv().await.is_none());
    }
    // More wishes than may wait.
    let mut stream = connect().await;
    write_frame(&mut stream, &Ask::Hello.encode()).await.unwrap();
    let mut attached = programs.recv().await.unwrap();
    let driver = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(wish) = attached.wishes.recv().await {
            kept.push(wish);
        }
        kept.len()
    });
    for number in 0..1025 {
        write_frame(&mut stream, &Ask::Zero { number }.encode()).await.unwrap();
    }
    let Some(Tell::Refused(why)) = last(&mut stream).await else { panic!("a refusal") };
    assert!(why.contains("more than 1024 wishes"), "{why}");
    assert_eq!(driver.await.unwrap(), 1024);
    // Whoever does not even speak TLS is closed, and the next program attaches.
    let mut plain = TcpStream::connect(house.address).await.unwrap();
    plain.write_all(b"hello, hello, hello").await.unwrap();
    let _ = plain.read_to_end(&mut Vec::new()).await;
    let mut stream = connect().await;
    write_frame(&mut stream, &Ask::Hello.encode()).await.unwrap();
    assert!(matches!(
        Tell::decode(&read_frame(&mut stream, 1 << 20).await.unwrap()),
        Ok(Tell::Welcome { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_file_and_a_state_directory_are_enough_to_run_a_program() {
    let mut house = House::open().await;
    let network = |programs: SocketAddr| {
        let text = format!(
            "format = 1\nnetwork.name = \"programs\"\n[node.A]\n[node.B]\n[node.C]\n[node.D]\n\
             [sae.lab-a]\nnode = \"A\"\n[sae.lab-c]\nnode = \"C\"\n[sae.lab-d]\nnode = \"D\"\n\
             [live.node.A]\nprograms = \"{programs}\"\n[defaults.entangling]\n\
             fibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n\
             scheme = {{ kind = \"stated\", success = 0.01, fidelity = 0.98 }}\n\
             [entangling.A-B]\nends = [\"A\", \"B\"]\n[entangling.A-C]\nends = [\"A\", \"C\"]\n"
        );
        Network::parse(&text, "programs.toml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
    };
    let (here, state) = (network(house.address), house.state.clone());
    let program = async |node: Node, names: Names| (node.id(), names.find("B"), node.qubit().await.map(drop));
    // A name may be written in small letters where no other is meant.
    let running = tokio::spawn({
        let (here, state) = (network(house.address), state.clone());
        async move { run(&here, &state, "a", program).await }
    });
    let mut attached = house.next().await;
    assert_eq!(attached.application.as_str(), "lab-a");
    let Some(Wish::Zero { answer }) = wish(&mut attached).await else { panic!("a qubit") };
    answer.fulfil(Err(OperationError::NoMemory(0)));
    let output = running.await.unwrap().unwrap();
    assert_eq!(output, (ALICE, Some(BOB), Err(OperationError::NoMemory(0))));

    let told = async |network: &Network, state: &State, node: &str| {
        run(network, state, node, program).await.map(drop).unwrap_err().to_string()
    };
    assert_eq!(told(&here, &state, "E").await, "the network has no node `E`; it has `A`, `B`, `C`, `D`");
    assert!(told(&here, &state, "D").await.contains("`D` is at the end of no [entangling.NAME] link"));
    assert!(told(&here, &state, "B").await.contains("write [sae.NAME] with node = \"B\""));
    let missing = told(&here, &state, "C").await;
    assert!(missing.contains("lab-c.pem is not there: name the state directory"), "{missing}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = told(&network(nobody), &state, "A").await;
    assert!(away.contains(&format!("cannot attach to node `A` at {nobody}")), "{away}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which wants the machine to itself: see docs/src/programs.md"]
async fn how_long_a_wish_takes_to_the_driver_and_back() {
    const WISHES: u32 = 5000;
    let mut house = House::open().await;
    let attachment = house.attach("lab-a").await.unwrap();
    let program = async |node: Node, _| {
        let began = tokio::time::Instant::now();
        for _ in 0..WISHES {
            assert!(node.qubit().await.is_err());
        }
        began.elapsed() / WISHES
    };
    let program = tokio::spawn(attachment.run(program));
    let mut attached = house.next().await;
    while let Some(wish) = attached.wishes.recv().await {
        if let Wish::Zero { answer } = wish {
            answer.fulfil(Err(OperationError::Lost));
        }
    }
    println!("{:.1} µs", program.await.unwrap().0.as_secs_f64() * 1e6);
}
