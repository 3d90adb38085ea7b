//! How the network runs live, and that no two listeners share a port.

use super::Names;
use crate::model::live::Ports;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::live::{LEAST_FIRST_PORT, LIVE, LIVE_NODE, WEBHOOK};
use crate::sink::Sink;
use crate::text::clip;
use crate::{
    CertificateName, Listener, Listeners, Live, Node, Problem, Size, Webhook, WebhookEvent, nearest_of_all,
};
use bellwether_units::{Duration, NodeId};
use core::ops::Range;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use toml::de::DeTable;

/// The longest head start: of the 213 days that a time can tell, most are left for the run.
const LONGEST_HEAD_START: Duration = Duration::from_whole_seconds(30 * 86_400);
/// The shortest and the longest key that key managers deliver, in bits.
const KEY_SIZES: core::ops::RangeInclusive<u64> = 64..=65_536;

/// An address that is written in the file.
#[derive(Debug)]
struct Written {
    address: SocketAddr,
    /// Whose it is; `None` is the physical layer's.
    owner: Option<(NodeId, Listener)>,
    span: Range<usize>,
    path: String,
}

/// Reads the table `[live]`, or what holds without it. `entangles` says whether any link entangles memories.
pub(super) fn live(
    file: &Reader<'_, '_, '_>,
    nodes: &[Node],
    names: &Names<'_, NodeId>,
    entangles: bool,
    sink: &mut Sink<'_>,
) -> Option<Live> {
    let empty = DeTable::new();
    let absent = Layers::one(Some(Layer { table: &empty, start: 0, end: 0 }));
    let reader = match file.value("live") {
        Some(_) => file.table("live", &LIVE, sink)?,
        None => Reader::new(absent, &LIVE, Path::top("live"), 0..0),
    };
    reader.check(sink);
    let first_port = reader.integer("first_port", sink).and_then(|port| u16::try_from(port).ok());
    let head_start = head_start(&reader, sink);
    let key_size = key_size(&reader, sink);
    let paths = reader.integer("paths", sink).and_then(|paths| u8::try_from(paths).ok());
    let starved_after: Option<Duration> = reader.quantity("starved_after", sink);
    let unknown_key_is_404 = reader.flag("unknown_key_is_404", sink);
    let absent_peer_is_success = reader.flag("absent_peer_is_success", sink);
    let certificate_names = certificate_names(&reader, sink);
    let tls_1_2 = reader.flag("tls_1_2", sink);
    let mut written = Vec::new();
    let physical_layer = address(&reader, "physical_layer", None, &mut written, sink);
    let listeners = listeners(&reader, names, &mut written, sink);
    let webhooks = webhooks(&reader, sink);
    let live = Live {
        first_port: first_port?,
        physical_layer,
        head_start: head_start?,
        key_size: key_size?,
        paths: paths?,
        starved_after: starved_after?,
        unknown_key_is_404: unknown_key_is_404?,
        absent_peer_is_success: absent_peer_is_success?,
        certificate_names: certificate_names?,
        tls_1_2: tls_1_2?,
        listeners,
        webhooks,
    };
    written.sort_by_key(|written| written.span.start);
    let ports = Ports { nodes: nodes.len(), programs: entangles };
    clashes(&live, nodes, ports, &written, sink);
    enough_ports(&reader, &live, ports, sink);
    Some(live)
}

