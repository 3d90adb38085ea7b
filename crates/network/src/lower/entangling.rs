//! Links that entangle memories.

use super::link::{different, fibre, fitted, own_table, two_nodes};
use super::{AnyLink, Defaults, MOST_CHANNELS, Names, below, inner, too_many_channels};
use crate::reader::{Layer, Layers, Path, Reader, pick};
use crate::record::Record;
use crate::record::entangling::{ENTANGLING, SCHEME, STATION, SchemeKind};
use crate::record::link::FIBRE;
use crate::sink::Sink;
use crate::{
    Availability, Calibration, ChargeCheck, EntanglingLink, Fibre, Node, Problem, PublishedPairs, QubitUse,
    Scheme, StatedPair, Station,
};
use bellwether_units::{Duration, Length, LinkId, NodeId};
use std::borrow::Cow;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// An entangling link without its ends and its name.
#[derive(Clone, Debug)]
pub(crate) struct EntanglingBody {
    pub(crate) fibre: Fibre,
    station: Station,
    scheme: Arc<Scheme>,
    memories: [u16; 2],
    qubits: [QubitUse; 2],
    cycle: Option<Duration>,
    preparation: Option<Duration>,
    processing: Duration,
    message_delay: Option<Duration>,
    availability: Option<Box<Availability>>,
    test_share: f64,
    /// Whether the file says how long the fibre is.
    pub(crate) has_length: bool,
}

impl EntanglingBody {
    /// The link with these ends.
    pub(crate) fn between(self, name: String, ends: [NodeId; 2]) -> EntanglingLink {
        EntanglingLink {
            name,
            ends,
            memories: self.memories,
            qubits: self.qubits,
            message_delay: self.message_delay.unwrap_or_else(|| self.fibre.delay()),
            fibre: self.fibre,
            station: self.station,
            scheme: self.scheme,
            cycle: self.cycle,
            preparation: self.preparation,
            processing: self.processing,
            availability: self.availability,
            test_share: self.test_share,
            published: None,
            note: String::new(),
        }
    }
}

/// Reads the file's entangling links behind those generated. One that could not be read leaves its name behind, so that
/// events on it are not told as mistakes of their own.
pub(super) fn links<'a, 'i>(
    file: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    nodes: &[Node],
    node_names: &Names<'_, NodeId>,
    links: &mut Vec<EntanglingLink>,
    names: &mut Names<'a, AnyLink>,
    sink: &mut Sink<'_>,
) {
    let tables = file.named("entangling", sink);
    links.reserve(tables.len());
    let mut channels: usize = links.iter().map(|link| link.fibre.classical_channels.len()).sum();
    for table in tables {
        if let Some(other) = names.get(table.name) {
            let what = match other {
                AnyLink::Key(_) => "a link that makes key, or generated before",
                AnyLink::Entangling(_) => "generated before",
            };
            let problem = Problem::Duplicate { name: table.name.to_owned() };
            sink.tell(table.span, || what.to_owned(), problem);
            continue;
        }
        names.insert(Cow::Borrowed(table.name), AnyLink::Entangling(LinkId(links.len() as u32)));
        let within = Path::top("entangling");
        let path = within.below(table.name);
        let mut layers = Layers::one(Some(table.layer));
        layers.push(defaults.entangling);
        let reader = Reader::new(layers, &ENTANGLING, path, table.span);
        reader.check(sink);
        let ends = match reader.value("ends") {
            None => {
                reader.missing(sink, "ends");
                None
            }
            Some(value) => match two_nodes(&reader, value, node_names, sink) {
                Some([Some(a), Some(b)]) => different(&reader, [a, b], value.span(), node_names, sink),
                _ => None,
            },
        };
        let body = entangling_body(&reader, defaults, None, sink);
        let published = published(&reader, sink).map(Box::new);
        let note = reader.text("note", sink).unwrap_or_default();
        channels += body.as_ref().map_or(0, |body| body.fibre.classical_channels.len());
        if channels > MOST_CHANNELS {
            reader.tell(sink, reader.span.clone(), "fibre", too_many_channels());
            return;
        }
        if let (Some(ends), Some(body)) = (ends, body) {
            let link = body.between(table.name.to_owned(), ends);
            super::needs::tell(&reader, &link, nodes, sink);
            links.push(EntanglingLink { published, note, ..link });
        }
    }
}

