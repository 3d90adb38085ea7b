//! Platforms of memories: of the library, of the file, and of its nodes.

use super::device::{Found, shorter};
use super::{NamedTable, below, inner};
use crate::check::check_alone;
use crate::profile::library;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::platform::PLATFORM;
use crate::sink::Sink;
use crate::{Gate, Interface, Noise, Platform, Problem, Qubit, Retrieval};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// The platforms that nodes may name: the file's own before the library's.
#[derive(Debug)]
pub(crate) struct Platforms<'a, 'i> {
    profiles: BTreeMap<&'a str, Layer<'a, 'i>>,
    /// What holds for nodes that say nothing.
    default: Option<&'a Spanned<DeValue<'i>>>,
    /// What was read for a bare name before, which all nodes that name it share.
    read: RefCell<BTreeMap<usize, Option<Arc<Platform>>>>,
}

impl<'a, 'i> Platforms<'a, 'i> {
    /// Gathers the platforms and checks those of the file; `default` is that of the file's `[defaults]`.
    pub(crate) fn new(
        file: &Reader<'a, 'i, '_>,
        default: Option<&'a Spanned<DeValue<'i>>>,
        sink: &mut Sink<'_>,
    ) -> Self {
        let mut profiles: BTreeMap<_, Layer<'a, 'i>> =
            library().platforms().map(|(name, layer)| (name, shorter(layer))).collect();
        for NamedTable { name, layer, .. } in file.named("platform", sink) {
            let within = Path::top("platform");
            let path = within.below(name);
            check_alone(layer, &PLATFORM, &path, sink);
            if let Some(value) = layer.table.get("profile") {
                let problem = Problem::Condition {
                    what: format!("the profile `{name}`"),
                    condition: "cannot be based on another profile: write its values out".to_owned(),
                };
                sink.tell(value.span(), || path.of("profile"), problem);
            }
            profiles.insert(name, layer);
        }
        Self { profiles, default, read: RefCell::default() }
    }

    /// The platform of a node: its own values, its profile's, the defaults'; `None` if none is told of.
    pub(crate) fn of(&self, node: &Reader<'a, 'i, '_>, sink: &mut Sink<'_>) -> Option<Arc<Platform>> {
        if node.value("platform").is_none() && self.default.is_none() {
            return None;
        }
        let found = Found::new("platform", node, self.default, &self.profiles, &PLATFORM, sink)?;
        if let Some(read) = found.key.and_then(|key| self.read.borrow().get(&key).cloned()) {
            return read;
        }
        let reader = below(node, "platform", &PLATFORM, found.layers);
        let platform = platform(&reader, found.profile, sink).map(Arc::new);
        if let Some(key) = found.key {
            self.read.borrow_mut().insert(key, platform.clone());
        }
        platform
    }
}

/// Reads a platform of the library; its mistakes are in `sink`.
pub(crate) fn of_library(layer: Layer<'_, '_>, name: &'static str, sink: &mut Sink<'_>) -> Option<Platform> {
    let reader = Reader::new(Layers::one(Some(layer)), &PLATFORM, Path::top(name), layer.start..layer.end);
    reader.check(sink);
    platform(&reader, Some(name), sink)
}

fn platform(reader: &Reader<'_, '_, '_>, profile: Option<&str>, sink: &mut Sink<'_>) -> Option<Platform> {
    let kind = reader.choice("kind", sink);
    let wavelength = reader.quantity("wavelength", sink);
    let interface = table(reader, "interface", sink, interface);
    let communication = table(reader, "communication", sink, qubit);
    let storage = table(reader, "storage", sink, qubit);
    let gate = table(reader, "gate", sink, |reader, sink| {
        let (time, noise) =
            (reader.positive_duration("time", sink), noise(reader, ["depolarising", "fidelity"], sink));
        Some(Gate { time, noise })
    });
    let retrieval = table(reader, "retrieval", sink, |reader, sink| {
        Some(Retrieval {
            efficiency: reader.number("efficiency", sink),
            decay: reader.positive_duration("decay", sink),
            storage_time: reader.positive_duration("storage_time", sink),
            signal_to_noise: reader.number("signal_to_noise", sink),
        })
    });
    Some(Platform {
        profile: profile.map(str::to_owned),
        kind: kind?,
        wavelength: wavelength?,
        interface: interface?,
        communication,
        storage,
        gate,
        retrieval,
    })
}

