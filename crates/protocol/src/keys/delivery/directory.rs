//! Which applications there are, where they live, and which of them may share keys.

use super::name::SaeName;
use bellwether_units::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What the keys of a pair of applications must rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// Quantum key and a post-quantum secret, combined: whoever wants the key must break both.
    #[default]
    Both,
    /// Quantum key alone, handed out as it is: no assumption on computers is made.
    QuantumOnly,
    /// As [`Both`](Self::Both); but while no quantum key can be had, the post-quantum secret alone. Such keys are
    /// marked and the downgrade is reported.
    PostQuantumWhileDown,
    /// No key at all.
    Refuse,
}

impl Requirement {
    /// What satisfies both wishes.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        if self == other {
            self
        } else if self == Self::Refuse || other == Self::Refuse {
            Self::Refuse
        } else {
            Self::Both
        }
    }
}

/// What an ordered pair of applications may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairPolicy {
    /// What its keys must rest on.
    pub requirement: Requirement,
    /// The most keys a second, with bursts of one second's worth; `None` is without limit.
    pub keys_per_second: Option<u32>,
    /// The most bits a day, with bursts of one day's worth; `None` is without limit.
    pub bits_per_day: Option<u64>,
}

/// Why a directory is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// One application is said to be at two nodes.
    #[error("the application {0} is listed at two nodes")]
    TwoNodes(SaeName),
    /// A pair has an application that is not listed.
    #[error("a pair names the application {0}, which is not listed")]
    Unknown(SaeName),
}

#[derive(Clone, Copy, Debug)]
struct Application {
    node: NodeId,
    keys_per_second: Option<u32>,
}

/// The applications, their nodes, and the ordered pairs (master, slave) that may share keys: whatever is not
/// listed is denied.
///
/// ```
/// use bellwether_protocol::keys::delivery::{Directory, PairPolicy};
/// use bellwether_units::NodeId;
///
/// let mut directory = Directory::default();
/// directory.add_application("bank-a".parse()?, NodeId(0), None)?;
/// directory.add_application("bank-b".parse()?, NodeId(3), Some(100))?;
/// directory.allow(&"bank-a".parse()?, &"bank-b".parse()?, PairPolicy::default())?;
/// assert!(directory.policy("bank-a", "bank-b").is_some());
/// assert!(directory.policy("bank-b", "bank-a").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Directory {
    applications: BTreeMap<SaeName, Application>,
    pairs: BTreeMap<SaeName, BTreeMap<SaeName, PairPolicy>>,
}

impl Directory {
    /// Lists an application: where it lives and the most keys a second that it may ask for in all.
    ///
    /// # Errors
    /// If it is listed already at another node.
    pub fn add_application(
        &mut self,
        name: SaeName,
        node: NodeId,
        keys_per_second: Option<u32>,
    ) -> Result<(), DirectoryError> {
        if self.applications.get(&name).is_some_and(|old| old.node != node) {
            return Err(DirectoryError::TwoNodes(name));
        }
        self.applications.insert(name, Application { node, keys_per_second });
        Ok(())
    }

    /// Allows `master` to ask for keys that `slave` may collect. The reverse is a pair of its own; the pair of an
    /// application with itself is allowed only if listed so.
    ///
    /// # Errors
    /// If one of the two is not listed.
    pub fn allow(
        &mut self,
        master: &SaeName,
        slave: &SaeName,
        policy: PairPolicy,
    ) -> Result<(), DirectoryError> {
        for name in [master, slave] {
            if !self.applications.contains_key(name) {
                return Err(DirectoryError::Unknown(name.clone()));
            }
        }
        self.pairs.entry(master.clone()).or_default().insert(slave.clone(), policy);
        Ok(())
    }

