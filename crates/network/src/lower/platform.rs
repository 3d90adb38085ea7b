//! Platforms of memories, from a profile of the library.

use super::inner;
use crate::reader::{Layer, Layers, Path, Reader};
use crate::record::platform::PLATFORM;
use crate::sink::Sink;
use crate::{Gate, Interface, Noise, Platform, Problem, Qubit, Retrieval};

/// Reads a platform; its mistakes are in `sink`.
pub(crate) fn platform(layer: Layer<'_, '_>, path: Path<'_>, sink: &mut Sink<'_>) -> Option<Platform> {
    let reader = Reader::new(Layers::one(Some(layer)), &PLATFORM, path, layer.start..layer.end);
    reader.check(sink);
    let kind = reader.choice("kind", sink);
    let wavelength = reader.quantity("wavelength", sink);
    let interface = table(&reader, "interface", sink, interface);
    let communication = table(&reader, "communication", sink, qubit);
    let storage = table(&reader, "storage", sink, qubit);
    let gate = table(&reader, "gate", sink, |reader, sink| {
        let (time, noise) =
            (reader.positive_duration("time", sink), noise(reader, ["depolarising", "fidelity"], sink));
        Some(Gate { time, noise })
    });
    let retrieval = table(&reader, "retrieval", sink, |reader, sink| {
        Some(Retrieval {
            efficiency: reader.number("efficiency", sink),
            decay: reader.positive_duration("decay", sink),
            storage_time: reader.positive_duration("storage_time", sink),
            signal_to_noise: reader.number("signal_to_noise", sink),
        })
    });
    Some(Platform {
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
    Some(Interface {
        fibre_wavelength: reader.quantity("fibre_wavelength", sink),
        conversion_efficiency: reader.number("conversion_efficiency", sink),
        attenuation: reader.quantity("attenuation", sink),
        lifetime: reader.positive_duration("lifetime", sink),
        click_probability: reader.number("click_probability", sink),
        attempt_time: reader.positive_duration("attempt_time", sink),
        visibility: reader.number("visibility", sink),
        dark_count_rate: reader.quantity("dark_count_rate", sink),
        dark_probability: reader.number("dark_probability", sink),
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

/// How well something works, by one of two keys: the first depolarises, the second is a fidelity.
fn noise(reader: &Reader<'_, '_, '_>, keys: [&'static str; 2], sink: &mut Sink<'_>) -> Option<Noise> {
    let [depolarising, fidelity] = keys.map(|key| reader.number(key, sink));
    if depolarising.is_some() && fidelity.is_some() {
        let span = reader.value(keys[1]).map_or(0..0, toml::Spanned::span);
        let condition = format!("cannot stand beside `{}`: write the one that the source tells", keys[0]);
        let problem = Problem::Condition { what: format!("`{}`", keys[1]), condition };
        reader.tell(sink, span, keys[1], problem);
    }
    depolarising.map(Noise::Depolarising).or(fidelity.map(Noise::Fidelity))
}