/// Reads what an entangling link is between its ends. `length` is taken if the file gives none.
pub(crate) fn entangling_body<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    defaults: &Defaults<'a, 'i>,
    length: Option<Length>,
    sink: &mut Sink<'_>,
) -> Option<EntanglingBody> {
    let station = sub_table(link, "station", &STATION, None, sink);
    let (station, arms) = match &station {
        Some(reader) => {
            let arms = arms(reader, sink);
            (read_station(reader, arms, sink), arms)
        }
        None => (None, None),
    };
    let fibre = {
        let reader = sub_table(link, "fibre", &FIBRE, defaults.fibre, sink);
        reader.and_then(|reader| {
            if reader.layers.is_empty() {
                link.missing(sink, "fibre");
                return None;
            }
            tell_unmodelled(link, &reader, sink);
            let sum = arms.map(|[a, b]| Length::from_kilometres(a.kilometres() + b.kilometres()));
            let read = fibre(&reader, sum.or(length), sink);
            if let (Some(sum), Some((fibre, true)), Some(value)) = (sum, &read, reader.value("length")) {
                let (said, sum) = (fibre.length.kilometres(), sum.kilometres());
                if libm::fabs(said - sum) > 1e-6 * said.max(sum) {
                    let what = "`length`".to_owned();
                    let condition =
                        format!("must be that of the station's arms together, {sum} km, or be left out");
                    reader.tell(sink, value.span(), "length", Problem::Condition { what, condition });
                }
            }
            read.map(|(fibre, has_length)| (fibre, has_length || sum.is_some()))
        })
    };
    let scheme = sub_table(link, "scheme", &SCHEME, None, sink).and_then(|reader| {
        if reader.layers.is_empty() {
            link.missing(sink, "scheme");
            return None;
        }
        scheme(reader, sink)
    });
    if let (Some(Scheme::Reflection { .. }), Some(reader)) =
        (&scheme, link.value("station").and_then(Layer::of))
    {
        for key in ["at", "arms"] {
            if let Some(value) = reader.table.get(key) {
                let what = format!("`{key}`");
                let condition =
                    "has no meaning with `kind = \"reflection\"`: the pulse is seen at the second end"
                        .to_owned();
                let path = link.path.below("station");
                sink.tell(value.span(), || path.of(key), Problem::Condition { what, condition });
            }
        }
    }
    let integer = |kind: &_, value, sink: &mut Sink<'_>| link.integer_of("memories", kind, value, sink);
    let memories = link.per_end("memories", sink, |text| text.parse().ok(), integer);
    let word = |_: &_, value, sink: &mut Sink<'_>| link.choice_of("qubits", value, sink);
    let qubits = link.per_end("qubits", sink, pick, word);
    if let (Some(memories), Some(qubits)) = (memories, qubits) {
        for (memories, qubits) in memories.into_iter().zip(qubits) {
            if qubits == QubitUse::Communication && memories > 1u64 {
                let what = format!("{memories} memories");
                let condition = "are more than the one communication qubit that keeps the pairs: write `memories = 1` for \
                                 that end, or other `qubits`"
                    .to_owned();
                let span = link.value("qubits").map_or_else(|| link.span.clone(), Spanned::span);
                link.tell(sink, span, "qubits", Problem::Condition { what, condition });
            }
        }
    }
    let cycle = link.positive_duration("cycle", sink);
    let preparation = link.quantity("preparation", sink);
    let processing = link.quantity("processing", sink);
    let message_delay = link.quantity("message_delay", sink);
    let availability = availability(link, sink).map(Box::new);
    let test_share = link.number("test_share", sink);
    let (fibre, has_length) = fibre?;
    Some(EntanglingBody {
        fibre,
        station: station?,
        scheme: Arc::new(scheme?),
        memories: memories?.map(|memories: u64| memories as u16),
        qubits: qubits?,
        cycle,
        preparation,
        processing: processing?,
        message_delay,
        availability,
        test_share: test_share?,
        has_length,
    })
}

