//! Recorded material and a connection become keys, in two processes: what `bellwether distill` does.
//!
//! [`RawKey`] reads a raw key and [`tags::TagRecord`] a record of time tags, [`AuthenticationFile`] a shared secret, [`connect`] or [`listen`] give a [`Line`] to the
//! other end, and [`Run::carry_out`] drives the machines of
//! [`bellwether_protocol::qkd::raw`], where need be after those of [`bellwether_protocol::qkd::tags`], until keys stand in a [`KeyFile`]. What was used of a raw key, and of a secret, is
//! kept beside the files and is durable before it is used: neither is used twice.
//!
//! [`LinkMaterial`] and [`LinkRun`] do the same of recorded detections and what was prepared for them.

mod key_file;
mod line;
pub mod link;
mod material;
mod progress;
mod raw_key;
mod run;
mod secret;
mod sifting;
mod summary;
pub mod tags;

pub use key_file::KeyFile;
pub use line::{Certified, Line, LineError, connect, listen, unless_stopped};
pub use link::{LinkBlockSummary, LinkFormat, LinkMaterial, LinkRun, LinkRunError, LinkSummary};
pub use material::Material;
pub use raw_key::{Format, RawKey, raw_key_file};
pub use run::{Role, Run, RunError, Watch};
pub use secret::AuthenticationFile;
pub use summary::{BasisSummary, BlockSummary, ClickSummary, SiftingSummary, Summary};

use std::io;
use std::path::PathBuf;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its content is not what it should be.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Where, what is there and what would be right.
        problem: String,
    },
    /// A secret file that others may read.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityFileError),
}

fn failed(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { doing, path, source }
}
