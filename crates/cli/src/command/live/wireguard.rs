//! `bellwether wireguard`: changes WireGuard's pre-shared keys by keys of key managers.

use super::{block_on, key};
use crate::Failure;
use crate::args::{WireGuard, WireGuardEnd};
use bellwether_live::application::tunnel::run::{Purpose, Site, log as log_channel};
use bellwether_live::application::tunnel::{Limits, Role};
use bellwether_live::application::wireguard::interface::Interface;
use bellwether_live::application::wireguard::rotation::Settings;
use bellwether_live::application::wireguard::run::{End, keep_until_stopped, log};
use bellwether_live::process::stop::Stop;
use bellwether_units::Duration;

/// A channel's own key lasts longer than any interval of rotations, each of which has a channel of its own.
const CHANNEL_LIFE: Duration = Duration::from_whole_seconds(24 * 3600);

pub(crate) fn run(args: &WireGuard) -> Result<(), Failure> {
    match args {
        WireGuard::Connect(args) => {
            let settings = Settings::new(args.interval, args.end.max_age);
            keep(Role::Initiator, &args.through, settings.map_err(Failure::input)?, &args.end)
        }
        WireGuard::Listen(args) => {
            // The initiator says when.
            let settings = Settings::new(Duration::from_whole_seconds(1), args.end.max_age);
            keep(Role::Responder, &args.at, settings.map_err(Failure::input)?, &args.end)
        }
    }
}

fn keep(role: Role, channel: &str, settings: Settings, end: &WireGuardEnd) -> Result<(), Failure> {
    end.log.start();
    let interface =
        Interface::new(end.wg.clone(), &end.interface, &end.public_key).map_err(Failure::input)?;
    let (name, supply) = key::supply(&end.partners, end.wait)?;
    let site = Site {
        role,
        purpose: Purpose::WireGuard,
        name,
        supply,
        limits: Limits::new(CHANNEL_LIFE, 1 << 30).map_err(Failure::input)?,
        connections: 1,
        tell: Box::new(log_channel),
    };
    let end = End { site, channel: channel.to_owned(), interface, settings, tell: Box::new(log) };
    block_on(async {
        let mut stop = Stop::listen(false).map_err(Failure::live)?;
        keep_until_stopped(end, &mut stop).await.map_err(Failure::live)
    })
}