/// Tells of what a fibre says that no model of an entangling link takes notice of.
fn tell_unmodelled(link: &Reader<'_, '_, '_>, fibre: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) {
    // That of `[defaults] fibre` is for links that make key.
    if let Some(value) = link.layers.child("fibre").get("misalignment") {
        let what = "`misalignment`".to_owned();
        let condition =
            "has no meaning on a link that entangles: write the `visibility` of its `station`".to_owned();
        fibre.tell(sink, value.span(), "misalignment", Problem::Condition { what, condition });
    }
    for (key, instead) in [("drift", "its `visibility`"), ("classical_channels", "its dark clicks")] {
        let Some(value) = fibre.value(key) else { continue };
        if matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()) {
            continue;
        }
        let what = format!("`{key}`");
        let condition = format!(
            "has no model on a link that entangles: tell what it does by the `station`, in {instead}; `[defaults] fibre` \
             is for links of both kinds"
        );
        fibre.tell(sink, value.span(), key, Problem::Condition { what, condition });
    }
}

/// A reader of a link's table in all layers that say something of it, and in one more; without any layer if none does.
fn sub_table<'a, 'i, 'p>(
    link: &'p Reader<'a, 'i, '_>,
    key: &'static str,
    record: &'static Record,
    more: Option<Layer<'a, 'i>>,
    sink: &mut Sink<'_>,
) -> Option<Reader<'a, 'i, 'p>> {
    own_table(link, key, sink)?;
    let mut layers = link.layers.child(key);
    layers.push(more);
    let reader = below(link, key, record, layers);
    reader.check(sink);
    Some(reader)
}