fn head_start(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Duration> {
    let head_start: Duration = reader.quantity("head_start", sink)?;
    if let Some(value) = reader.value("head_start").filter(|_| head_start > LONGEST_HEAD_START) {
        let condition = "must be at most 30 d".to_owned();
        let problem = Problem::Condition { what: "`head_start`".to_owned(), condition };
        reader.tell(sink, value.span(), "head_start", problem);
    }
    Some(head_start)
}

fn certificate_names(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Vec<CertificateName>> {
    const KEY: &str = "certificate_names";
    let names: Vec<CertificateName> = reader.choices(KEY, sink)?;
    let Some(value) = reader.value(KEY) else {
        return Some(vec![CertificateName::Uri, CertificateName::Dns, CertificateName::CommonName]);
    };
    let again = names.iter().enumerate().any(|(place, name)| names[..place].contains(name));
    if names.is_empty() || again {
        let condition = "must name at least one field, and none twice".to_owned();
        let problem = Problem::Condition { what: format!("`{KEY}`"), condition };
        reader.tell(sink, value.span(), KEY, problem);
        return None;
    }
    Some(names)
}

fn key_size(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Size> {
    let size: Size = reader.quantity("key_size", sink)?;
    let fits = KEY_SIZES.contains(&size.bits()) && size.bits().is_multiple_of(8);
    if let Some(value) = reader.value("key_size").filter(|_| !fits) {
        let condition =
            format!("must be {} to {} bit, a multiple of 8 bit", KEY_SIZES.start(), KEY_SIZES.end());
        let problem = Problem::Condition { what: "`key_size`".to_owned(), condition };
        reader.tell(sink, value.span(), "key_size", problem);
    }
    Some(size)
}

fn listeners(
    live: &Reader<'_, '_, '_>,
    names: &Names<'_, NodeId>,
    written: &mut Vec<Written>,
    sink: &mut Sink<'_>,
) -> BTreeMap<NodeId, Listeners> {
    let mut listeners = BTreeMap::new();
    for table in live.named("node", sink) {
        let within = live.path.below("node");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &LIVE_NODE, path, table.span.clone());
        reader.check(sink);
        let Some(&node) = names.get(table.name) else {
            let known = names.keys().map(AsRef::as_ref);
            let nearest =
                if sink.has_room() { nearest_of_all(table.name, known).map(str::to_owned) } else { None };
            let problem = Problem::NoSuch { what: "node", name: clip(table.name), nearest };
            sink.tell(table.span, || within.here(), problem);
            continue;
        };
        let mut read =
            |listener: Listener| address(&reader, listener.name(), Some((node, listener)), written, sink);
        let node_to_node = read(Listener::NodeToNode);
        let key_manager = read(Listener::KeyManager);
        let operations = read(Listener::Operations);
        let key_streams = read(Listener::KeyStreams);
        let programs = read(Listener::Programs);
        listeners.insert(node, Listeners { node_to_node, key_manager, operations, key_streams, programs });
    }
    listeners
}

fn webhooks(live: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Vec<Webhook> {
    let mut webhooks = Vec::new();
    for table in live.named("webhook", sink) {
        let within = live.path.below("webhook");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &WEBHOOK, path, table.span.clone());
        reader.check(sink);
        let url = reader.text("url", sink);
        if let (Some(url), Some(value)) = (&url, reader.value("url"))
            && let Err(must) = is_webhook(url)
        {
            let problem = Problem::Condition { what: "`url`".to_owned(), condition: must.to_owned() };
            reader.tell(sink, value.span(), "url", problem);
        }
        let events: Option<Vec<WebhookEvent>> = reader.choices("events", sink);
        if let (Some(url), Some(mut events)) = (url, events) {
            if events.is_empty() {
                events.push(WebhookEvent::Alarm);
            }
            webhooks.push(Webhook { name: table.name.to_owned(), url, events });
        }
    }
    webhooks
}

/// Whether nodes may post to a URL, or what must hold of it.
fn is_webhook(url: &str) -> Result<(), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("must begin with `https://`")?;
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) || !url.is_ascii() || url.contains('#') {
        return Err("must have neither spaces nor a fragment, and characters of a URL alone");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must have no name or password in it: posts are signed");
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty()
        || port.is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p == 0) || port.parse::<u16>().is_err())
    {
        return Err("must name a host, and a port from 1 to 65535 if any");
    }
    let address = host.parse::<std::net::IpAddr>();
    let is_here = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        "http" => Err("must begin with `https://`: without TLS only this machine may be told"),
        _ => Err("must begin with `https://`"),
    }
}

/// The address at a key, if it is given.
fn address(
    reader: &Reader<'_, '_, '_>,
    key: &'static str,
    owner: Option<(NodeId, Listener)>,
    written: &mut Vec<Written>,
    sink: &mut Sink<'_>,
) -> Option<SocketAddr> {
    let value = reader.value(key)?;
    let text = reader.text_of(key, value, sink)?;
    // Others connect to where the nodes and the light are; to an address that means any they cannot.
    let is_connected_to = matches!(owner, None | Some((_, Listener::NodeToNode)));
    match listen_address(text, is_connected_to) {
        Ok(address) => {
            written.push(Written { address, owner, span: value.span(), path: reader.path.of(key) });
            Some(address)
        }
        Err(reason) => {
            reader.tell(sink, value.span(), key, Problem::Address { text: clip(text), reason });
            None
        }
    }
}

/// The address that a text tells, or what is wrong with it.
fn listen_address(text: &str, is_connected_to: bool) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr = text.parse().map_err(|_| "it is no IP address with a port")?;
    if address.port() == 0 {
        Err("a port is 1 to 65535")
    } else if address.ip().is_multicast() {
        Err("it stands for many machines")
    } else if is_connected_to && address.ip().is_unspecified() {
        Err("nodes connect to it, and it stands for any address")
    } else {
        Ok(address)
    }
}

