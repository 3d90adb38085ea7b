//! Links and their fibre, protocol and published figures.

use super::device::source_name;
use super::{AnyLink, Devices, Names, below, each, hardware, inner};
use crate::check::check_alone;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::link::{FIBRE, LINK, PROTOCOL};
use crate::record::network::FILE;
use crate::record::{Kind, Record};
use crate::sink::Sink;
use crate::text::clip;
use crate::{
    Attenuation, Bound, ClassicalChannel, Detail, Drift, Fibre, Fitted, Link, Problem, ProtocolSettings,
    Published, Receiver, Reconciliation, Size, Source, Transmitter, nearest,
};
use bellwether_units::{Duration, Length, LinkId, NodeId};
use core::ops::Range;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::DeValue;

/// The most classical channels that all links together may have: those of `[defaults]` count for every link.
pub(crate) const MOST_CHANNELS: usize = 4_000_000;

/// What `[defaults]` say of every link.
#[derive(Debug, Default)]
pub(crate) struct Defaults<'a, 'i> {
    pub(super) fibre: Option<Layer<'a, 'i>>,
    protocol: Option<Layer<'a, 'i>>,
    transmitter: Option<&'a Spanned<DeValue<'i>>>,
    receiver: Option<&'a Spanned<DeValue<'i>>>,
    pub(super) platform: Option<&'a Spanned<DeValue<'i>>>,
    pub(crate) entangling: Option<Layer<'a, 'i>>,
    detail: Detail,
}

impl<'a, 'i> Defaults<'a, 'i> {
    /// Finds and checks the file's `[defaults]`.
    pub(crate) fn new(file: &Reader<'a, 'i, '_>, detail: Detail, sink: &mut Sink<'_>) -> Self {
        let none = Self { detail, ..Self::default() };
        let Some(Kind::Table(record)) = FILE.field("defaults").map(|field| &field.kind) else { return none };
        let Some(reader) = file.table("defaults", record, sink) else { return none };
        if let Some(layer) = reader.layers.iter().next() {
            check_alone(layer, record, &reader.path, sink);
        }
        hardware::refuse_in(&reader, sink);
        Self {
            fibre: reader.value("fibre").and_then(Layer::of),
            protocol: reader.value("protocol").and_then(Layer::of),
            transmitter: reader.value("transmitter"),
            receiver: reader.value("receiver"),
            platform: reader.value("platform"),
            entangling: reader.value("entangling").and_then(Layer::of),
            detail,
        }
    }
}

/// A link without its ends and its name.
#[derive(Clone, Debug)]
pub(crate) struct LinkBody {
    pub(crate) fibre: Fibre,
    pub(crate) transmitter: Transmitter,
    pub(crate) receiver: Receiver,
    pub(crate) protocol: ProtocolSettings,
    pub(crate) detail: Detail,
    pub(crate) message_delay: Option<Duration>,
    /// Whether the file says how long the fibre is.
    pub(crate) has_length: bool,
}

impl LinkBody {
    /// The link with these ends.
    pub(crate) fn between(self, name: String, transmitter_at: NodeId, receiver_at: NodeId) -> Link {
        Link {
            name,
            transmitter_at,
            receiver_at,
            message_delay: self.message_delay.unwrap_or_else(|| self.fibre.delay()),
            fibre: self.fibre,
            transmitter: self.transmitter,
            receiver: self.receiver,
            protocol: self.protocol,
            recording: None,
            detail: self.detail,
            published: None,
            note: String::new(),
        }
    }
}