/// The lengths of the arms, if the nearest layer that says where the station stands gives these.
fn arms(station: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<[Length; 2]> {
    let place = |layer: &Layer<'_, '_>| layer.table.contains_key("at") || layer.table.contains_key("arms");
    let layer = station.layers.iter().find(place)?;
    if let (Some(_), Some(arms)) = (layer.table.get("at"), layer.table.get("arms")) {
        station.tell(sink, arms.span(), "arms", Problem::Both { first: "at", second: "arms" });
        return None;
    }
    layer.table.get("arms")?;
    let read = |_: &_, value, sink: &mut Sink<'_>| station.quantity_of::<Length>("arms", value, sink);
    let arms = station.several("arms", sink, read)?;
    arms.try_into().ok()
}

fn read_station(
    reader: &Reader<'_, '_, '_>,
    arms: Option<[Length; 2]>,
    sink: &mut Sink<'_>,
) -> Option<Station> {
    let at = match arms.map(|arms| arms.map(Length::kilometres)) {
        // Two arms of no length meet half way.
        Some([first, second]) if first + second > 0.0 => first / (first + second),
        Some(_) => 0.5,
        None => reader.number("at", sink).unwrap_or(0.5),
    };
    let dark_probability = reader.number("dark_probability", sink);
    let unmodelled_coherence = reader.number("unmodelled_coherence", sink);
    let detector_efficiency = reader.number("detector_efficiency", sink);
    Some(Station {
        at,
        dark_count_rate: reader.quantity("dark_count_rate", sink),
        window: reader.positive_duration("window", sink),
        dark_probability,
        visibility: reader.number("visibility", sink),
        phase: reader.quantity("phase", sink),
        double_excitation: reader.number("double_excitation", sink),
        unmodelled_coherence: unmodelled_coherence?,
        detector_efficiency: detector_efficiency?,
    })
}

fn scheme(mut reader: Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Scheme> {
    let kind: SchemeKind = reader.choice("kind", sink)?;
    // Defaults of another kind have nothing to say about this one.
    let mut same_kind = Layers::default();
    for layer in reader.layers.iter() {
        let word = match layer.table.get("kind").map(Spanned::get_ref) {
            Some(DeValue::String(word)) => Some(word.as_ref()),
            _ => None,
        };
        if word.is_none_or(|word| word == kind.name()) {
            same_kind.push(Some(layer));
        }
    }
    reader.layers = same_kind;
    let number = |key: &'static str| {
        let reader = &reader;
        move |kind: &_, value, sink: &mut Sink<'_>| reader.number_of(key, kind, value, sink)
    };
    Some(match kind {
        SchemeKind::SingleClick => {
            let brightness = reader.several("brightness", sink, number("brightness"));
            if reader.value("brightness").is_none() {
                reader.missing(sink, "brightness");
            }
            let counts_photons = reader.flag("counts_photons", sink);
            Scheme::SingleClick { brightness: brightness?, counts_photons: counts_photons? }
        }
        SchemeKind::DoubleClick => Scheme::DoubleClick,
        SchemeKind::PairSource => {
            let mean_pairs = reader.number("mean_pairs", sink);
            let clock = reader.quantity("clock", sink);
            let parse = |text: &str| text.parse().ok();
            let absorption = reader.per_end("absorption", sink, parse, number("absorption"));
            Scheme::PairSource { mean_pairs: mean_pairs?, clock: clock?, absorption: absorption? }
        }
        SchemeKind::Reflection => {
            let mean_photons = reader.number("mean_photons", sink);
            let reflectance = reader.per_end("reflectance", sink, |_| None, number("reflectance"));
            let contrast = reader.number("contrast", sink);
            Scheme::Reflection { mean_photons: mean_photons?, reflectance: reflectance?, contrast: contrast? }
        }
        SchemeKind::Ensemble => Scheme::Ensemble,
        SchemeKind::Stated => {
            let success = reader.number("success", sink);
            let pair = stated_pair(&reader, sink);
            Scheme::Stated { success: success?, pair: pair? }
        }
    })
}

/// The stated pair, as the nearest layer gives it.
fn stated_pair(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<StatedPair> {
    const KEYS: [&str; 2] = ["fidelity", "bell_diagonal"];
    let Some(layer) =
        reader.layers.iter().find(|layer| KEYS.iter().any(|key| layer.table.contains_key(*key)))
    else {
        reader.missing_of(sink, &KEYS, "fidelity` or `bell_diagonal");
        return None;
    };
    let single = Reader::new(Layers::one(Some(layer)), reader.record, reader.path, reader.span.clone());
    match (single.value("fidelity"), single.value("bell_diagonal")) {
        (Some(_), Some(value)) => {
            let problem = Problem::Both { first: "fidelity", second: "bell_diagonal" };
            single.tell(sink, value.span(), "bell_diagonal", problem);
            None
        }
        (_, None) => single.number("fidelity", sink).map(StatedPair::Werner),
        (None, Some(value)) => {
            let read =
                |kind: &_, value, sink: &mut Sink<'_>| single.number_of("bell_diagonal", kind, value, sink);
            let probabilities: [f64; 4] = single.several("bell_diagonal", sink, read)?.try_into().ok()?;
            let sum: f64 = probabilities.iter().sum();
            if libm::fabs(sum - 1.0) > 1e-9 {
                let what = "`bell_diagonal`".to_owned();
                let condition = format!("must sum to 1, and this sums to {}", libm::round(sum * 1e9) / 1e9);
                single.tell(sink, value.span(), "bell_diagonal", Problem::Condition { what, condition });
                return None;
            }
            Some(StatedPair::BellDiagonal(probabilities))
        }
    }
}

fn availability(link: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Availability> {
    let record = inner(link.record, "availability")?;
    let reader = link.table("availability", record, sink)?;
    reader.check(sink);
    let charge_check = inner(record, "charge_check")
        .and_then(|record| reader.table("charge_check", record, sink))
        .and_then(|check| {
            check.check(sink);
            let pass = check.number("pass", sink);
            let time = check.positive_duration("time", sink);
            let every = check.positive_duration("every", sink);
            Some(ChargeCheck { pass: pass?, time: time?, every: every? })
        });
    let calibration = inner(record, "calibration")
        .and_then(|record| reader.table("calibration", record, sink))
        .and_then(|calibration| {
            calibration.check(sink);
            let period = calibration.positive_duration("period", sink);
            let length = calibration.positive_duration("length", sink);
            let (period, length) = (period?, length?);
            if length >= period {
                let span = calibration.value("length").map_or(0..0, Spanned::span);
                let what = "`length`".to_owned();
                let condition = format!("must be below the period, {period}");
                calibration.tell(sink, span, "length", Problem::Condition { what, condition });
            }
            Some(Calibration { period, length })
        });
    Some(Availability { charge_check, calibration })
}

/// What is published of a link or a demand.
pub(super) fn published(of: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<PublishedPairs> {
    let reader = of.table("published", inner(of.record, "published")?, sink)?;
    reader.check(sink);
    let rate = reader.quantity("rate", sink);
    let rate_deviation = reader.quantity("rate_deviation", sink);
    let fidelity = reader.number("fidelity", sink);
    let fidelity_deviation = reader.number("fidelity_deviation", sink);
    let source = reader.text("source", sink);
    let evidence = reader.choice("evidence", sink);
    let fitted = fitted(&reader, &ENTANGLING, sink);
    Some(PublishedPairs {
        rate,
        rate_deviation,
        fidelity,
        fidelity_deviation,
        source: source?,
        evidence: evidence?,
        fitted,
    })
}