    /// Where an application lives.
    pub fn node_of(&self, name: &str) -> Option<NodeId> {
        self.applications.get(name).map(|application| application.node)
    }
    /// What a pair may have, if it may have anything.
    pub fn policy(&self, master: &str, slave: &str) -> Option<PairPolicy> {
        let policy = self.pairs.get(master)?.get(slave)?;
        (policy.requirement != Requirement::Refuse).then_some(*policy)
    }
    /// The most keys a second that an application may ask for in all.
    pub fn keys_per_second(&self, name: &str) -> Option<u32> {
        self.applications.get(name)?.keys_per_second
    }
    /// The applications and their nodes, by name.
    pub fn applications(&self) -> impl Iterator<Item = (&SaeName, NodeId)> {
        self.applications.iter().map(|(name, application)| (name, application.node))
    }
    /// The pairs that may share keys: master, slave, policy; by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&SaeName, &SaeName, PairPolicy)> {
        self.pairs.iter().flat_map(|(master, slaves)| {
            slaves
                .iter()
                .filter(|(_, p)| p.requirement != Requirement::Refuse)
                .map(move |(s, p)| (master, s, *p))
        })
    }

    /// The other nodes with which `node` shares a pair, and whether as the masters' node.
    pub(super) fn peers_of(&self, node: NodeId) -> BTreeMap<NodeId, Neighbourhood> {
        let mut peers: BTreeMap<NodeId, Neighbourhood> = BTreeMap::new();
        for (master, slave, policy) in self.pairs() {
            let (Some(from), Some(to)) = (self.node_of(master.as_str()), self.node_of(slave.as_str())) else {
                continue;
            };
            let downgrade = policy.requirement == Requirement::PostQuantumWhileDown;
            if from == to {
                continue;
            } else if from == node {
                let peer = peers.entry(to).or_default();
                peer.masters_here = true;
                peer.may_downgrade |= downgrade;
            } else if to == node {
                peers.entry(from).or_default().may_be_downgraded |= downgrade;
            }
        }
        peers
    }
    /// The applications at `node`.
    pub(super) fn local(&self, node: NodeId) -> BTreeSet<SaeName> {
        self.applications().filter(|&(_, n)| n == node).map(|(name, _)| name.clone()).collect()
    }
}

/// What a node has to do with another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Neighbourhood {
    /// Applications here may ask for keys with applications there.
    pub(super) masters_here: bool,
    /// Some such pair may use keys without a quantum part.
    pub(super) may_downgrade: bool,
    /// Some pair with its master there may.
    pub(super) may_be_downgraded: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SaeName {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_listed_is_denied() {
        let mut d = Directory::default();
        d.add_application(name("a"), NodeId(0), None).unwrap();
        d.add_application(name("b"), NodeId(1), None).unwrap();
        let refuse = PairPolicy { requirement: Requirement::Refuse, ..PairPolicy::default() };
        assert_eq!(
            d.allow(&name("a"), &name("c"), PairPolicy::default()),
            Err(DirectoryError::Unknown(name("c")))
        );
        assert_eq!(d.add_application(name("a"), NodeId(1), None), Err(DirectoryError::TwoNodes(name("a"))));
        assert!(d.policy("a", "b").is_none() && d.peers_of(NodeId(0)).is_empty());
        d.allow(&name("a"), &name("b"), refuse).unwrap();
        assert!(d.policy("a", "b").is_none() && d.peers_of(NodeId(0)).is_empty());
        d.allow(&name("a"), &name("b"), PairPolicy::default()).unwrap();
        assert!(d.policy("a", "b").is_some() && d.policy("b", "a").is_none() && d.policy("a", "a").is_none());
        assert!(d.peers_of(NodeId(0))[&NodeId(1)].masters_here);
        assert!(!d.peers_of(NodeId(1))[&NodeId(0)].masters_here);
        assert_eq!(d.local(NodeId(1)), [name("b")].into());
    }

    #[test]
    fn differing_requirements_are_met_by_the_stricter() {
        use Requirement::{Both, PostQuantumWhileDown, QuantumOnly, Refuse};
        assert_eq!(Both.and(Both), Both);
        assert_eq!(QuantumOnly.and(QuantumOnly), QuantumOnly);
        assert_eq!(QuantumOnly.and(PostQuantumWhileDown), Both);
        assert_eq!(PostQuantumWhileDown.and(Both), Both);
        assert_eq!(QuantumOnly.and(Refuse), Refuse);
    }
}
