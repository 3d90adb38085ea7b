//! Processes that are started together, watched, started again when they die, and stopped together.
//!
//! A process of a crew says on standard output that it is ready, in one line, and stops in order when its standard
//! input ends ([`stop`](super::stop)). So the crew ends with whoever made it, whatever becomes of that. What a process
//! writes to standard error goes to its log. It is started in a process group of its own, so that Ctrl-C at a terminal
//! reaches the maker alone, who then stops the crew in order.

use super::stop::RELOAD;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The first and the longest pause before a process that died is started again; each is twice the last.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
/// A process that lived so long begins again with the first pause.
const STEADY: Duration = Duration::from_secs(20);
/// A log that is longer when its process starts becomes `log.old`, in bytes.
const LONG_LOG: u64 = 16 << 20;
/// The longest line of standard output that is looked at, in bytes.
const LONGEST_LINE: u64 = 4096;
/// How much of a log's end is shown, in lines and in bytes.
const TAIL: (usize, u64) = (8, 4096);

/// A process of a crew.
#[derive(Clone, Debug)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// The arguments of its program.
    pub arguments: Vec<OsString>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

/// What happens in a crew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A process says that it is ready.
    Ready {
        /// Which.
        member: String,
        /// Whether it had been before, and died since.
        again: bool,
    },
    /// A process died; it is started again.
    Died(Death),
}

/// How a process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which.
    pub member: String,
    /// How: its exit code, or the signal.
    pub how: String,
    /// The last lines of its log in that life.
    pub tail: Vec<String>,
    /// Its log.
    pub log: PathBuf,
    /// After which time it is started again.
    pub pause: Duration,
}

/// Processes that are looked after. Dropping a crew kills them.
pub struct Crew {
    tasks: JoinSet<()>,
    news: mpsc::Receiver<News>,
    stop: watch::Sender<bool>,
    /// How often they were told to read their network file anew.
    reload: watch::Sender<u64>,
    size: usize,
}

impl Crew {
    /// Starts `program` for each of the members, all at once.
    pub fn start(program: &Path, members: Vec<Member>) -> Self {
        let (tell, news) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let (reload, reloaded) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let size = members.len();
        for member in members {
            let (tell, stopped, reloaded) = (tell.clone(), stopped.clone(), reloaded.clone());
            let keeper = Keeper { program: program.to_owned(), member, tell, stopped, reloaded };
            tasks.spawn(keeper.keep());
        }
        Self { tasks, news, stop, reload, size }
    }

    /// Waits until each process has been ready once.
    ///
    /// # Errors
    /// The first that dies before all are.
    pub async fn ready(&mut self) -> Result<(), Death> {
        let mut ready = 0;
        while ready < self.size {
            match self.news().await {
                News::Ready { again: false, .. } => ready += 1,
                News::Ready { .. } => {}
                News::Died(death) => return Err(death),
            }
        }
        Ok(())
    }

    /// What happens next; nothing is lost if the wait is given up.
    pub async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Tells all processes that run to read their network file anew.
    pub fn reload(&self) {
        self.reload.send_modify(|times| *times += 1);
    }

    /// Stops all processes in order, and kills those that have not stopped after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        let _ = self.stop.send(true);
        // Nobody may wait to tell news that nobody takes.
        self.news.close();
        let _ = timeout(patience, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
    }
}

/// Looks after one process.
struct Keeper {
    program: PathBuf,
    member: Member,
    tell: mpsc::Sender<News>,
    stopped: watch::Receiver<bool>,
    reloaded: watch::Receiver<u64>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pause = PAUSE[0];
        let mut again = false;
        loop {
            let begun = Instant::now();
            let mut log_from = 0;
            let how = match self.live(&mut again, &mut log_from).await {
                Ok(None) => return,
                Ok(Some(status)) => told(status),
                Err(error) => format!("cannot be started: {error}"),
            };
            if begun.elapsed() > STEADY {
                pause = PAUSE[0];
            }
            let tail = tail_of(&self.member.log, log_from).unwrap_or_default();
            let death =
                Death { member: self.member.name.clone(), how, tail, log: self.member.log.clone(), pause };
            let _ = self.tell.send(News::Died(death)).await;
            tokio::select! {
                () = sleep(pause) => {}
                () = stopped(&mut self.stopped) => return,
            }
            pause = (pause * 2).min(PAUSE[1]);
        }
    }

    /// One life of the process: how it ended, or nothing if it was stopped.
    async fn live(&mut self, again: &mut bool, log_from: &mut u64) -> io::Result<Option<ExitStatus>> {
        let log = open_log(&self.member.log)?;
        *log_from = log.metadata()?.len();
        let mut child = Command::new(&self.program)
            .args(&self.member.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        // Held apart: to wait for a child would close it.
        let mut input = child.stdin.take();
        // What was told before, it reads as it starts.
        self.reloaded.mark_unchanged();
        let output = child.stdout.take();
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            () = listen(output, &self.tell, &self.member.name, again) => None,
            () = pass_on(&mut self.reloaded, &mut input) => None,
            () = stopped(&mut self.stopped) => None,
        };
        drop(input);
        if ended.is_none() {
            child.wait().await?;
        }
        Ok(ended)
    }
}

/// Tells when a process is ready, then takes whatever else it prints. Never ends.
async fn listen(output: Option<ChildStdout>, tell: &mpsc::Sender<News>, name: &str, again: &mut bool) {
    if let Some(output) = output {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            if line.starts_with(READY.as_bytes()) {
                let _ = tell.send(News::Ready { member: name.to_owned(), again: *again }).await;
                *again = true;
            }
            line.clear();
        }
    }
    std::future::pending().await
}

/// Tells the process when it is to read its network file anew. Never ends.
async fn pass_on(reloaded: &mut watch::Receiver<u64>, input: &mut Option<ChildStdin>) {
    if let Some(input) = input {
        while reloaded.changed().await.is_ok() {
            // A process that takes nothing any more is about to end.
            let _ = input.write_all(&[RELOAD]).await;
        }
    }
    std::future::pending().await
}

/// What the line begins with in which a process says that it is ready.
pub const READY: &str = "ready: ";

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A crew that was dropped has no wish any more: its tasks end with it.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if fs::metadata(path).is_ok_and(|log| log.len() > LONG_LOG) {
        fs::rename(path, path.with_extension("old"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The last lines of a file from `from` on.
fn tail_of(path: &Path, from: u64) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL.1))))?;
    let mut text = Vec::new();
    file.take(TAIL.1).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<String> = text.lines().rev().take(TAIL.0).map(str::to_owned).collect();
    lines.reverse();
    Ok(lines)
}
