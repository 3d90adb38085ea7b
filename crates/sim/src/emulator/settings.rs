//! What both ends of a link are set to, and the secret that they begin with.

use crate::expect::{bound_of, classes_of, family_of, security_of};
use crate::link::{Watch, stream};
use crate::optics::Optics;
use crate::run::RunError;
use bellwether_bits::SecretBits;
use bellwether_network::{Link, Network, TagPolicy as Tags};
use bellwether_protocol::qkd::session::{AuthenticationBudget, Durable, LinkSettings, TagPolicy};
use bellwether_units::{Duration, EntityId, LinkId, Purpose, Stream};

/// What both ends of `link` are set to, with the alarms' baseline as calibration expects it. A daemon and the
/// simulator set a link alike.
///
/// # Errors
/// If the devices do not make a link.
pub fn link_settings(network: &Network, link: LinkId) -> Result<LinkSettings, RunError> {
    let described = network.link(link);
    // Calibration looks at the link before any drift, so the stream is never drawn from.
    let optics = Optics::new(described, Stream::new(0, EntityId(0), Purpose::named("calibration")))?;
    Ok(settings_of(described, link, &Watch::new(described, &optics)?))
}

/// The state of either end of `link` before it ever ran, with the secret for authentication that both share.
///
/// The secret follows from the seed: for simulations and tests only. Two real ends are provisioned with a
/// secret of a true generator.
///
/// # Errors
/// If the secret that the file asks for is too short to begin with.
pub fn provisioned(network: &Network, link: LinkId, seed: u64) -> Result<Durable, RunError> {
    let described = network.link(link);
    let bits = provisioned_bits(described);
    let mut provisioning = stream(network, link, seed, "provisioned secret");
    Durable::provisioned(SecretBits::random(bits, &mut provisioning))
        .map_err(|e| RunError::Link { link: described.name.clone(), reason: e.to_string() })
}

/// How many bits of secret either end of `link` is to be provisioned with.
pub fn provisioned_bits(link: &Link) -> usize {
    (link.protocol.authentication_key.bits() as usize).max(512)
}

/// The stock of one-time pads that a link was provisioned with, to which it is filled up again: pairs of 128
/// bits, beside the keys of the hashes.
pub(crate) fn authentication_of(link: &Link) -> AuthenticationBudget {
    let target_pads = (link.protocol.authentication_key.bits() / 256).saturating_sub(1).max(1);
    let budget = AuthenticationBudget::default();
    AuthenticationBudget { target_pads, low_water_pads: budget.low_water_pads.min(target_pads / 8), ..budget }
}

/// What both ends of a link are set to, under this watch.
pub(crate) fn settings_of(link: &Link, id: LinkId, watch: &Watch) -> LinkSettings {
    let mut settings = LinkSettings::new(id, classes_of(link), bound_of(link));
    settings.security = security_of(link);
    settings.block_bits = link.protocol.block_size.bits();
    settings.reconciliation = family_of(link);
    settings.baseline = Some(watch.baseline().clone());
    settings.thresholds = watch.thresholds();
    settings.authentication = authentication_of(link);
    // Emulated ends answer at once: a frame is late after a few times the channel's delay.
    let late = link.message_delay.saturating_mul(8);
    settings.timing.retransmit_after =
        late.max(Duration::from_milliseconds(5)).min(settings.timing.retransmit_at_most);
    settings.tags = match link.protocol.authentication {
        Tags::EveryMessage => TagPolicy::EveryMessage,
        Tags::EveryBlock => TagPolicy::EveryBlock,
    };
    settings
}
