//! The state directory: what daemons keep on disk, and what is made there on first use.
//!
//! | where | what | who needs it |
//! |---|---|---|
//! | `pki/` | authorities, certificates and private keys ([`identity`](crate::identity)) | everybody; a separate host its own certificate, its private key and the authorities' certificates |
//! | `links/LINK.secret` | the secret that authenticates a link's first messages | the link's two nodes |
//! | `lock` | whoever runs the whole network from here holds it locked | `bellwether up` |
//! | `names` | the nodes and links that the directory was used for: stores know them by their places | all |
//! | `webhooks/NAME.secret` | the text that signs what nodes post to a webhook | the nodes, and whoever is told |
//! | `nodes/NAME/audit.jsonl` | the node's audit log ([`audit`](crate::audit)) | the node, and auditors |
//! | `nodes/NAME/store.redb` | the node's sealed records ([`store`](crate::store)) | the node |
//! | `nodes/NAME/witness` | the counter that tells a store put back from a current one; better on another disk (`--witness`) | the node |
//! | `nodes/NAME/master.key` | the key that opens the store | the node |
//!
//! Folders have mode 0700, secrets 0600.

mod claim;
mod export;
mod lock;

pub use export::Holder;
pub use lock::Lock;

use crate::identity::{
    Authority, AuthorityError, IdentityFileError, Layout, Role, SignatureKind, authority, files,
};
use crate::random::SystemRandom;
use bellwether_bits::{BitString, SecretBits};
use bellwether_network::{Listener, Network};
use bellwether_protocol::qkd::session::Durable;
use bellwether_sim::emulator::provisioned_bits;
use bellwether_units::NodeId;
use rand_core::Rng;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the emulated physical layer among nodes: none of a network's nodes may have it.
pub const PHYSICAL_LAYER: &str = "_physical-layer";
/// The name of whoever may make things happen to the emulated light.
pub const OPERATOR: &str = "_operator";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file of an identity or a secret.
    #[error(transparent)]
    File(#[from] IdentityFileError),
    /// An authority or a certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The operating system refused.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A node has a name that is kept for something else.
    #[error("a node of a network that runs live cannot be called `{0}`: rename it")]
    Reserved(String),
    /// A network runs from the directory.
    #[error(
        "this network runs already{}, with its state in {}: stop it first, or name another directory with --state and \
         other ports",
        process.map_or(String::new(), |process| format!(" (process {process})")),
        root.display()
    )]
    Running {
        /// The directory.
        root: PathBuf,
        /// Who runs it, if that is known.
        process: Option<u32>,
    },
    /// The directory was used for another network.
    #[error(
        "{} tells that this state is of another network: {kind} {place} was `{was}` and is {}; name another directory \
         with --state, or remove this one with all its keys",
        path.display(),
        is.as_ref().map_or("missing".to_owned(), |is| format!("`{is}`"))
    )]
    AnotherNetwork {
        /// The file of names.
        path: PathBuf,
        /// `node` or `link`.
        kind: &'static str,
        /// Which, counted from one.
        place: usize,
        /// Its name when the directory was used first.
        was: String,
        /// Its name now.
        is: Option<String>,
    },
    /// A certificate cannot get other hosts any more.
    #[error("the key manager of `{node}` has its certificate already: remove {} to have another made", path.display())]
    Issued {
        /// Whose.
        node: String,
        /// The certificate.
        path: PathBuf,
    },
    /// A webhook's secret is too short.
    #[error("{} holds {found} characters, too few to sign with: write 16 or more, better 64 random digits", path.display())]
    WebhookSecret {
        /// The file.
        path: PathBuf,
        /// How many characters it has.
        found: usize,
    },
    /// A link's secret is not what it should be.
    #[error("{} holds {found} bits of secret where the link wants {wanted}: copy it from the other node", path.display())]
    LinkSecret {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: usize,
        /// What the network file says.
        wanted: usize,
    },
}

