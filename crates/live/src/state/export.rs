//! What one host needs of a state directory, copied into one of its own.

use super::{OPERATOR, PHYSICAL_LAYER, State, StateError};
use crate::identity::{IdentityFileError, Role, files};
use bellwether_network::Network;
use std::io;
use std::path::{Path, PathBuf};

/// Who gets a state directory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A node: its names as node and as key manager, and the secrets of its links and of webhooks.
    Node(&'a str),
    /// The emulated physical layer.
    PhysicalLayer,
    /// Whoever makes things happen to the emulated light.
    Operator,
    /// An application.
    Application(&'a str),
}

impl State {
    /// Copies what `holder` needs into the state directory `to`, and nothing else: certificates and private keys of
    /// its own, the certificates of the authorities that it verifies others by, the secrets that it shares; no
    /// authority's private key. Gives the files in `to`, in the order of their names.
    ///
    /// # Errors
    /// If something is not there (see [`provision`](Self::provision)), or cannot be written, or the network has no
    /// such node or link.
    pub fn export(
        &self,
        network: &Network,
        holder: Holder<'_>,
        to: &State,
    ) -> Result<Vec<PathBuf>, StateError> {
        let (identities, authorities): (Vec<(Role, &str)>, &[Role]) = match holder {
            Holder::Node(name) => {
                (vec![(Role::Node, name), (Role::KeyManager, name)], &[Role::Node, Role::Application])
            }
            Holder::PhysicalLayer => (vec![(Role::Node, PHYSICAL_LAYER)], &[Role::Node]),
            Holder::Operator => (vec![(Role::Node, OPERATOR)], &[Role::Node]),
            Holder::Application(name) => (vec![(Role::Application, name)], &[Role::KeyManager]),
        };
        let (from, into) = (self.identities(), to.identities());
        let mut copied = Vec::new();
        for (role, name) in identities {
            copy_private(&from.key(role, name)?, into.key(role, name)?, &mut copied)?;
            copy_public(&from.certificate(role, name)?, into.certificate(role, name)?, &mut copied)?;
        }
        for &role in authorities {
            copy_public(&from.authority(role), into.authority(role), &mut copied)?;
        }
        if let Holder::Node(name) = holder {
            for webhook in &network.live.webhooks {
                let name = &webhook.name;
                let (secret, place) = (self.webhook_secret_file(name), to.webhook_secret_file(name));
                copy_private(&secret, place, &mut copied)?;
            }
            let node = network.nodes.iter().position(|node| node.name == name);
            for link in &network.links {
                let ends = [link.transmitter_at, link.receiver_at];
                if ends.iter().any(|end| Some(end.index()) == node) {
                    let (secret, place) =
                        (self.link_secret_file(&link.name), to.link_secret_file(&link.name));
                    copy_private(&secret, place, &mut copied)?;
                }
            }
        }
        copied.sort();
        Ok(copied)
    }
}

fn copy_private(from: &Path, to: PathBuf, copied: &mut Vec<PathBuf>) -> Result<(), IdentityFileError> {
    files::write_private(&to, &files::read_private(from)?)?;
    copied.push(to);
    Ok(())
}

fn copy_public(from: &Path, to: PathBuf, copied: &mut Vec<PathBuf>) -> Result<(), IdentityFileError> {
    let failed = |source: io::Error| IdentityFileError::Io { doing: "read", path: from.to_owned(), source };
    files::write_public(&to, &std::fs::read(from).map_err(failed)?)?;
    copied.push(to);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const THREE: &str = r#"
format = 1
[network]
name = "three"
[node.A]
[node.B]
[node.C]
[defaults]
fibre = { length = "1 km", loss_per_length = "0.2 dB/km" }
transmitter = { profile = "generic-decoy-1ghz", clock = "10 MHz" }
receiver = { profile = "idq-clavis-receiver" }
[link.A-B]
ends = ["A", "B"]
[link.B-C]
ends = ["C", "B"]
"#;

    fn files_under(folder: &Path) -> BTreeSet<String> {
        let mut folders = vec![folder.to_owned()];
        let mut found = BTreeSet::new();
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(folder).unwrap().display().to_string());
                }
            }
        }
        found
    }

    #[test]
    fn a_host_gets_its_own_and_nothing_else() {
        let network = Network::parse(THREE, "three.toml", &[]).unwrap_or_else(|e| panic!("{e}"));
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("all"));
        state.provision(&network, ["bank-a"]).unwrap();
        for (number, (holder, expected)) in [
            (
                Holder::Node("A"),
                "links/A-B.secret pki/applications/ca.pem pki/key-managers/A.key.pem pki/key-managers/A.pem \
                 pki/nodes/A.key.pem pki/nodes/A.pem pki/nodes/ca.pem",
            ),
            (
                Holder::PhysicalLayer,
                "pki/nodes/_physical-layer.key.pem pki/nodes/_physical-layer.pem pki/nodes/ca.pem",
            ),
            (Holder::Operator, "pki/nodes/_operator.key.pem pki/nodes/_operator.pem pki/nodes/ca.pem"),
            (
                Holder::Application("bank-a"),
                "pki/applications/bank-a.key.pem pki/applications/bank-a.pem pki/key-managers/ca.pem",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let host = State::at(folder.path().join(number.to_string()));
            let copied = state.export(&network, holder, &host).unwrap();
            let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
            assert_eq!(files_under(host.root()), expected, "{holder:?}");
            assert_eq!(copied.len(), expected.len());
        }
        let host = State::at(folder.path().join("0"));
        assert!(host.identities().load(Role::Node, "A").is_ok());
        assert!(host.link_secret(&network.links[0]).is_ok() && host.link_secret(&network.links[1]).is_err());
        let both = State::at(folder.path().join("B"));
        state.export(&network, Holder::Node("B"), &both).unwrap();
        assert!(network.links.iter().all(|link| both.link_secret(link).is_ok()));
        assert!(state.export(&network, Holder::Node("D"), &host).is_err());
    }
}
