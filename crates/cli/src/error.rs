//! Why the command could not do what it was told, and its exit code.

use std::io;
use std::path::{Path, PathBuf};

/// Why the command stops short.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The network file, an override or a name on the command line is wrong; the text says where and how.
    #[error("{0}")]
    Input(String),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The result cannot be printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
    /// What runs, or who was asked, fails; the text says which and what may help.
    #[error("{0}")]
    Live(String),
    /// What was asked for is not to be had now, and may be later.
    #[error("{0}")]
    Later(String),
    /// The reader of our output has gone away, which is its right.
    #[error("the reader has gone away")]
    BrokenPipe,
    /// Interrupted; what there was has been told.
    #[error("interrupted: the results are partial")]
    Interrupted,
}

impl Failure {
    /// The exit code of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Write { .. } | Self::Print(_) | Self::Live(_) => 1,
            Self::Input(_) => 2,
            Self::Later(_) => 3,
            Self::Interrupted => 130,
        }
    }

    pub(crate) fn input(cause: impl ToString) -> Self {
        Self::Input(cause.to_string())
    }

    pub(crate) fn live(cause: impl ToString) -> Self {
        Self::Live(cause.to_string())
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// Says on standard error what went wrong.
    pub(crate) fn tell(&self) {
        if !matches!(self, Self::BrokenPipe) {
            let text = self.to_string();
            let prefix = if text.starts_with("error") { "" } else { "error: " };
            // Nobody is left to tell if standard error is gone as well.
            let _ =
                io::Write::write_all(&mut io::stderr(), format!("{prefix}{}\n", text.trim_end()).as_bytes());
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::BrokenPipe } else { Self::Print(error) }
    }
}
