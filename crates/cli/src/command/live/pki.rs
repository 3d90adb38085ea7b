//! `bellwether pki`: test identities, and what one host needs of them.

use super::{applications, state_of};
use crate::args::Pki;
use crate::command::load;
use crate::{Failure, output};
use bellwether_live::state::{Holder, OPERATOR, PHYSICAL_LAYER, State};
use std::collections::BTreeMap;

pub(crate) fn run(args: &Pki) -> Result<(), Failure> {
    let network = load(&args.input, &[])?;
    let applications = applications(&network)?;
    let state = state_of(&network, args.state.as_deref());
    let is_node = |name: &str| network.nodes.iter().any(|node| node.name == name);
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, host) in &args.hosts {
        if !is_node(node) {
            return Err(Failure::Input(format!(
                "the network has no node `{node}`, whose host would be {host}"
            )));
        }
        hosts.entry(node.clone()).or_default().push(host.clone());
    }
    let holder = match (args.export.as_deref(), args.export_application.as_deref()) {
        (Some(PHYSICAL_LAYER), _) => Some(Holder::PhysicalLayer),
        (Some(OPERATOR), _) => Some(Holder::Operator),
        (Some(name), _) if is_node(name) => Some(Holder::Node(name)),
        (Some(name), _) => return Err(Failure::Input(format!("the network has no node `{name}`"))),
        (None, Some(name)) if applications.directory.node_of(name).is_some() => {
            Some(Holder::Application(name))
        }
        (None, Some(name)) => return Err(Failure::Input(format!("the network has no application `{name}`"))),
        (None, None) => None,
    };
    let names = applications.directory.applications().map(|(name, _)| name.as_str());
    let made = state.provision_with_hosts(&network, names, &hosts).map_err(Failure::live)?;
    let made = if made == 0 {
        "all certificates were there".to_owned()
    } else {
        format!("{made} certificates made")
    };
    let mut text = format!("{}: {made}\n", state.root().display());
    if let (Some(holder), Some(to)) = (holder, &args.to) {
        let to = State::at(to);
        let copied = state.export(&network, holder, &to).map_err(Failure::live)?;
        text.push_str(&format!("{}: the state directory of that host, with\n", to.root().display()));
        for path in copied {
            text.push_str(&format!("  {}\n", path.strip_prefix(to.root()).unwrap_or(&path).display()));
        }
    }
    output::print(&text)
}
