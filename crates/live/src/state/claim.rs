//! Which network a state directory belongs to.
//!
//! Stores know nodes and links by their places in the network file. A directory that was used for one network would be
//! nonsense to another, or to the same one with its nodes in another order: so the names are kept, in `names`, and
//! compared at each start. Nodes and links may be added behind those that were there.

use super::{State, StateError};
use crate::identity::{IdentityFileError, files};
use bellwether_network::Network;
use std::io;

impl State {
    /// Takes the directory for `network`, whose names are kept in it from the first time on.
    ///
    /// # Errors
    /// [`StateError::AnotherNetwork`] if it was taken for another.
    pub fn claim(&self, network: &Network) -> Result<(), StateError> {
        let path = self.root().join("names");
        let nodes = network.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>();
        let links = network.links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>();
        let kept = match std::fs::read_to_string(&path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(IdentityFileError::Io { doing: "read", path, source }.into()),
        };
        for (kind, names) in [("node", &nodes), ("link", &links)] {
            let was = kept.lines().filter_map(|line| line.split_once(' ').filter(|(word, _)| *word == kind));
            for (place, (_, was)) in was.enumerate() {
                let is = names.get(place).copied();
                if is != Some(was) {
                    let (is, was) = (is.map(str::to_owned), was.to_owned());
                    return Err(StateError::AnotherNetwork { path, kind, place: place + 1, was, is });
                }
            }
        }
        let mut names = String::new();
        for (kind, all) in [("node", nodes), ("link", links)] {
            all.into_iter().for_each(|name| names.push_str(&format!("{kind} {name}\n")));
        }
        if names != kept {
            files::write_public(&path, names.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(nodes: &[&str]) -> Network {
        let nodes: String = nodes.iter().map(|name| format!("[node.{name}]\n")).collect();
        let text = format!("format = 1\nnetwork.name = \"n\"\n{nodes}");
        Network::parse(&text, "n.toml", &[]).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_directory_belongs_to_one_network_which_may_grow() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path());
        state.claim(&network(&["A", "B"])).unwrap();
        state.claim(&network(&["A", "B"])).unwrap();
        state.claim(&network(&["A", "B", "C"])).unwrap();
        for other in [&["A", "B"][..], &["A", "C", "B"], &["X"]] {
            let error = state.claim(&network(other)).unwrap_err();
            assert!(matches!(error, StateError::AnotherNetwork { .. }), "{error}");
            assert!(error.to_string().contains("names"), "{error}");
        }
        state.claim(&network(&["A", "B", "C"])).unwrap();
    }
}
