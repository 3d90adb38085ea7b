//! A folder with a network, and the command in it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A and B, joined by a link of 10 MHz that has made key for a minute before the start.
pub(crate) fn network(first_port: u16) -> String {
    format!(
        r#"
format = 1
network.name = "Two Nodes"
run = {{ duration = "10 s", window = "10 ms" }}
[live]
first_port = {first_port}
head_start = "60 s"
[node.A]
[node.B]
[sae.bank-a]
node = "A"
[sae.bank-b]
node = "B"
[sae.stranger]
node = "B"
[[pair]]
master = "bank-a"
slave = "bank-b"
[link.A-B]
ends = ["A", "B"]
[link.A-B.fibre]
length = "10 km"
loss_per_length = "0.2 dB/km"
misalignment = 0.01
[link.A-B.transmitter]
clock = "10 MHz"
wavelength = "1550 nm"
source = {{ kind = "weak-coherent", intensities = [{{ mean_photons = 0.5, probability = 0.7 }}, {{ mean_photons = 0.15, probability = 0.3 }}] }}
[link.A-B.receiver]
detector = {{ technology = "snspd", efficiency = 0.8, dark_count_rate = "100 /s", dead_time = "30 ns" }}
[link.A-B.protocol]
block_size = "150 kbit"
key_basis_probability = 0.7
"#
    )
}

/// A folder with the network above, on ports of its own.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    first_port: u16,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(network)
    }

    /// A folder with the network that `text` gives for the first of its ports; it may take thirteen.
    pub(crate) fn with(text: impl Fn(u16) -> String) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        // The system gives another number each time; what connects outward takes none below 32768.
        let any = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        let first_port = (0..2000)
            .map(|step| 10_000 + (any % 1700 + step) % 1700 * 13)
            .find(|first| (0..13).all(|place| TcpListener::bind(("127.0.0.1", first + place)).is_ok()))
            .expect("thirteen free ports");
        fs::write(folder.path().join("network.toml"), text(first_port)).expect("the folder can be written");
        Self { folder, first_port }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The first of its ports.
    pub(crate) fn first_port(&self) -> u16 {
        self.first_port
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.current_dir(self.path()).args(line.split_whitespace());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the command can be started")
    }

    /// What a command prints, which must do as it was told.
    pub(crate) fn done(&self, line: &str) -> String {
        let output = self.run(line);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The exit code and the error of a command that must fail.
    pub(crate) fn refused(&self, line: &str) -> (Option<i32>, String) {
        let output = self.run(line);
        assert!(!output.status.success(), "{line}");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// A key that bank-a gets, and what bank-b gets by its name.
    pub(crate) fn a_key_at_both_ends(&self, options: &str) {
        let issued = self.done(&format!("key get {options} --as bank-a --slave bank-b --wait 60s"));
        let (id, key) = issued.trim_end().split_once(' ').expect("a name and a key");
        assert!(key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit()), "{issued}");
        let collected =
            self.done(&format!("key get {options} --as bank-b --master bank-a --id {id} --wait 60s"));
        assert_eq!(issued, collected);
        let (code, told) = self.refused(&format!("key get {options} --as bank-b --master bank-a --id {id}"));
        assert_eq!(code, Some(1), "{told}");
    }

    /// The processes whose arguments name this folder's state.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let mark = self.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("a Linux system").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let Ok(arguments) = fs::read(entry.path().join("cmdline")) else { continue };
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            if arguments.contains(&mark) {
                found.push((pid, arguments));
            }
        }
        found
    }

    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        const STEP: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while !holds() {
            assert!(waited < PATIENCE, "{what} took too long");
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

/// A command that runs until it is stopped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be started");
        let (tell, lines) = channel();
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("a pipe"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("a pipe"));
        for stream in [out, err] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
            });
        }
        Self { child, lines }
    }

    /// What it tells up to a line with `mark`.
    pub(crate) fn until(&mut self, mark: &str) -> String {
        let mut told = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("nothing about {mark:?} in:\n{told}"));
            told.push_str(&line);
            told.push('\n');
            if line.contains(mark) {
                return told;
            }
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    pub(crate) fn stop(mut self, name: &str) -> Option<i32> {
        signal(self.child.id(), name);
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failed test only: it ends its children.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
