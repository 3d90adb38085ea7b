//! `bellwether tunnel`: forwards TCP connections under keys of key managers.

use super::{block_on, key};
use crate::Failure;
use crate::args::{End, Tunnel};
use bellwether_live::application::tunnel::run::{Purpose, Site, carry_until_stopped, log};
use bellwether_live::application::tunnel::{Limits, Role};
use bellwether_live::process::stop::Stop;
use std::sync::Arc;

pub(crate) fn run(args: &Tunnel) -> Result<(), Failure> {
    match args {
        Tunnel::Connect(args) => carry(Role::Initiator, &args.from, &args.through, &args.end),
        Tunnel::Listen(args) => carry(Role::Responder, &args.at, &args.to, &args.end),
    }
}

fn carry(role: Role, at: &str, onward: &str, end: &End) -> Result<(), Failure> {
    end.log.start();
    let limits = Limits::new(end.key_life, end.key_volume).map_err(Failure::input)?;
    let (name, supply) = key::supply(&end.partners, end.wait)?;
    let site = Site {
        role,
        purpose: Purpose::Connections,
        name,
        supply,
        limits,
        connections: usize::from(end.connections),
        tell: Box::new(log),
    };
    block_on(async {
        let mut stop = Stop::listen(false).map_err(Failure::live)?;
        let onward = onward.to_owned();
        let carried = carry_until_stopped(at, onward, Arc::new(site), &mut stop).await;
        carried.map_err(|error| Failure::Live(format!("cannot listen at {at}: {error}")))
    })
}
