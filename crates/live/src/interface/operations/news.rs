//! What happens at a node, as operators are told: by events, webhooks and the audit log. No key is in any of it.

use serde::Serialize;

/// Something that happened. As JSON, one object: its kind under `event`, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum News {
    /// The node runs.
    Started {
        /// The version of the program.
        software: &'static str,
    },
    /// The node stops, in order.
    Stopped,
    /// Something needs attention.
    Alarm {
        /// Over which link, if over one.
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// With which node, if the key managers raised it.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// A word for it that stays the same between versions.
        kind: &'static str,
        /// In words.
        text: String,
        /// In which block, if in one.
        #[serde(skip_serializing_if = "Option::is_none")]
        block: Option<String>,
        /// What was seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
        /// What was expected.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<String>,
        /// For a statistical test, the probability that an honest link shows this or worse.
        #[serde(skip_serializing_if = "Option::is_none")]
        p_value: Option<f64>,
    },
    /// Whether a link's key may be used has changed.
    Condition {
        /// Which link.
        link: String,
        /// `up`, `cut` or `alarmed`.
        condition: &'static str,
    },
    /// A session with the other end of a link began, or ended.
    Session {
        /// Which link.
        link: String,
        /// The session's number; none when it ended.
        session: Option<u64>,
    },
    /// The other end's light is seen, or no longer.
    Light {
        /// Which link.
        link: String,
        /// Whether it is seen.
        seen: bool,
    },
    /// The devices of a link answer, or no longer.
    Devices {
        /// Which link.
        link: String,
        /// Whether they answer.
        answer: bool,
    },
    /// A block of a link ended.
    Block {
        /// Which link.
        link: String,
        /// Which block.
        block: u64,
        /// Pulses in its windows.
        pulses: u64,
        /// Clicks in its windows.
        clicks: u64,
        /// The error rate of the key basis, as a fraction, if it is known.
        qber_key: Option<f64>,
        /// The error rate of the check basis, as a fraction, if it is known.
        qber_check: Option<f64>,
        /// Bits that reconciliation disclosed.
        leaked_bits: u64,
        /// Bits of key handed out.
        key_bits: u64,
        /// Why there is no key, if there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        discarded: Option<&'static str>,
    },
    /// Keys were handed to their master.
    Issued {
        /// Their names.
        keys: Vec<String>,
        /// To whom.
        master: String,
        /// For whom.
        slaves: Vec<String>,
        /// How long each is, in bits.
        bits: u32,
        /// What they rest on.
        protection: &'static str,
        /// The nodes that have seen the quantum key in them, or a share of it.
        nodes: Vec<String>,
    },
    /// Keys were handed to a slave.
    Collected {
        /// Their names.
        keys: Vec<String>,
        /// From whom.
        master: String,
        /// By whom.
        slave: String,
        /// The nodes that have seen the quantum key in them, or a share of it.
        nodes: Vec<String>,
    },
    /// The network gave the key manager a key, of which keys for applications are made.
    QuantumKey {
        /// Its name.
        key: String,
        /// The other end.
        peer: String,
        /// How long it is, in bits.
        bits: usize,
        /// The links that its shares passed, one route a share.
        routes: Vec<Vec<String>>,
        /// The nodes that have seen it or a share of it.
        nodes: Vec<String>,
    },
    /// A key passed this node as a relay: this node has seen it.
    Relayed {
        /// Its name.
        key: String,
        /// Its source.
        from: String,
        /// Its destination.
        to: String,
        /// The link it came by.
        arrived_by: String,
        /// The link it left by.
        left_by: String,
    },
    /// A key did not get through, and is asked for again over another route where there is one.
    Rerouted {
        /// Its name; it is burned.
        key: String,
        /// Where it failed, if that is known.
        link: Option<String>,
        /// How.
        failure: &'static str,
    },
    /// Keys must not be used.
    Lost {
        /// Their names.
        keys: Vec<String>,
        /// Why.
        cause: &'static str,
    },
    /// Key in stock was burned: never used, and erased.
    Burned {
        /// Of which link's pool, if of a pool.
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// Of the stock with which node, if of that.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// How many bits.
        bits: u64,
        /// Why.
        cause: &'static str,
    },
    /// Keys with a node have no quantum part from now on, or have one again.
    Downgraded {
        /// The other node.
        peer: String,
        /// Why there is no quantum key; none when there is again.
        reason: Option<String>,
    },
    /// Questions of applications were denied, in the last second or so.
    Denied {
        /// Who asked.
        caller: String,
        /// About whom.
        other: String,
        /// How often.
        times: u64,
    },
    /// Callers were not let in, in the last second or so.
    Refused {
        /// By which interface.
        interface: &'static str,
        /// From where.
        address: String,
        /// Why.
        why: &'static str,
        /// How often.
        times: u64,
    },
    /// What was read anew from the network file.
    Policy {
        /// What differs, in words.
        changes: Vec<String>,
    },
    /// So much happened at once that so many entries are missing here.
    Missed {
        /// How many.
        entries: u64,
    },
}