/// Tells of listeners that share a port for certain. Any address (`0.0.0.0`) of two different nodes is left alone,
/// for the two may run on different machines.
fn clashes(live: &Live, nodes: &[Node], ports: Ports, written: &[Written], sink: &mut Sink<'_>) {
    let name = |owner: Option<(NodeId, Listener)>| match owner {
        Some((node, listener)) => {
            let name = nodes.get(node.index()).map_or("", |node| node.name.as_str());
            format!("`{}` of node `{}`", listener.name(), clip(name))
        }
        None => "`physical_layer`".to_owned(),
    };
    let mut seen: BTreeMap<SocketAddr, Option<(NodeId, Listener)>> = BTreeMap::new();
    for Written { address, owner, span, path } in written {
        let beside = || {
            let (node, listener) = (*owner)?;
            let other = ports.listeners().filter(|&other| other != listener).find(|&other| {
                // Of two that are written, the later in the order of ports is told.
                (other < listener || live.written(node, other).is_none())
                    && live.address(node, other, ports).is_some_and(|other| {
                        other.port() == address.port()
                            && (other.ip().is_unspecified() || address.ip().is_unspecified())
                    })
            })?;
            Some(name(Some((node, other))))
        };
        let exactly = if address.ip().is_unspecified() { None } else { seen.get(address).map(|o| name(*o)) };
        let by_default =
            || live.holder(*address, ports).map(|holder| format!("{}, by default", name(holder)));
        if let Some(other) = exactly.or_else(by_default).or_else(beside) {
            let problem = Problem::SamePort { address: address.to_string(), other };
            sink.tell(span.clone(), || path.clone(), problem);
        }
        seen.entry(*address).or_insert(*owner);
    }
}

/// Tells if the first port is written and so high that there are not enough behind it. A large network without it
/// is simulated and never run, and whoever runs it is told then.
fn enough_ports(reader: &Reader<'_, '_, '_>, live: &Live, ports: Ports, sink: &mut Sink<'_>) {
    let Some(value) = reader.value("first_port") else { return };
    let nodes = ports.nodes;
    let wanted = nodes * ports.listeners().count();
    let has_port = |node: usize| {
        ports.listeners().all(|listener| live.address(NodeId(node as u32), listener, ports).is_some())
    };
    if live.physical_layer_of(nodes).is_some() && (0..nodes).all(has_port) {
        return;
    }
    let condition = match usize::from(u16::MAX).checked_sub(wanted) {
        Some(most) if most >= usize::from(LEAST_FIRST_PORT) => {
            format!("leaves too few ports for {nodes} nodes: it must be at most {most}")
        }
        _ => format!("leaves too few ports for {nodes} nodes: write addresses in [live.node.NAME]"),
    };
    let problem = Problem::Condition { what: "`first_port`".to_owned(), condition };
    reader.tell(sink, value.span(), "first_port", problem);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_post_over_tls_or_to_this_machine() {
        for good in [
            "https://example.org",
            "https://example.org:8443/hook?x=1",
            "https://[2001:db8::7]/x",
            "http://127.0.0.1:9/x",
            "http://localhost",
            "http://[::1]:80",
        ] {
            assert_eq!(is_webhook(good), Ok(()), "{good}");
        }
        for bad in [
            "example.org",
            "http://example.org",
            "http://127.0.0.1.example.org/",
            "http://localhost@example.org/",
            "ftp://localhost",
            "https://",
            "https:///x",
            "https://a b",
            "https://a/#x",
            "https://a:0",
            "https://a:65536",
            "https://a:",
        ] {
            assert!(is_webhook(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_of_one_machine_and_have_a_port() {
        for good in ["127.0.0.1:1", "192.0.2.7:65535", "[::1]:443", "[2001:db8::7]:4430"] {
            assert_eq!(listen_address(good, true).map(|address| address.to_string()).as_deref(), Ok(good));
        }
        for any in ["0.0.0.0:443", "[::]:443"] {
            assert!(listen_address(any, false).is_ok() && listen_address(any, true).is_err(), "{any}");
        }
        for bad in [
            "",
            "localhost:80",
            "127.0.0.1",
            ":80",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "::1:80",
            "224.0.0.1:80",
        ] {
            assert!(listen_address(bad, false).is_err(), "{bad}");
        }
    }
}
