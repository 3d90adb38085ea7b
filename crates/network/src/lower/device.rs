//! Transmitters and receivers, their profiles and their sources.

use super::{NamedTable, below, each, hardware, inner};
use crate::check::{check_alone, check_keys};
use crate::profile::library;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::devices::{RECEIVER, SourceKind, TRANSMITTER};
use crate::record::{Choice, Record};
use crate::sink::Sink;
use crate::text::clip;
use crate::{Afterpulsing, Detector, Intensity, Problem, Receiver, Source, Transmitter, nearest_of_all};
use std::cell::RefCell;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;

/// The profiles that links may name: the file's own before the library's.
#[derive(Debug)]
pub(crate) struct Devices<'a, 'i> {
    transmitters: BTreeMap<&'a str, Layer<'a, 'i>>,
    receivers: BTreeMap<&'a str, Layer<'a, 'i>>,
    /// What was read for a bare name before: large networks name one profile very often.
    read_transmitters: RefCell<BTreeMap<usize, Option<Transmitter>>>,
    read_receivers: RefCell<BTreeMap<usize, Option<Receiver>>>,
}

impl<'a, 'i> Devices<'a, 'i> {
    /// Gathers the profiles and checks those of the file.
    pub(crate) fn new(file: &Reader<'a, 'i, '_>, sink: &mut Sink<'_>) -> Self {
        let library = library();
        let mut transmitters: BTreeMap<_, Layer<'a, 'i>> =
            library.transmitters().map(|(name, layer)| (name, shorter(layer))).collect();
        let mut receivers: BTreeMap<_, Layer<'a, 'i>> =
            library.receivers().map(|(name, layer)| (name, shorter(layer))).collect();
        for (key, record, map) in
            [("transmitter", &TRANSMITTER, &mut transmitters), ("receiver", &RECEIVER, &mut receivers)]
        {
            for NamedTable { name, layer, .. } in file.named(key, sink) {
                let within = Path::top(key);
                let path = within.below(name);
                check_alone(layer, record, &path, sink);
                hardware::refuse(layer, &path, sink);
                if let Some(value) = layer.table.get("profile") {
                    let problem = Problem::Condition {
                        what: format!("the profile `{name}`"),
                        condition: "cannot be based on another profile: write its values out".to_owned(),
                    };
                    sink.tell(value.span(), || path.of("profile"), problem);
                }
                map.insert(name, layer);
            }
        }
        Self {
            transmitters,
            receivers,
            read_transmitters: RefCell::default(),
            read_receivers: RefCell::default(),
        }
    }

    /// The transmitter of a link: its own values, its profile's, the defaults'.
    pub(crate) fn transmitter(
        &self,
        link: &Reader<'a, 'i, '_>,
        defaults: Option<&'a Spanned<DeValue<'i>>>,
        sink: &mut Sink<'_>,
    ) -> Option<Transmitter> {
        let found = Found::new("transmitter", link, defaults, &self.transmitters, &TRANSMITTER, sink)?;
        if let Some(read) = found.key.and_then(|key| self.read_transmitters.borrow().get(&key).cloned()) {
            return read;
        }
        let transmitter = read_transmitter(link, &found, sink);
        if let Some(key) = found.key {
            self.read_transmitters.borrow_mut().insert(key, transmitter.clone());
        }
        transmitter
    }

    /// The receiver of a link: its own values, its profile's, the defaults'.
    pub(crate) fn receiver(
        &self,
        link: &Reader<'a, 'i, '_>,
        defaults: Option<&'a Spanned<DeValue<'i>>>,
        sink: &mut Sink<'_>,
    ) -> Option<Receiver> {
        let found = Found::new("receiver", link, defaults, &self.receivers, &RECEIVER, sink)?;
        if let Some(read) = found.key.and_then(|key| self.read_receivers.borrow().get(&key).cloned()) {
            return read;
        }
        let receiver = read_receiver(link, &found, sink);
        if let Some(key) = found.key {
            self.read_receivers.borrow_mut().insert(key, receiver.clone());
        }
        receiver
    }
}

/// A layer of the library, whose texts live for ever, as one that lives as long as the file.
pub(super) fn shorter<'a, 'i>(layer: Layer<'static, 'static>) -> Layer<'a, 'i> {
    layer
}

