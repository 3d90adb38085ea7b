//! The pre-shared key of one peer of a WireGuard interface, set by the program `wg`. Keys go to its standard input and
//! nowhere else.

use super::rotation::Psk;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest name of an interface (IFNAMSIZ without its end).
const NAME_LIMIT: usize = 15;

/// Why the interface's keys cannot be set or seen.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The name.
    #[error(
        "`{0}` is no name of an interface: 1 to 15 letters, digits, `_`, `=`, `+`, `.` or `-`, the first no `-`"
    )]
    Name(String),
    /// The public key.
    #[error("`{0}` is no public key: write the 44 characters of base64 that `wg pubkey` gives")]
    PublicKey(String),
    /// The program did not start or end.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// Which.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The program refused.
    #[error("`{program}` failed: {message}")]
    Refused {
        /// Which.
        program: String,
        /// What it said on standard error.
        message: String,
    },
    /// The interface has no such peer.
    #[error(
        "interface `{interface}` has no peer {peer}: add it first, with its endpoint and allowed addresses"
    )]
    NoPeer {
        /// The interface.
        interface: String,
        /// The peer's public key.
        peer: String,
    },
}

/// One peer of one interface.
#[derive(Clone, Debug)]
pub struct Interface {
    program: PathBuf,
    name: String,
    peer: String,
}

impl Interface {
    /// The peer with this public key (base64) at the interface `name`; `program` is `wg`, or what stands in for it.
    ///
    /// # Errors
    /// If name or public key are none.
    pub fn new(program: PathBuf, name: &str, peer: &str) -> Result<Self, InterfaceError> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_=+.-".contains(&byte);
        let fits =
            (1..=NAME_LIMIT).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(letter);
        if !fits {
            return Err(InterfaceError::Name(name.to_owned()));
        }
        if STANDARD.decode(peer).map_or(0, |key| key.len()) != 32 {
            return Err(InterfaceError::PublicKey(peer.to_owned()));
        }
        Ok(Self { program, name: name.to_owned(), peer: peer.to_owned() })
    }

    /// Sees whether the interface and its peer are there: `wg` would make a peer that is not.
    ///
    /// # Errors
    /// If not, or `wg` cannot be run.
    pub async fn check(&self) -> Result<(), InterfaceError> {
        let peers = self.run(&["show", &self.name, "peers"], None).await?;
        if peers.split_whitespace().any(|peer| peer == self.peer) {
            return Ok(());
        }
        Err(InterfaceError::NoPeer { interface: self.name.clone(), peer: self.peer.clone() })
    }

    /// Sets the pre-shared key. WireGuard takes it for its next handshake; the session that it has goes on.
    ///
    /// # Errors
    /// See [`InterfaceError`]. What is set then is not known.
    pub async fn set(&self, psk: &Psk) -> Result<(), InterfaceError> {
        let mut text = Zeroizing::new(String::with_capacity(45));
        STANDARD.encode_string(psk.0.as_slice(), &mut text);
        text.push('\n');
        let words = ["set", &self.name, "peer", &self.peer, "preshared-key", "/dev/stdin"];
        self.run(&words, Some(&text)).await.map(drop)
    }

    /// Sets a random pre-shared key that is forgotten at once: no handshake can succeed.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn lock(&self) -> Result<(), InterfaceError> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random)
            .expect("an operating system that started this process gives randomness");
        self.set(&Psk(random)).await
    }

    /// When the last handshake with the peer was, in seconds of Unix time; `None` if there was none.
    ///
    /// # Errors
    /// See [`InterfaceError`].
    pub async fn latest_handshake(&self) -> Result<Option<i64>, InterfaceError> {
        let all = self.run(&["show", &self.name, "latest-handshakes"], None).await?;
        let of_peer = all.lines().find_map(|line| line.strip_prefix(&self.peer)?.trim().parse().ok());
        Ok(of_peer.filter(|&seconds| seconds > 0))
    }

    async fn run(&self, words: &[&str], input: Option<&Zeroizing<String>>) -> Result<String, InterfaceError> {
        let program = self.program.display().to_string();
        let failed = |source| InterfaceError::Program { program: program.clone(), source };
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = Command::new(&self.program)
            .args(words)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let ended = async {
            if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
                // Whether it took the key, its exit code says.
                let _ = pipe.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let output = timeout(PATIENCE, ended).await.unwrap_or_else(|_| Err(late())).map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        // `wg` quotes a key that it does not understand.
        if message.is_empty() || input.is_some_and(|input| message.contains(input.trim())) {
            message = output.status.to_string();
        }
        Err(InterfaceError::Refused { program, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_public_keys_are_checked_before_they_are_arguments() {
        let key = STANDARD.encode([7; 32]);
        let made = |name: &str, key: &str| Interface::new("wg".into(), name, key);
        assert!(made("wg0", &key).is_ok() && made("wg-site.b_1", &key).is_ok());
        for name in ["", "-wg0", "all of them", "wg/0", "sixteen-letters-"] {
            assert!(matches!(made(name, &key), Err(InterfaceError::Name(_))), "{name}");
        }
        for key in ["", "remove", &key[1..], &STANDARD.encode([7; 31])] {
            assert!(matches!(made("wg0", key), Err(InterfaceError::PublicKey(_))), "{key}");
        }
    }
}
