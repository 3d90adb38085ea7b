//! Recordings of emulated links, as detection files.

use super::Side;
use super::recording::{Recorded, RecordingError, record};
use bellwether_network::Network;
use bellwether_sim::emulator::LinkEmulator;
use bellwether_units::{Duration, LinkId, Time};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a link was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or the folder cannot be made.
    #[error("cannot make `{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is there already; a recording never takes the place of another.
    #[error("`{0}` is there already: record to another folder, or remove the file and its `.progress`")]
    Exists(PathBuf),
    /// The recording.
    #[error("link `{link}`: {error}")]
    Recording {
        /// Of which link.
        link: String,
        /// What went wrong.
        error: RecordingError,
    },
}

/// The files that a recording of a link has in a folder: the transmitter's, then the receiver's.
pub fn files(folder: &Path, link: &str) -> [PathBuf; 2] {
    [Side::Transmitter, Side::Receiver].map(|side| folder.join(format!("{link}.{side}.bin")))
}

/// Records so much light of an emulated link into two new [`files`] in `folder`, which only their owner can read. Equal
/// seeds give equal light, so that whoever knows the seed knows the raw key. `run` names the recording.
///
/// # Errors
/// See [`RecordError`].
pub fn record_link(
    network: &Network,
    link: LinkId,
    seed: u64,
    run: u64,
    light: Duration,
    folder: &Path,
) -> Result<Recorded, RecordError> {
    let name = &network.link(link).name;
    let failed = |error| RecordError::Recording { link: name.clone(), error };
    let mut emulator = LinkEmulator::new(network, link, seed).map_err(|error| failed(error.into()))?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| RecordError::File { path: folder.to_owned(), source })?;
    let [transmitter, receiver] = files(folder, name);
    if let Some(there) = [&transmitter, &receiver].into_iter().find(|path| path.exists()) {
        return Err(RecordError::Exists(there.clone()));
    }
    let (transmitter, receiver) = (create(&transmitter)?, create(&receiver)?);
    let until = Time::ZERO.saturating_add(light);
    record(&mut emulator, name, run, until, receiver, transmitter).map_err(failed)
}

fn create(path: &Path) -> Result<BufWriter<File>, RecordError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|source| RecordError::File { path: path.to_owned(), source })?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}
