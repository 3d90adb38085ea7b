//! A PostgreSQL server of the tests' own, on a Unix socket in a temporary folder, gone with the last test that uses it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// The role of the tests.
const OWNER: &str = "bellwether";

/// A running server.
pub(crate) struct Server {
    folder: TempDir,
    programs: PathBuf,
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// The server that all tests of this process share, or nothing if PostgreSQL is not installed, which is said.
pub(crate) fn server() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let Some(programs) = programs() else {
        eprintln!("SKIPPED: PostgreSQL's server is not installed (apt-get install postgresql)");
        return None;
    };
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    Some(shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(&programs));
        *shared = Arc::downgrade(&server);
        server
    }))
}

impl Server {
    fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Another user must reach what is in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("one's own folder");
        let data = folder.path().join("data");
        let made = as_server(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", OWNER, "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb starts").success());
        let mut command = as_server(&programs.join("postgres"));
        command
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "max_connections=30"])
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"));
        let (stop, stopped) = mpsc::channel::<()>();
        let (tell, started) = mpsc::channel();
        // A child dies with the thread that made it: this one lives as long as the server.
        let keeper = std::thread::spawn(move || {
            let mut child: Child = command.spawn().expect("postgres starts");
            tell.send(()).expect("somebody waits");
            let _ = stopped.recv();
            // In a hurry: nobody wants the data any more.
            let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            let _ = child.wait();
        });
        started.recv().expect("it was started");
        let server = Self { folder, programs: programs.to_owned(), stop: Some(stop), keeper: Some(keeper) };
        for _ in 0..600 {
            let ready =
                as_server(&programs.join("pg_isready")).arg("-q").arg("-h").arg(server.socket()).status();
            if ready.expect("pg_isready starts").success() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "the server does not start: {}",
            fs::read_to_string(server.folder.path().join("log")).unwrap_or_default()
        );
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// The name of a database that nobody else uses.
    pub(crate) fn new_database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("keys{}", MADE.fetch_add(1, Ordering::Relaxed));
        let made = as_server(&self.programs.join("createdb"))
            .arg("-h")
            .arg(self.socket())
            .args(["-U", OWNER, &name])
            .status();
        assert!(made.expect("createdb starts").success());
        name
    }

    /// The folder of all that it keeps.
    #[allow(dead_code, reason = "of two crates' tests, one looks at it")]
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Has it write to its files what it holds in memory.
    #[allow(dead_code, reason = "of two crates' tests, one wants it")]
    pub(crate) fn write_all_out(&self) {
        let done = as_server(&self.programs.join("psql"))
            .arg("-h")
            .arg(self.socket())
            .args(["-q", "-U", OWNER, "-d", "postgres", "-c", "CHECKPOINT"])
            .status();
        assert!(done.expect("psql starts").success());
    }

    /// A database as stores take it.
    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres:///{database}?user={OWNER}&host={}", self.socket().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// The server refuses to be root.
fn as_server(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let mut command = Command::new("setpriv");
    if root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--pdeathsig=KILL").arg(program).current_dir("/");
    command
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}