/// What says what a link's device or a node's platform is.
pub(super) struct Found<'a, 'i> {
    pub(super) layers: Layers<'a, 'i>,
    /// The profile that was named.
    pub(super) profile: Option<&'a str>,
    /// By what the device that is read may be kept: there is such a key if the link gives no values of its own.
    pub(super) key: Option<usize>,
}

impl<'a, 'i> Found<'a, 'i> {
    pub(super) fn new(
        key: &'static str,
        link: &Reader<'a, 'i, '_>,
        defaults: Option<&'a Spanned<DeValue<'i>>>,
        profiles: &BTreeMap<&'a str, Layer<'a, 'i>>,
        record: &'static Record,
        sink: &mut Sink<'_>,
    ) -> Option<Self> {
        let own = link.value(key);
        if own.is_none() && defaults.is_none() {
            link.missing(sink, key);
            return None;
        }
        let mut found = Self { layers: Layers::default(), profile: None, key: None };
        for value in [own, defaults].into_iter().flatten() {
            let name = match value.get_ref() {
                DeValue::String(_) => Some(value),
                DeValue::Table(table) => {
                    found.layers.push(Layer::of(value));
                    table.get("profile")
                }
                _ => {
                    link.wrong_type(sink, key, value);
                    return None;
                }
            };
            if let Some(name) = name {
                found.profile = Some(found.name_profile(key, name, link, profiles, sink)?);
                break;
            }
        }
        if let Some(own) = own.and_then(Layer::of) {
            let path = link.path.below(key);
            check_keys(own, &found.layers, record, &path, sink);
        } else {
            found.key = found.layers.iter().next().map(|layer| layer.start);
        }
        Some(found)
    }

    /// Adds the layer of the profile that a value names.
    fn name_profile(
        &mut self,
        key: &'static str,
        name: &'a Spanned<DeValue<'i>>,
        link: &Reader<'a, 'i, '_>,
        profiles: &BTreeMap<&'a str, Layer<'a, 'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<&'a str> {
        let DeValue::String(text) = name.get_ref() else {
            link.wrong_type(sink, key, name);
            return None;
        };
        let Some(profile) = profiles.get(text.as_ref()) else {
            let nearest = nearest_of_all(text, profiles.keys().copied()).map(str::to_owned);
            let what = match key {
                "transmitter" => "transmitter profile",
                "receiver" => "receiver profile",
                _ => "platform profile",
            };
            link.tell(sink, name.span(), key, Problem::NoSuch { what, name: clip(text), nearest });
            return None;
        };
        self.layers.push(Some(*profile));
        Some(text)
    }
}

fn read_transmitter<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    found: &Found<'a, 'i>,
    sink: &mut Sink<'_>,
) -> Option<Transmitter> {
    let reader = below(link, "transmitter", &TRANSMITTER, found.layers);
    let clock = reader.quantity("clock", sink);
    let duty_cycle = reader.number("duty_cycle", sink);
    let wavelength = reader.quantity("wavelength", sink);
    let source = source(&reader, sink);
    Some(Transmitter {
        profile: found.profile.map(str::to_owned),
        clock: clock?,
        duty_cycle: duty_cycle?,
        wavelength: wavelength?,
        source: source?,
    })
}