/// A state directory.
#[derive(Clone, Debug)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// The directory at `root`; nothing is made yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The place of a network's state if nobody names another: `bellwether-state`, in it a folder with the
    /// network's name in plain letters, under the working directory.
    pub fn of_network(network: &Network) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = network.name.chars().map(plain).take(64).collect();
        let name = name.trim_matches('-');
        Self::at(Path::new("bellwether-state").join(if name.is_empty() { "network" } else { name }))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its identities.
    pub fn identities(&self) -> Layout {
        Layout::under(&self.root)
    }

    /// The folder of a node, which is made if it is not there.
    ///
    /// # Errors
    /// [`StateError::Folder`].
    pub fn node(&self, name: &str) -> Result<PathBuf, StateError> {
        self.folder(&["nodes", name])
    }

    /// Makes whatever `network` and these applications need and is not there yet: test authorities, certificates,
    /// secrets of links. What is there stays as it is. Says how many certificates it made.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn provision<'a>(
        &self,
        network: &Network,
        applications: impl IntoIterator<Item = &'a str>,
    ) -> Result<usize, StateError> {
        self.provision_with_hosts(network, applications, &BTreeMap::new())
    }

    /// The same, where the key managers of some nodes, by their names, can also be reached under these DNS names and
    /// addresses. All can be under `localhost` and under the address that the network file gives them.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn provision_with_hosts<'a>(
        &self,
        network: &Network,
        applications: impl IntoIterator<Item = &'a str>,
        hosts: &BTreeMap<String, Vec<String>>,
    ) -> Result<usize, StateError> {
        if let Some(node) =
            network.nodes.iter().find(|node| [PHYSICAL_LAYER, OPERATOR].contains(&&*node.name))
        {
            return Err(StateError::Reserved(node.name.clone()));
        }
        self.claim(network)?;
        let layout = self.identities();
        let nodes = network.nodes.iter().map(|node| node.name.as_str());
        let mut made = 0;
        made += issue(&layout, Role::Node, nodes.chain([PHYSICAL_LAYER, OPERATOR]).map(without_hosts))?;
        let mut managers = Vec::new();
        for (place, node) in network.nodes.iter().enumerate() {
            let more = hosts.get(&node.name);
            let path = layout.certificate(Role::KeyManager, &node.name)?;
            if more.is_some() && path.exists() {
                return Err(StateError::Issued { node: node.name.clone(), path });
            }
            let mut all = authority::loopback_hosts();
            for listener in [Listener::KeyManager, Listener::Programs] {
                let address = network.listener(NodeId(place as u32), listener).map(|address| address.ip());
                let ip = address.filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
                if let Some(ip) = ip.map(|ip| ip.to_string()).filter(|ip| !all.contains(ip)) {
                    all.push(ip);
                }
            }
            all.extend(more.into_iter().flatten().cloned());
            managers.push((node.name.as_str(), all));
        }
        made += issue(&layout, Role::KeyManager, managers)?;
        made += issue(&layout, Role::Application, applications.into_iter().map(without_hosts))?;
        self.folder(&["links"])?;
        for link in &network.links {
            let path = self.link_secret_file(&link.name);
            if !path.exists() {
                let bits = SecretBits::random(provisioned_bits(link), &mut SystemRandom::new());
                let bytes = Zeroizing::new(bits.expose().to_bytes());
                files::write_private(&path, &bytes)?;
            }
        }
        for webhook in &network.live.webhooks {
            let path = self.webhook_secret_file(&webhook.name);
            if !path.exists() {
                let mut secret = Zeroizing::new([0; 32]);
                SystemRandom::new().fill_bytes(&mut *secret);
                let digits: Zeroizing<String> =
                    Zeroizing::new(secret.iter().map(|byte| format!("{byte:02x}")).collect());
                files::write_private(&path, digits.as_bytes())?;
            }
        }
        Ok(made)
    }

    /// The text that signs what is posted to a webhook, without white space around it.
    ///
    /// # Errors
    /// If the file is not there, others may read it, or the text is shorter than 16 characters.
    pub fn webhook_secret(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, StateError> {
        let path = self.webhook_secret_file(name);
        let secret = Zeroizing::new(files::read_private(&path)?.trim_ascii().to_vec());
        match secret.len() {
            0..16 => Err(StateError::WebhookSecret { path, found: secret.len() }),
            _ => Ok(secret),
        }
    }

    fn webhook_secret_file(&self, name: &str) -> PathBuf {
        self.root.join("webhooks").join(format!("{name}.secret"))
    }

    /// The state of an end of a link that has never run, from the secret that both ends were given.
    ///
    /// # Errors
    /// If the secret is not there, or too short.
    pub fn link_secret(&self, link: &bellwether_network::Link) -> Result<Durable, StateError> {
        let path = self.link_secret_file(&link.name);
        let bytes = files::read_private(&path)?;
        let wanted = provisioned_bits(link);
        let wrong = |found| StateError::LinkSecret { path: path.clone(), found, wanted };
        if bytes.len() != wanted.div_ceil(8) {
            return Err(wrong(bytes.len() * 8));
        }
        let secret = SecretBits::new(BitString::from_bytes(&bytes, wanted));
        Durable::provisioned(secret).map_err(|_| wrong(wanted))
    }

    fn link_secret_file(&self, link: &str) -> PathBuf {
        self.root.join("links").join(format!("{link}.secret"))
    }

    fn folder(&self, parts: &[&str]) -> Result<PathBuf, StateError> {
        let path = parts.iter().fold(self.root.clone(), |path, part| path.join(part));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StateError::Folder { path: path.clone(), source })?;
        Ok(path)
    }
}

fn without_hosts(name: &str) -> (&str, Vec<String>) {
    (name, Vec::new())
}

fn issue<'a>(
    layout: &Layout,
    role: Role,
    names: impl IntoIterator<Item = (&'a str, Vec<String>)>,
) -> Result<usize, StateError> {
    let authority = Authority::open_or_create(layout, role, SignatureKind::of_role(role))?;
    let mut made = 0;
    for (name, hosts) in names {
        if !layout.certificate(role, name)?.exists() {
            authority.issue(layout, name, &hosts)?;
            made += 1;
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
format = 1
[network]
name = "two"
[node.A]
[node.B]
[link.A-B]
ends = ["A", "B"]
fibre = { length = "1 km", loss_per_length = "0.2 dB/km" }
transmitter = { profile = "generic-decoy-1ghz", clock = "10 MHz" }
receiver = { profile = "idq-clavis-receiver" }
"#;

    #[test]
    fn first_use_makes_everything_and_the_second_nothing() {
        let network = Network::parse(TWO, "two.toml", &[]).unwrap_or_else(|e| panic!("{e}"));
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        // Two nodes in two roles, the physical layer, the operator, one application.
        assert_eq!(state.provision(&network, ["bank-a"]).unwrap(), 7);
        assert_eq!(state.provision(&network, ["bank-a"]).unwrap(), 0);
        let link = &network.links[0];
        let [first, second] = [(); 2].map(|()| state.link_secret(link).unwrap().encode());
        assert_eq!(first, second);
        std::fs::write(state.link_secret_file(&link.name), [0; 8]).unwrap();
        assert!(matches!(state.link_secret(link), Err(StateError::LinkSecret { found: 64, .. })));
    }
}
