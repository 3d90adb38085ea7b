//! `bellwether key`: asks any key manager that speaks ETSI GS QKD 014.

use super::{applications, block_on, state_of};
use crate::args::{Format, Get, Input, Key, Partners, Server, Status};
use crate::command::load;
use crate::{Failure, output};
use bellwether_live::application::client::{Client, ClientError, patiently};
use bellwether_live::application::printed;
use bellwether_live::application::supply::Supply;
use bellwether_live::directory::node_addresses;
use bellwether_live::identity::{Role, files};
use bellwether_network::Network;
use bellwether_units::{Duration, NodeId};
use std::time::Duration as Span;

/// Applications that are named when one is not known.
const NAMED: usize = 20;

pub(crate) fn run(args: &Key) -> Result<(), Failure> {
    match args {
        Key::Status(args) => status(args),
        Key::Get(args) => get(args),
    }
}

fn status(args: &Status) -> Result<(), Failure> {
    let client = client(&args.server)?;
    let told = block_on(async { client.status(&args.slave).await.map_err(|error| failure(error, false)) })?;
    if args.json {
        return output::print_json(&told);
    }
    let mut text = String::new();
    if let Some(members) = told.as_object() {
        for (name, value) in members {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("{name:<20} {value}\n"));
        }
    }
    output::print(&text)
}

fn get(args: &Get) -> Result<(), Failure> {
    let client = client(&args.server)?;
    let wait = Span::from_secs_f64(args.wait.seconds());
    let keys = block_on(async {
        let keys = match (&args.slave, &args.master) {
            (Some(slave), _) => patiently(wait, || client.get(slave, args.number, args.size)).await,
            (None, master) => {
                let master = master.as_deref().unwrap_or_default();
                patiently(wait, || client.get_by_id(master, &args.id)).await
            }
        };
        keys.map_err(|error| failure(error, args.master.is_some()))
    })?;
    if args.json {
        return output::print(&printed::container(&keys));
    }
    for key in &keys {
        let bits = match args.format {
            Format::Hex => printed::hexadecimal(key),
            Format::Base64 => printed::base64(key),
        };
        output::print_words([&key.id.to_string(), " ", &bits])?;
    }
    Ok(())
}

/// An application's own name, and its keys with its partner.
pub(super) fn supply(partners: &Partners, wait: Duration) -> Result<(String, Supply), Failure> {
    let client = client(&partners.server)?;
    let Some(name) = partners.server.asking.as_ref().or(partners.name.as_ref()) else {
        return Err(Failure::Input("name this application: --as with --network, or --name".to_owned()));
    };
    if let Some(file) = &partners.server.network {
        known(&partners.server, file, &partners.peer)?;
    }
    let supply = Supply {
        client,
        peer: partners.peer.clone(),
        post_quantum_only: partners.allow_post_quantum_only,
        patience: Span::from_secs_f64(wait.seconds()),
    };
    Ok((name.clone(), supply))
}

/// Refuses an application that the network file does not have.
fn known(server: &Server, file: &std::path::Path, name: &str) -> Result<(), Failure> {
    let network = load(&Input { file: file.to_owned(), set: server.set.clone() }, &[])?;
    at_node(&network, name).map(|_| ())
}

/// The node of an application.
fn at_node(network: &Network, name: &str) -> Result<NodeId, Failure> {
    let directory = applications(network)?.directory;
    directory.node_of(name).ok_or_else(|| {
        let mut names: Vec<_> = directory.applications().map(|(name, _)| name.as_str()).collect();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let names = names.join(", ");
        Failure::Input(format!("the network has no application `{name}`: its applications are {names}{more}"))
    })
}

/// The client that was typed.
pub(super) fn client(server: &Server) -> Result<Client, Failure> {
    if let (Some(file), Some(asking)) = (&server.network, &server.asking) {
        return client_by_network(server, file, asking);
    }
    let Server { kme: Some(kme), cert: Some(certificate), key: Some(key), ca: Some(authority), .. } = server
    else {
        return Err(Failure::Input(
            "name the key manager: --kme, --cert, --key and --ca, or --network and --as".to_owned(),
        ));
    };
    let identity = files::load_identity(certificate, key).map_err(Failure::input)?;
    let roots = files::load_roots(authority).map_err(Failure::input)?;
    Client::new(kme, &identity, roots, None).map_err(|error| failure(error, false))
}

/// The client of an application, as network file and state directory have it.
fn client_by_network(server: &Server, file: &std::path::Path, asking: &str) -> Result<Client, Failure> {
    let network = load(&Input { file: file.to_owned(), set: server.set.clone() }, &[])?;
    let node = at_node(&network, asking)?;
    let state = state_of(&network, server.state.as_deref());
    super::require_identity(&state, Role::Application, asking)?;
    let layout = state.identities();
    let identity = layout.load(Role::Application, asking).map_err(Failure::input)?;
    let roots = layout.roots(Role::KeyManager).map_err(Failure::input)?;
    let address = node_addresses(&network, node).map_err(Failure::input)?.reached_key_manager();
    Client::new(&format!("https://{address}"), &identity, roots, Some(&network.node(node).name))
        .map_err(|error| failure(error, false))
}

/// What was refused, and what may help; `collecting` keys by their names goes wrong in ways of its own.
fn failure(error: ClientError, collecting: bool) -> Failure {
    let hint = match &error {
        ClientError::Address(_) | ClientError::Tls(_) => return Failure::input(error),
        ClientError::Connect { .. } => {
            "\n  does the network run, and is the certificate one that this key manager knows?"
        }
        ClientError::Refused { status, .. } => match status.as_u16() {
            429 | 503 => {
                let text = "too little key, or too many requests: try again later, or with --wait 30s";
                return Failure::Later(format!("{error}\n  {text}"));
            }
            401 => "\n  this application may not have these keys: see [[pair]] in the network file",
            400 if collecting => {
                "\n  a key is handed out once to each side: nobody gets it by its name again"
            }
            _ => "",
        },
        _ => "",
    };
    Failure::Live(format!("{error}{hint}"))
}