/// Reads the file's links behind those generated. A link that could not be read leaves its name behind, so
/// that events on it are not told as mistakes of their own.
pub(super) fn links<'a, 'i>(
    file: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    devices: &Devices<'a, 'i>,
    nodes: &Names<'_, NodeId>,
    links: &mut Vec<Link>,
    names: &mut Names<'a, AnyLink>,
    sink: &mut Sink<'_>,
) {
    let tables = file.named("link", sink);
    links.reserve(tables.len());
    let mut channels: usize = links.iter().map(|link| link.fibre.classical_channels.len()).sum();
    for table in tables {
        if names.contains_key(table.name) {
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || "generated before".to_owned(), problem);
            continue;
        }
        names.insert(Cow::Borrowed(table.name), AnyLink::Key(LinkId(links.len() as u32)));
        let within = Path::top("link");
        let path = within.below(table.name);
        let reader = Reader::new(Layers::one(Some(table.layer)), &LINK, path, table.span);
        reader.check(sink);
        let ends = ends(&reader, nodes, sink);
        let body = link_body(&reader, defaults, devices, None, sink);
        let recording = hardware::recording(&reader, sink).map(Box::new);
        let published = published(&reader, sink);
        let note = reader.text("note", sink);
        channels += body.as_ref().map_or(0, |body| body.fibre.classical_channels.len());
        if channels > MOST_CHANNELS {
            reader.tell(sink, reader.span.clone(), "fibre", too_many_channels());
            return;
        }
        if let (Some((transmitter_at, receiver_at)), Some(body)) = (ends, body) {
            let link = body.between(table.name.to_owned(), transmitter_at, receiver_at);
            links.push(Link { recording, published, note: note.unwrap_or_default(), ..link });
        }
    }
}

/// That there are more than [`MOST_CHANNELS`].
pub(crate) fn too_many_channels() -> Problem {
    Problem::Condition {
        what: "the network".to_owned(),
        condition: format!("has more than {MOST_CHANNELS} classical channels, those of every link counted"),
    }
}

fn ends(
    link: &Reader<'_, '_, '_>,
    nodes: &Names<'_, NodeId>,
    sink: &mut Sink<'_>,
) -> Option<(NodeId, NodeId)> {
    let (transmitter, receiver, span): (_, _, Range<usize>) = match link.value("ends") {
        Some(value) => {
            for key in ["transmitter_at", "receiver_at"] {
                if let Some(other) = link.value(key) {
                    link.tell(sink, other.span(), key, Problem::Both { first: "ends", second: key });
                }
            }
            let [transmitter, receiver] = two_nodes(link, value, nodes, sink)?;
            (transmitter, receiver, value.span())
        }
        None if link.value("transmitter_at").is_none() && link.value("receiver_at").is_none() => {
            link.missing(sink, "ends");
            return None;
        }
        None => {
            let transmitter = link.reference("transmitter_at", "node", nodes, sink);
            let receiver = link.reference("receiver_at", "node", nodes, sink);
            (transmitter, receiver, link.value("receiver_at").map_or(0..0, Spanned::span))
        }
    };
    different(link, [transmitter?, receiver?], span, nodes, sink).map(<(NodeId, NodeId)>::from)
}

/// The two nodes that the value of `ends` names.
pub(super) fn two_nodes<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    value: &'a Spanned<DeValue<'i>>,
    nodes: &Names<'_, NodeId>,
    sink: &mut Sink<'_>,
) -> Option<[Option<NodeId>; 2]> {
    let DeValue::Array(items) = value.get_ref() else {
        link.wrong_type(sink, "ends", value);
        return None;
    };
    let [first, second] = items.as_ref() else {
        link.wrong_type(sink, "ends", value);
        return None;
    };
    Some([first, second].map(|item| link.named_by("ends", item, "node", nodes, sink)))
}

/// The ends of a link, if they are two nodes.
pub(super) fn different(
    link: &Reader<'_, '_, '_>,
    ends: [NodeId; 2],
    span: Range<usize>,
    nodes: &Names<'_, NodeId>,
    sink: &mut Sink<'_>,
) -> Option<[NodeId; 2]> {
    if ends[0] == ends[1] {
        let node = nodes.iter().find(|(_, id)| **id == ends[0]).map_or("", |(name, _)| name.as_ref());
        let problem = Problem::SameEnds { what: "link", node: node.to_owned() };
        link.tell(sink, span, "ends", problem);
        return None;
    }
    Some(ends)
}

