//! How a process is asked to stop: by a signal, or by the end of the process that started it.
//!
//! A process that was started by another holds a pipe from it as its standard input. However the other ends, kill -9
//! included, the system closes that pipe, and its end is read here. A [`RELOAD`] that comes before means what SIGHUP does.
//!
//! SIGHUP means two things: somebody wants the network file to be read anew, or the terminal at which the process was
//! started is gone. In the second case, and only then, standard input, output or error was a terminal and is none any more:
//! the system cuts a terminal off before it sends the signal.

use std::io::{self, IsTerminal, Read};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// How long a process whose parent has gone may take to stop in order before it is ended.
const LONGEST: Duration = Duration::from_secs(12);

/// Why a process is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT: Ctrl-C.
    Interrupted,
    /// SIGTERM: the system's service manager, or `kill`.
    Terminated,
    /// Standard input has ended: the parent wants it so, or is no more.
    Parent,
    /// The terminal is gone at which the process was started.
    Terminal,
}

/// What the parent of a process writes when its network file is to be read anew.
pub const RELOAD: u8 = b'\n';

/// Takes the wishes that a process reads its network file anew: SIGHUP, or the parent's. From its making on, the signal no
/// longer ends the process by itself; one that comes because the terminal is gone is told by [`Stop`].
pub struct Reload {
    signal: Signal,
    terminal: Terminal,
    parent: Option<mpsc::UnboundedReceiver<()>>,
}

impl Reload {
    /// Listens for the signal, and for the parent to which `stop` listens, if any.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen(stop: &mut Stop) -> io::Result<Self> {
        let terminal = Terminal::look();
        stop.hangup = Some((signal(SignalKind::hangup())?, terminal));
        Ok(Self { signal: signal(SignalKind::hangup())?, terminal, parent: stop.reload.take() })
    }

    /// Waits until somebody asks. Nothing is lost if the wait is given up.
    pub async fn asked(&mut self) {
        let parent = async {
            match &mut self.parent {
                Some(parent) => parent.recv().await,
                None => None,
            }
        };
        let signal = async {
            while self.signal.recv().await.is_some() {
                if !self.terminal.is_gone() {
                    return Some(());
                }
            }
            None
        };
        tokio::select! {
            Some(()) = signal => {}
            Some(()) = parent => {}
            else => std::future::pending().await,
        }
    }
}

/// Takes the wishes to stop of a process. From its making on, the signals no longer end the process by themselves.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    parent: Option<oneshot::Receiver<()>>,
    reload: Option<mpsc::UnboundedReceiver<()>>,
    /// Of a process that takes SIGHUP: it, and the terminal at the start.
    hangup: Option<(Signal, Terminal)>,
}

impl Stop {
    /// Listens for signals, and for the end of standard input as well if a `parent` holds its other end.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen(parent: bool) -> io::Result<Self> {
        let (parent, reload) = if parent {
            let (ended, told) = oneshot::channel();
            let (tell_reload, reload) = mpsc::unbounded_channel();
            // A thread of its own: a runtime waits for what it reads, and standard input never ends by itself.
            std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
                read_to_end(&mut io::stdin().lock(), || {
                    // Nobody listens in a process that has nothing to read anew.
                    let _ = tell_reload.send(());
                });
                let _ = ended.send(());
                std::thread::sleep(LONGEST);
                std::process::exit(1);
            })?;
            (Some(told), Some(reload))
        } else {
            (None, None)
        };
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, parent, reload, hangup: None })
    }

    /// Waits until somebody asks. Nothing is lost if the wait is given up, and a second wish ends a second wait.
    pub async fn asked(&mut self) -> Cause {
        let parent = async {
            match &mut self.parent {
                Some(parent) => {
                    // Whether it was told or its thread has ended, there is no parent.
                    let _ = parent.await;
                }
                None => std::future::pending().await,
            }
        };
        let hangup = async {
            if let Some((signal, terminal)) = &mut self.hangup {
                while signal.recv().await.is_some() {
                    if terminal.is_gone() {
                        return;
                    }
                }
            }
            std::future::pending().await
        };
        let cause = tokio::select! {
            _ = self.interrupt.recv() => Cause::Interrupted,
            _ = self.terminate.recv() => Cause::Terminated,
            () = parent => Cause::Parent,
            () = hangup => Cause::Terminal,
        };
        match cause {
            Cause::Parent => self.parent = None,
            // A shell that ends with its terminal sends the signal once more: that is no second wish.
            Cause::Terminal => self.hangup = None,
            Cause::Interrupted | Cause::Terminated => {}
        }
        cause
    }
}

/// Which of standard input, output and error were a terminal.
#[derive(Clone, Copy)]
struct Terminal([bool; 3]);

impl Terminal {
    fn look() -> Self {
        Self([io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()])
    }

    fn is_gone(self) -> bool {
        let Self(now) = Self::look();
        self.0.iter().zip(now).any(|(was, is)| *was && !is)
    }
}

fn read_to_end(input: &mut impl Read, reload: impl Fn()) {
    let mut read = [0; 256];
    loop {
        match input.read(&mut read) {
            Ok(0) => return,
            // Several at once mean no more than one.
            Ok(length) if read[..length].contains(&RELOAD) => reload(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
