//! What can be typed to make things happen to the emulated light.

use super::lasting;
use super::live::Described;
use bellwether_network::{Attack, EavesdropperBasis, LinkEvent};
use bellwether_units::{Current, Duration, Loss, Quantity};
use clap::{Args as Arguments, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Make things happen to the emulated light.
#[derive(Debug, Arguments)]
pub struct Inject {
    /// The network.
    #[command(flatten)]
    pub network: Described,
    /// The state directory [default: bellwether-state/NETWORK]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// For how long, instead of until `honest` or `repair`
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    pub lasting: Option<Duration>,
    /// What happens.
    #[command(subcommand)]
    pub event: What,
}

/// What happens to links.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Cut the fibre: no light passes
    Cut(Links),
    /// Mend all cuts and losses
    Repair(Links),
    /// End everything that was injected
    Honest(Links),
    /// Let the fibre lose so much more
    Loss {
        /// The link
        link: String,
        /// The loss added, such as "3 dB"
        #[arg(value_parser = Loss::parse)]
        loss: Loss,
    },
    /// Let the misalignment go to another value
    Misalignment {
        /// The link
        link: String,
        /// The new misalignment, 0 to 0.5
        value: f64,
        /// In which time it goes there
        #[arg(long, value_name = "TIME", value_parser = Duration::parse, default_value = "0 s")]
        over: Duration,
    },
    /// Put the receiver's clock off
    ClockOffset {
        /// The link
        link: String,
        /// By how much, such as "200 ps"
        #[arg(value_parser = Duration::parse)]
        offset: Duration,
    },
    /// Measure pulses and send on what was seen
    InterceptResend {
        /// The links.
        #[command(flatten)]
        links: Links,
        /// The fraction of pulses, 0 to 1
        #[arg(long, default_value_t = 1.0)]
        fraction: f64,
        /// In which basis
        #[arg(long, value_enum, default_value_t)]
        basis: Basis,
    },
    /// Keep one photon of several, block single ones, and send the rest without loss
    PhotonNumberSplitting {
        /// The links.
        #[command(flatten)]
        links: Links,
        /// The fraction of pulses, 0 to 1
        #[arg(long, default_value_t = 1.0)]
        fraction: f64,
    },
    /// Replace the fibre by one without loss and keep the light that it would have lost
    BeamSplitting(Links),
    /// Blind the detectors with bright light and make them click
    Blinding {
        /// The links.
        #[command(flatten)]
        links: Links,
        /// The current that the light drives through the detectors, such as "10 uA"
        #[arg(long, value_name = "CURRENT", value_parser = Current::parse)]
        bias_current: Current,
    },
}

/// Links of the network.
#[derive(Clone, Debug, Arguments)]
pub struct Links {
    /// The links
    #[arg(required = true, value_name = "LINK")]
    pub links: Vec<String>,
}

/// In which basis an eavesdropper measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Basis {
    /// The key or the check basis, each half the time
    #[default]
    Random,
    /// Always the key basis
    Key,
    /// Always the check basis
    Check,
    /// Half way between the two
    Breidbart,
}

impl What {
    /// The links that it happens to, and what; nothing to happen ends what was injected.
    pub fn event(&self) -> (Vec<&str>, Option<LinkEvent>) {
        match self {
            Self::Cut(links) => (all(links), Some(LinkEvent::Cut)),
            Self::Repair(links) => (all(links), Some(LinkEvent::Repair)),
            Self::Honest(links) => (all(links), None),
            Self::Loss { link, loss } => (vec![link], Some(LinkEvent::LossStep { loss: *loss })),
            Self::Misalignment { link, value, over } => {
                (vec![link], Some(LinkEvent::Misalignment { value: *value, over: *over }))
            }
            Self::ClockOffset { link, offset } => {
                (vec![link], Some(LinkEvent::ClockOffset { offset: *offset }))
            }
            Self::InterceptResend { links, fraction, basis } => {
                let basis = match basis {
                    Basis::Random => EavesdropperBasis::Random,
                    Basis::Key => EavesdropperBasis::Key,
                    Basis::Check => EavesdropperBasis::Check,
                    Basis::Breidbart => EavesdropperBasis::Breidbart,
                };
                let attack = Attack::InterceptResend { fraction: *fraction, basis };
                (all(links), Some(LinkEvent::Attack(attack)))
            }
            Self::PhotonNumberSplitting { links, fraction } => {
                let attack = Attack::PhotonNumberSplitting { fraction: *fraction };
                (all(links), Some(LinkEvent::Attack(attack)))
            }
            Self::BeamSplitting(links) => (all(links), Some(LinkEvent::Attack(Attack::BeamSplitting))),
            Self::Blinding { links, bias_current } => {
                let attack = Attack::Blinding { bias_current: *bias_current };
                (all(links), Some(LinkEvent::Attack(attack)))
            }
        }
    }
}

fn all(links: &Links) -> Vec<&str> {
    links.links.iter().map(String::as_str).collect()
}

pub(super) const EXAMPLES: &str = "\
Examples:
  bellwether inject --network networks/secoqc-2008.toml cut SIE-BREIT
  bellwether inject --network networks/secoqc-2008.toml repair SIE-BREIT
  bellwether inject --network networks/secoqc-2008.toml intercept-resend ERD-SIE --fraction 0.3
  bellwether inject --network networks/secoqc-2008.toml --for 30s loss ERD-SIE \"3 dB\"
  bellwether inject --network networks/secoqc-2008.toml honest ERD-SIE SIE-BREIT

Needs the identity of the operator, which `bellwether up` and `bellwether pki` make.";