/// Reads what a link is between its ends. `length` is taken if the file gives none.
pub(crate) fn link_body<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    devices: &Devices<'a, 'i>,
    length: Option<Length>,
    sink: &mut Sink<'_>,
) -> Option<LinkBody> {
    let fibre = {
        let mut layers = Layers::one(own_table(link, "fibre", sink)?);
        layers.push(defaults.fibre);
        if layers.is_empty() {
            link.missing(sink, "fibre");
            None
        } else {
            let reader = below(link, "fibre", &FIBRE, layers);
            reader.check(sink);
            fibre(&reader, length, sink)
        }
    };
    let transmitter = devices.transmitter(link, defaults.transmitter, sink);
    let receiver = devices.receiver(link, defaults.receiver, sink);
    let protocol = {
        let mut layers = Layers::one(own_table(link, "protocol", sink)?);
        layers.push(defaults.protocol);
        let reader = below(link, "protocol", &PROTOCOL, layers);
        reader.check(sink);
        let source = transmitter.as_ref().map(|transmitter| &transmitter.source);
        let sender = link.value("transmitter").map_or_else(|| link.span.clone(), Spanned::span);
        protocol(&reader, source, sender, sink)
    };
    let detail = match link.value("detail") {
        Some(_) => link.choice("detail", sink)?,
        None => defaults.detail,
    };
    let message_delay = link.quantity("message_delay", sink);
    let (fibre, has_length) = fibre?;
    let (transmitter, receiver) = (transmitter?, receiver?);
    let period = Duration::from_picoseconds(libm::ceil(transmitter.clock.period_picoseconds()) as u64);
    if let Some(gate) = receiver.detector.gate.filter(|&gate| gate > period) {
        let problem = Problem::Condition {
            what: format!("the receiver's gate of {gate}"),
            condition: format!("must not be longer than the period of the transmitter's clock, {period}"),
        };
        sink.tell(link.span.clone(), || link.path.here(), problem);
        return None;
    }
    Some(LinkBody { fibre, transmitter, receiver, protocol: protocol?, detail, message_delay, has_length })
}

/// The link's own table of a key; `Some(None)` if it has none, `None` if it has something else there.
#[allow(clippy::option_option)]
pub(super) fn own_table<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    key: &'static str,
    sink: &mut Sink<'_>,
) -> Option<Option<Layer<'a, 'i>>> {
    match link.value(key) {
        None => Some(None),
        Some(value) => match Layer::of(value) {
            Some(layer) => Some(Some(layer)),
            None => {
                link.wrong_type(sink, key, value);
                None
            }
        },
    }
}

/// The fibre, and whether the file says how long it is.
pub(super) fn fibre(
    reader: &Reader<'_, '_, '_>,
    length: Option<Length>,
    sink: &mut Sink<'_>,
) -> Option<(Fibre, bool)> {
    let has_length = reader.value("length").is_some();
    let length = match length {
        Some(length) if !has_length => Some(length),
        _ => reader.quantity("length", sink),
    };
    let attenuation = attenuation(reader, sink);
    let extra_loss = reader.quantity("extra_loss", sink);
    let misalignment = reader.number("misalignment", sink);
    let group_index = reader.number("group_index", sink);
    let drift = inner(&FIBRE, "drift").and_then(|record| reader.table("drift", record, sink)).and_then(|r| {
        r.check(sink);
        let angle = r.quantity("angle", sink);
        let over = r.positive_duration("over", sink);
        let realigned_every = r.positive_duration("realigned_every", sink);
        Some(Drift { angle: angle?, over: over?, realigned_every })
    });
    let channels = inner(&FIBRE, "classical_channels")
        .map(|record| reader.list("classical_channels", record, sink))
        .unwrap_or_default();
    let classical_channels = each(&channels, sink, |channel, sink| {
        let power = channel.quantity("power", sink);
        let direction = channel.choice("direction", sink);
        let loss_per_length = channel.quantity("loss_per_length", sink);
        let raman = channel.quantity("raman", sink);
        Some(ClassicalChannel {
            power: power?,
            direction: direction?,
            loss_per_length: loss_per_length?,
            raman: raman?,
        })
    });
    let fibre = Fibre {
        length: length?,
        attenuation: attenuation?,
        extra_loss: extra_loss?,
        misalignment: misalignment?,
        drift,
        group_index: group_index?,
        classical_channels: classical_channels?,
    };
    Some((fibre, has_length))
}

