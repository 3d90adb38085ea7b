//! WireGuard's pre-shared keys from a network that runs, with a program that stands in for `wg`.

use crate::tunnel::{network, supply};
use crate::up::free_ports;
use bellwether_live::application::supply::Supply;
use bellwether_live::application::tunnel::Limits;
use bellwether_live::application::tunnel::Role;
use bellwether_live::application::tunnel::run::{Purpose, Site};
use bellwether_live::application::wireguard::interface::{Interface, InterfaceError};
use bellwether_live::application::wireguard::rotation::{Event, Settings};
use bellwether_live::application::wireguard::run::{End, WireGuardError, keep};
use bellwether_live::interface::etsi014::Compatibility;
use bellwether_live::state::State;
use bellwether_live::up::Up;
use bellwether_units::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration as Span;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const PEER: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// An end that runs, and what stands in for `wg` there.
struct Running {
    folder: PathBuf,
    events: Arc<Mutex<Vec<Event>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), WireGuardError>>,
}

fn fake(folder: &Path) -> Interface {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("peer"), PEER).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fake-wg");
    let _ = std::os::unix::fs::symlink(program, folder.join("wg"));
    Interface::new(folder.join("wg"), "wg0", PEER).unwrap()
}

fn start(folder: &Path, channel: &str, interval: u64, max_age: u64, site: Site) -> Running {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let (stop, stopped) = oneshot::channel();
    let seconds = Duration::from_whole_seconds;
    let end = End {
        site,
        channel: channel.to_owned(),
        interface: fake(folder),
        settings: Settings::new(seconds(interval), seconds(max_age)).unwrap(),
        tell: Box::new(move |event| told.lock().unwrap().push(event)),
    };
    let task = tokio::spawn(keep(end, async move {
        let _ = stopped.await;
    }));
    Running { folder: folder.to_owned(), events, stop, task }
}

impl Running {
    fn psk(&self) -> String {
        fs::read_to_string(self.folder.join("psk")).unwrap_or_default()
    }

    fn has_told(&self, what: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| what(event)).count()
    }

    async fn until(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let waited = async {
            while !reached(self) {
                sleep(Span::from_millis(20)).await;
            }
        };
        let told = timeout(Span::from_secs(60), waited).await;
        told.unwrap_or_else(|_| panic!("{what}: {:?}", self.events.lock().unwrap()));
    }

    async fn stop(self) -> Result<(), WireGuardError> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_set_equal_keys_in_step_and_random_ones_when_there_are_none() {
    let network = Arc::new(network(free_ports()));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let state = State::at(folder.join("state"));
    let up = Up::start(Arc::clone(&network), state.clone(), Compatibility::default()).await.unwrap();
    let site = |role, name: &str, peer: &str, node: usize| Site {
        role,
        purpose: Purpose::WireGuard,
        name: name.to_owned(),
        // Soon given up, so that a rotation fails while the key before is still good.
        supply: Supply { patience: Span::from_secs(1), ..supply(&state, &up, name, peer, node) },
        limits: Limits::new(Duration::from_whole_seconds(60), 1 << 20).unwrap(),
        connections: 1,
        tell: Box::new(|_| {}),
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = port.to_string();
    let b = start(&folder.join("b"), &channel, 1, 6, site(Role::Responder, "bank-b", "bank-a", 1));
    let a = start(&folder.join("a"), &channel, 1, 6, site(Role::Initiator, "bank-a", "bank-b", 0));
    let installed = |event: &Event| matches!(event, Event::Installed(_));
    a.until("three keys", |a| a.has_told(installed) >= 3).await;
    assert!(a.has_told(|event| matches!(event, Event::Confirmed(_))) >= 1 || a.has_told(installed) < 4);

    // Every key that the initiator set, the responder had set; but for the random ones at the start.
    let history = |end: &Running| -> Vec<String> {
        fs::read_to_string(end.folder.join("history")).unwrap().lines().map(str::to_owned).collect()
    };
    let (of_a, of_b) = (history(&a), history(&b));
    assert!(of_a.len() >= 4 && of_a[1..].iter().all(|key| of_b[1..].contains(key)));
    assert!(of_a[0] != of_b[0], "at the start each end sets a random key of its own");

    // An end that is started anew has a key again soon, for the other notices.
    let before = b.psk();
    b.stop().await.unwrap();
    let b = start(&folder.join("b"), &channel, 1, 6, site(Role::Responder, "bank-b", "bank-a", 1));
    b.until("a key after the restart", |b| b.has_told(installed) >= 1).await;
    assert!(b.psk() != before);

    // Without key managers both keep their channel and their last key, and are locked in time.
    up.stop().await;
    let apart = |event: &Event| matches!(event, Event::Apart);
    let before = [a.has_told(apart), b.has_told(apart)];
    let locked = |event: &Event| matches!(event, Event::Locked(_));
    let (locks_a, locks_b) = (a.has_told(locked), b.has_told(locked));
    a.until("the initiator is locked", |a| a.has_told(locked) > locks_a).await;
    b.until("the responder is locked", |b| b.has_told(locked) > locks_b).await;
    assert!(a.psk() != b.psk());
    assert_eq!([a.has_told(apart), b.has_told(apart)], before);
    assert!(a.has_told(|event| matches!(event, Event::Kept)) >= 1);

    // Whoever cannot set a random key at the end says so.
    fs::write(a.folder.join("broken"), "").unwrap();
    let (folder_a, folder_b) = (a.folder.clone(), b.folder.clone());
    assert!(matches!(a.stop().await, Err(WireGuardError::Left(_))));
    b.stop().await.unwrap();

    // No key was an argument.
    for folder in [folder_a, folder_b] {
        let arguments = fs::read_to_string(folder.join("arguments")).unwrap();
        let keys = fs::read_to_string(folder.join("history")).unwrap();
        assert!(keys.lines().count() > 4 && keys.lines().all(|key| key.len() == 44));
        assert!(keys.lines().all(|key| !arguments.contains(key)));
    }
}

#[tokio::test]
async fn an_interface_without_the_peer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let interface = fake(folder.path());
    interface.check().await.unwrap();
    fs::write(folder.path().join("peer"), "somebody else").unwrap();
    assert!(matches!(interface.check().await, Err(InterfaceError::NoPeer { .. })));
    let absent = Interface::new(folder.path().join("no-such-program"), "wg0", PEER).unwrap();
    assert!(matches!(absent.check().await, Err(InterfaceError::Program { .. })));
}