/// Reads a table below, if it is there, and checks its keys.
fn table<T>(
    above: &Reader<'_, '_, '_>,
    key: &'static str,
    sink: &mut Sink<'_>,
    read: impl Fn(&Reader<'_, '_, '_>, &mut Sink<'_>) -> Option<T>,
) -> Option<T> {
    let below = above.table(key, inner(&PLATFORM, key)?, sink)?;
    below.check(sink);
    read(&below, sink)
}

fn interface(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Interface> {
    let dark_probability = reader.number("dark_probability", sink);
    // A rate that is written nearer takes the place of a profile's probability.
    let told = |layer: &Layer<'_, '_>| {
        ["dark_probability", "dark_count_rate"].map(|key| layer.table.contains_key(key))
    };
    let by_rate = reader.layers.iter().map(|layer| told(&layer)).find(|told| told.contains(&true));
    Some(Interface {
        fibre_wavelength: reader.quantity("fibre_wavelength", sink),
        conversion_efficiency: reader.number("conversion_efficiency", sink),
        attenuation: reader.quantity("attenuation", sink),
        lifetime: reader.positive_duration("lifetime", sink),
        click_probability: reader.number("click_probability", sink),
        attempt_time: reader.positive_duration("attempt_time", sink),
        visibility: reader.number("visibility", sink),
        dark_count_rate: reader.quantity("dark_count_rate", sink),
        dark_probability: dark_probability.filter(|_| by_rate != Some([false, true])),
        window: reader.positive_duration("window", sink),
        phase: reader.quantity("phase", sink),
        double_excitation: reader.number("double_excitation", sink),
        photon_fidelity: reader.number("photon_fidelity", sink),
        write_probability: reader.number("write_probability", sink),
        modes: reader.integer("modes", sink)? as u32,
        herald_rate: reader.quantity("herald_rate", sink),
        cooperativity: reader.number("cooperativity", sink),
    })
}

fn qubit(reader: &Reader<'_, '_, '_>, sink: &mut Sink<'_>) -> Option<Qubit> {
    Some(Qubit {
        t1: reader.positive_duration("t1", sink),
        t2: reader.positive_duration("t2", sink),
        native_t2: reader.positive_duration("native_t2", sink),
        dephasing: reader.choice("dephasing", sink)?,
        collective: reader.flag("collective", sink)?,
        initialisation_time: reader.positive_duration("initialisation_time", sink),
        initialisation: noise(reader, ["initialisation_depolarising", "initialisation_fidelity"], sink),
        gate_time: reader.positive_duration("gate_time", sink),
        gate: noise(reader, ["gate_depolarising", "gate_fidelity"], sink),
        readout_time: reader.positive_duration("readout_time", sink),
        bright_as_dark: reader.number("bright_as_dark", sink),
        dark_as_bright: reader.number("dark_as_bright", sink),
        attempt_coupling: reader.quantity("attempt_coupling", sink),
        attempt_decay: reader.positive_duration("attempt_decay", sink),
    })
}

/// How well something works, by one of two keys: the first depolarises, the second is a fidelity. The nearest layer that
/// gives one of them decides.
fn noise(reader: &Reader<'_, '_, '_>, keys: [&'static str; 2], sink: &mut Sink<'_>) -> Option<Noise> {
    let layer = reader.layers.iter().find(|layer| keys.iter().any(|key| layer.table.contains_key(*key)))?;
    let single = Reader::new(Layers::one(Some(layer)), reader.record, reader.path, reader.span.clone());
    let [depolarising, fidelity] = keys.map(|key| single.number(key, sink));
    if let (Some(_), Some(value)) = (single.value(keys[0]), single.value(keys[1])) {
        let condition = format!("cannot stand beside `{}`: write the one that the source tells", keys[0]);
        let problem = Problem::Condition { what: format!("`{}`", keys[1]), condition };
        single.tell(sink, value.span(), keys[1], problem);
    }
    depolarising.map(Noise::Depolarising).or(fidelity.map(Noise::Fidelity))
}