/// The loss by length or in all: of the nearest layer that gives one of them.
fn attenuation(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Attenuation> {
    for layer in reader.layers.iter() {
        let single = Reader::new(Layers::one(Some(layer)), &FIBRE, reader.path, reader.span.clone());
        match (single.value("loss_per_length"), single.value("total_loss")) {
            (Some(_), Some(total)) => {
                let problem = Problem::Both { first: "loss_per_length", second: "total_loss" };
                single.tell(sink, total.span(), "total_loss", problem);
                return None;
            }
            (Some(_), None) => return single.quantity("loss_per_length", sink).map(Attenuation::PerLength),
            (None, Some(_)) => return single.quantity("total_loss", sink).map(Attenuation::Total),
            (None, None) => {}
        }
    }
    let words = "loss_per_length` or `total_loss";
    reader.missing_of(sink, &["loss_per_length", "total_loss"], words);
    None
}

/// The protocol's settings; `sender` is where the transmitter stands.
fn protocol(
    reader: &Reader<'_, '_, '_>,
    source: Option<&Source>,
    sender: Range<usize>,
    sink: &mut Sink<'_>,
) -> Option<ProtocolSettings> {
    let block_size: Option<Size> = reader.quantity("block_size", sink);
    if let (Some(size), Some(value)) = (block_size, reader.value("block_size"))
        && !(1_000..=1_000_000_000).contains(&size.bits())
    {
        let problem = Problem::Condition {
            what: "`block_size`".to_owned(),
            condition: "must be 1 kbit to 1 Gbit".to_owned(),
        };
        reader.tell(sink, value.span(), "block_size", problem);
    }
    let eps_secrecy = reader.number("eps_secrecy", sink);
    let eps_correctness = reader.number("eps_correctness", sink);
    let bound = source.and_then(|source| bound(reader, source, sender, sink));
    let family = reader.choice("reconciliation", sink);
    let planning_efficiency = reader.number("planning_efficiency", sink);
    let authentication = reader.choice("authentication", sink);
    let authentication_key = reader.quantity("authentication_key", sink);
    let key_basis_probability = reader.number("key_basis_probability", sink);
    let false_alarm_probability = reader.number("false_alarm_probability", sink);
    Some(ProtocolSettings {
        block_size: block_size?,
        eps_secrecy: eps_secrecy?,
        eps_correctness: eps_correctness?,
        bound: bound?,
        reconciliation: Reconciliation { family: family?, planning_efficiency: planning_efficiency? },
        authentication: authentication?,
        authentication_key: authentication_key?,
        key_basis_probability: key_basis_probability?,
        false_alarm_probability: false_alarm_probability?,
    })
}

/// The security bound: as the file says, or as fits the source; and the conditions it puts on the source.
fn bound(
    reader: &Reader<'_, '_, '_>,
    source: &Source,
    sender: Range<usize>,
    sink: &mut Sink<'_>,
) -> Option<Bound> {
    let fitting = match source {
        Source::WeakCoherent { intensities } => match intensities.len() {
            2 => Some(Bound::Rusca2018),
            3 => Some(Bound::Lim2014),
            _ => None,
        },
        Source::SinglePhoton { .. } | Source::Heralded { .. } => Some(Bound::Tomamichel2012),
    };
    let given = match reader.value("bound") {
        Some(_) => Some(reader.choice::<Bound>("bound", sink)?),
        None => None,
    };
    let span = reader.value("bound").map_or(sender, Spanned::span);
    let fits = |given: Bound| fitting.is_some_and(|fitting| given.intensities() == fitting.intensities());
    if given.is_some_and(|given| !fits(given)) || fitting.is_none() {
        let bound = given.unwrap_or(Bound::Rusca2018);
        let wanted = match bound {
            Bound::Rusca2018 | Bound::Rusca2018Tight => "a weak-coherent source of two intensities",
            Bound::Lim2014 | Bound::Lim2014Tight => "a weak-coherent source of three intensities",
            Bound::Tomamichel2012 => "single photons, single-photon or heralded",
        };
        let found = match source {
            Source::WeakCoherent { intensities } => format!("weak-coherent of {}", intensities.len()),
            other => source_name(other).to_owned(),
        };
        let fitting = fitting.map(Bound::name);
        let problem = Problem::BoundMismatch { bound: bound.name(), wanted, found, fitting };
        reader.tell(sink, span, "bound", problem);
        return None;
    }
    let bound = given.or(fitting)?;
    if let Source::WeakCoherent { intensities } = source {
        let mu = |place: usize| intensities.get(place).map_or(0.0, |intensity| intensity.mean_photons);
        let broken = match bound {
            Bound::Rusca2018 | Bound::Rusca2018Tight if mu(1) <= 0.0 => {
                Some("the decoy must have light: mu2 > 0")
            }
            Bound::Lim2014 | Bound::Lim2014Tight if mu(0) <= mu(1) + mu(2) => {
                Some("mu1 must be above mu2 + mu3")
            }
            _ => None,
        };
        if let Some(condition) = broken {
            reader.tell(sink, span, "bound", Problem::Intensities { bound: bound.name(), condition });
            return None;
        }
    }
    Some(bound)
}

fn published(link: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Published> {
    let record = inner(&LINK, "published")?;
    let reader = link.table("published", record, sink)?;
    reader.check(sink);
    let secret_rate = reader.quantity("secret_rate", sink);
    let sifted_rate = reader.quantity("sifted_rate", sink);
    let qber = reader.number("qber", sink);
    let source = reader.text("source", sink);
    let evidence = reader.choice("evidence", sink);
    let fitted = fitted(&reader, &LINK, sink);
    Some(Published { secret_rate, sifted_rate, qber, source: source?, evidence: evidence?, fitted })
}

/// The parameter of a link that is said to be fitted.
pub(super) fn fitted(
    published: &Reader<'_, '_, '_>,
    link: &'static Record,
    sink: &mut Sink<'_>,
) -> Option<Fitted> {
    let fitted = published.table("fitted", inner(published.record, "fitted")?, sink)?;
    fitted.check(sink);
    let parameter = fitted.text("parameter", sink);
    let reason = fitted.text("reason", sink);
    let parameter = parameter.filter(|parameter| is_parameter(&fitted, parameter, link, sink));
    Some(Fitted { parameter: parameter?, reason: reason? })
}

/// Whether a path names a value of a link.
fn is_parameter(fitted: &Reader<'_, '_, '_>, path: &str, link: &'static Record, sink: &mut Sink<'_>) -> bool {
    let mut record = link;
    let mut unknown = None;
    for segment in path.split('.') {
        match record.field(segment).map(|field| &field.kind) {
            Some(Kind::Table(inner) | Kind::TableOrProfile(inner) | Kind::List(inner)) => record = inner,
            Some(_) => {}
            None => {
                unknown = Some(segment);
                break;
            }
        }
    }
    let Some(segment) = unknown else { return true };
    let known: Vec<_> = record.fields.iter().map(|field| field.key).collect();
    let near = nearest(segment, known.iter().copied()).and_then(|near| known.iter().find(|k| **k == near));
    let problem =
        Problem::UnknownKey { key: clip(segment), table: record.name, nearest: near.copied(), known };
    let span = fitted.value("parameter").map_or(0..0, Spanned::span);
    fitted.tell(sink, span, "parameter", problem);
    false
}
