//! `bellwether inject`: makes things happen to the emulated light.

use super::{block_on, require_identity, state_of};
use crate::args::Inject;
use crate::command::{find_link, load};
use crate::{Failure, output, words};
use bellwether_live::emulation::Dialler;
use bellwether_live::identity::Role;
use bellwether_live::state::OPERATOR;
use bellwether_network::LinkEvent;

pub(crate) fn run(args: &Inject) -> Result<(), Failure> {
    let network = load(&args.network.input(), &[])?;
    let (links, event) = args.event.event();
    for link in &links {
        let id = find_link(&network, Some(link))?;
        if network.link(id).recording.is_some() {
            return Err(Failure::Input(format!(
                "a recording stands in for the devices of link `{link}`: nothing can happen to its light any more"
            )));
        }
    }
    let state = state_of(&network, args.state.as_deref());
    require_identity(&state, Role::Node, OPERATOR)?;
    let dialler = Dialler::of_operator(&network, &state).map_err(Failure::live)?;
    let lasting = match args.lasting {
        Some(lasting) => format!(" for {}", words::seconds(lasting.seconds())),
        None => String::new(),
    };
    block_on(async {
        for link in links {
            let failed = |error| Failure::Live(format!("{link}: {error}"));
            let mut control = dialler.control(link).await.map_err(failed)?;
            match &event {
                Some(event) => {
                    control.inject(event.clone(), args.lasting).await.map_err(failed)?;
                    output::print(&format!("{link}: {} from now on{lasting}", name(event)))?;
                }
                None => {
                    control.withdraw(None).await.map_err(failed)?;
                    output::print(&format!("{link}: nothing that was injected is left"))?;
                }
            }
        }
        Ok(())
    })
}

fn name(event: &LinkEvent) -> &'static str {
    match event {
        LinkEvent::Attack(attack) => attack.name(),
        event => event.name(),
    }
}
