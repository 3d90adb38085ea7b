//! How a link makes key of its clicks.

use crate::Size;

/// How a link makes key of its clicks. Both ends work with the same settings.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolSettings {
    /// How many sifted bits of the key basis make a block.
    pub block_size: Size,
    /// How far a block's key may be from one that nobody else knows: above 0, below 1.
    pub eps_secrecy: f64,
    /// How likely both ends' keys of a block may differ: above 0, below 1.
    pub eps_correctness: f64,
    /// Which security bound gives the length of a block's key. It fits the link's source.
    pub bound: Bound,
    /// How errors are corrected.
    pub reconciliation: Reconciliation,
    /// What an authentication tag covers.
    pub authentication: TagPolicy,
    /// How much key both ends share before the first block, and to which they refill what authentication
    /// has used from fresh key.
    pub authentication_key: Size,
    /// The probability of the key basis, for transmitter and receiver alike: above 0, below 1.
    pub key_basis_probability: f64,
    /// How likely an honest block may raise any alarm: above 0, below 1.
    pub false_alarm_probability: f64,
}

/// Which security bound gives the length of a block's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Rusca et al., Appl. Phys. Lett. 112, 171104 (2018): one decoy, so two intensities.
    Rusca2018,
    /// As [`Rusca2018`](Self::Rusca2018), from two facts more that need no assumption of their own.
    Rusca2018Tight,
    /// Lim et al., PRA 89, 022307 (2014): two decoys, so three intensities.
    Lim2014,
    /// As [`Lim2014`](Self::Lim2014), from two facts more that need no assumption of their own.
    Lim2014Tight,
    /// Tomamichel et al., Nat. Commun. 3, 634 (2012): single photons.
    Tomamichel2012,
}

/// How errors are corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconciliation {
    /// In which way.
    pub family: ReconciliationFamily,
    /// The leakage that plans reckon with, over the Shannon limit: 1 or more. A block that is simulated counts
    /// what it has disclosed.
    pub planning_efficiency: f64,
}

/// The ways to correct errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconciliationFamily {
    /// Cascade of Brassard & Salvail, Eurocrypt '93.
    CascadeOriginal,
    /// Cascade of Yan et al. 2008: ten passes.
    CascadeYan,
    /// Cascade, option 7 of Martinez-Mateo et al., QIC 15, 453 (2015).
    CascadeOption7,
    /// Cascade, option 8 of Martinez-Mateo et al., QIC 15, 453 (2015).
    CascadeOption8,
    /// Cascade in step, grouped by suspicion: the quickest.
    GroupedQuick,
    /// Cascade in step, grouped by suspicion: the least disclosed, for more round trips.
    GroupedThorough,
    /// A low-density parity-check code: one message where nothing fails. Blocks shorter than 2^19 bits disclose more.
    Ldpc,
}

/// What an authentication tag covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagPolicy {
    /// One message: tampering is caught at once.
    EveryMessage,
    /// All messages of a block in one direction: less key is used.
    EveryBlock,
}

impl Bound {
    /// How many intensities of a weak coherent source it needs; `None` for single photons.
    pub const fn intensities(self) -> Option<usize> {
        match self {
            Self::Rusca2018 | Self::Rusca2018Tight => Some(2),
            Self::Lim2014 | Self::Lim2014Tight => Some(3),
            Self::Tomamichel2012 => None,
        }
    }
}