/// What kind of thing happened: what subscribers and webhooks choose by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is documented at the kind of news of its name")]
pub enum Kind {
    Started,
    Stopped,
    Alarm,
    Condition,
    Session,
    Light,
    Devices,
    Block,
    Issued,
    Collected,
    QuantumKey,
    Relayed,
    Rerouted,
    Lost,
    Burned,
    Downgraded,
    Denied,
    Refused,
    Policy,
    Missed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Started,
        Self::Stopped,
        Self::Alarm,
        Self::Condition,
        Self::Session,
        Self::Light,
        Self::Devices,
        Self::Block,
        Self::Issued,
        Self::Collected,
        Self::QuantumKey,
        Self::Relayed,
        Self::Rerouted,
        Self::Lost,
        Self::Burned,
        Self::Downgraded,
        Self::Denied,
        Self::Refused,
        Self::Policy,
        Self::Missed,
    ];

    /// As it stands under `event`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Alarm => "alarm",
            Self::Condition => "condition",
            Self::Session => "session",
            Self::Light => "light",
            Self::Devices => "devices",
            Self::Block => "block",
            Self::Issued => "issued",
            Self::Collected => "collected",
            Self::QuantumKey => "quantum-key",
            Self::Relayed => "relayed",
            Self::Rerouted => "rerouted",
            Self::Lost => "lost",
            Self::Burned => "burned",
            Self::Downgraded => "downgraded",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Policy => "policy",
            Self::Missed => "missed",
        }
    }

    /// Whether it happens with every key, and so at a rate that applications choose.
    pub const fn is_frequent(self) -> bool {
        matches!(self, Self::Issued | Self::Collected | Self::QuantumKey | Self::Relayed)
    }

    /// Whether it belongs in the audit log: all but what links tell of their daily work.
    pub const fn is_audited(self) -> bool {
        !matches!(self, Self::Block | Self::Session | Self::Light | Self::Devices)
    }
}

impl News {
    /// An alarm of the node itself, over no link.
    pub fn node_alarm(kind: &'static str, text: String) -> Self {
        let (link, peer, block, seen, expected, p_value) = (None, None, None, None, None, None);
        Self::Alarm { link, peer, kind, text, block, seen, expected, p_value }
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Started { .. } => Kind::Started,
            Self::Stopped => Kind::Stopped,
            Self::Alarm { .. } => Kind::Alarm,
            Self::Condition { .. } => Kind::Condition,
            Self::Session { .. } => Kind::Session,
            Self::Light { .. } => Kind::Light,
            Self::Devices { .. } => Kind::Devices,
            Self::Block { .. } => Kind::Block,
            Self::Issued { .. } => Kind::Issued,
            Self::Collected { .. } => Kind::Collected,
            Self::QuantumKey { .. } => Kind::QuantumKey,
            Self::Relayed { .. } => Kind::Relayed,
            Self::Rerouted { .. } => Kind::Rerouted,
            Self::Lost { .. } => Kind::Lost,
            Self::Burned { .. } => Kind::Burned,
            Self::Downgraded { .. } => Kind::Downgraded,
            Self::Denied { .. } => Kind::Denied,
            Self::Refused { .. } => Kind::Refused,
            Self::Policy { .. } => Kind::Policy,
            Self::Missed { .. } => Kind::Missed,
        }
    }
}

/// A choice of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(u32::MAX);

    /// None yet.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether a kind is chosen.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// The kinds of a list of names, with commas between them.
    ///
    /// # Errors
    /// The name that is none.
    pub fn parse(names: &str) -> Result<Self, String> {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Self::NONE, |kinds, name| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            kind.map(|kind| kinds.with(kind)).ok_or_else(|| name.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_what_json_says() {
        let news = News::QuantumKey {
            key: "k".to_owned(),
            peer: "B".to_owned(),
            bits: 8,
            routes: Vec::new(),
            nodes: Vec::new(),
        };
        for news in [news, News::Stopped, News::Missed { entries: 3 }] {
            assert_eq!(serde_json::to_value(&news).unwrap()["event"], news.kind().name());
        }
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(Kinds::parse(kind.name()), Ok(Kinds::NONE.with(kind)));
        }
        let two = Kinds::parse("alarm, block").unwrap();
        assert!(two.has(Kind::Alarm) && two.has(Kind::Block) && !two.has(Kind::Lost));
        assert_eq!(Kinds::parse("alarm,alarms"), Err("alarms".to_owned()));
    }
}