fn source(transmitter: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Source> {
    let record = inner(&TRANSMITTER, "source")?;
    let mut source = transmitter.table("source", record, sink)?;
    let kind: SourceKind = source.choice("kind", sink)?;
    // A profile of another kind of source has nothing to say about this one.
    let mut same_kind = Layers::default();
    for layer in source.layers.iter() {
        let word = match layer.table.get("kind").map(Spanned::get_ref) {
            Some(DeValue::String(word)) => Some(word.as_ref()),
            _ => None,
        };
        if word.is_none_or(|word| word == kind.name()) {
            same_kind.push(Some(layer));
        }
    }
    source.layers = same_kind;
    source.check(sink);
    match kind {
        SourceKind::WeakCoherent => {
            let intensities = intensities(&source, inner(record, "intensities")?, sink)?;
            Some(Source::WeakCoherent { intensities })
        }
        SourceKind::SinglePhoton => {
            let brightness = source.number("brightness", sink);
            let g2 = source.number("g2", sink);
            Some(Source::SinglePhoton { brightness: brightness?, g2: g2? })
        }
        SourceKind::Heralded => {
            let mean_pairs = source.number("mean_pairs", sink);
            let modes = source.integer("modes", sink);
            let herald_efficiency = source.number("herald_efficiency", sink);
            let herald_dark_probability = source.number("herald_dark_probability", sink);
            let coupling = source.number("coupling", sink);
            Some(Source::Heralded {
                mean_pairs: mean_pairs?,
                modes: modes? as u32,
                herald_efficiency: herald_efficiency?,
                herald_dark_probability: herald_dark_probability?,
                coupling: coupling?,
            })
        }
    }
}

fn intensities(
    source: &Reader<'_, '_, '_>,
    record: &'static Record,
    sink: &mut Sink<'_>,
) -> Option<Vec<Intensity>> {
    const MOST: usize = 8;
    if source.value("intensities").is_none() {
        source.missing(sink, "intensities");
        return None;
    }
    let readers = source.list("intensities", record, sink);
    let span = source.value("intensities").map_or(0..0, Spanned::span);
    let condition = |condition: &str| Problem::Condition {
        what: "`intensities`".to_owned(),
        condition: condition.to_owned(),
    };
    if readers.is_empty() || readers.len() > MOST {
        source.tell(sink, span, "intensities", condition("must be 1 to 8"));
        return None;
    }
    let intensities = each(&readers, sink, |reader, sink| {
        let mean_photons = reader.number("mean_photons", sink);
        let probability = reader.number("probability", sink);
        Some(Intensity { mean_photons: mean_photons?, probability: probability? })
    })?;
    let sum: f64 = intensities.iter().map(|intensity| intensity.probability).sum();
    if libm::fabs(sum - 1.0) > 1e-9 {
        let sum = libm::round(sum * 1e9) / 1e9;
        source.tell(sink, span, "intensities", Problem::ProbabilitySum { sum });
        return None;
    }
    if intensities.windows(2).any(|pair| pair[0].mean_photons <= pair[1].mean_photons) {
        let problem = condition("must be written in falling order of `mean_photons`, no two alike");
        source.tell(sink, span, "intensities", problem);
        return None;
    }
    Some(intensities)
}

fn read_receiver<'a, 'i>(
    link: &Reader<'a, 'i, '_>,
    found: &Found<'a, 'i>,
    sink: &mut Sink<'_>,
) -> Option<Receiver> {
    let reader = below(link, "receiver", &RECEIVER, found.layers);
    let internal_loss = reader.quantity("internal_loss", sink);
    let basis_choice = reader.choice("basis_choice", sink);
    let filter = reader.quantity("filter", sink);
    let detector = detector(&reader, sink);
    Some(Receiver {
        profile: found.profile.map(str::to_owned),
        internal_loss: internal_loss?,
        basis_choice: basis_choice?,
        filter: filter?,
        detector: detector?,
    })
}

fn detector(receiver: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Detector> {
    let record = inner(&RECEIVER, "detector")?;
    let reader = receiver.table("detector", record, sink)?;
    reader.check(sink);
    let technology = reader.choice("technology", sink);
    let efficiency = reader.number("efficiency", sink);
    let dark_count_rate = reader.quantity("dark_count_rate", sink);
    let dead_time = reader.quantity("dead_time", sink);
    let dead_time_scope = reader.choice("dead_time_scope", sink);
    let jitter = reader.quantity("jitter", sink);
    let gate = reader.positive_duration("gate", sink);
    let monitor = reader.flag("bias_current_monitor", sink);
    let afterpulsing = inner(record, "afterpulsing")
        .and_then(|record| reader.table("afterpulsing", record, sink))
        .and_then(|reader| {
            reader.check(sink);
            let probability = reader.number("probability", sink);
            let decay = reader.positive_duration("decay", sink);
            Some(Afterpulsing { probability: probability?, decay: decay? })
        });
    Some(Detector {
        technology: technology?,
        efficiency: efficiency?,
        dark_count_rate: dark_count_rate?,
        dead_time: dead_time?,
        dead_time_scope: dead_time_scope?,
        afterpulsing,
        jitter: jitter?,
        gate,
        bias_current_monitor: monitor?,
    })
}

/// The source's kind as it stands in files.
pub(super) fn source_name(source: &Source) -> &'static str {
    let kind = match source {
        Source::WeakCoherent { .. } => SourceKind::WeakCoherent,
        Source::SinglePhoton { .. } => SourceKind::SinglePhoton,
        Source::Heralded { .. } => SourceKind::Heralded,
    };
    debug_assert_eq!(SourceKind::WORDS.len(), SourceKind::VALUES.len());
    kind.name()
}
