//! The library of device profiles that ships with the program.

use crate::lower::Devices;
use crate::lower::platform::of_library;
use crate::reader::{Layer, Layers, Path, Reader, pick};
use crate::record::link::LINK;
use crate::sink::Sink;
use crate::text::{Named, Texts, moved, profile_base};
use crate::{Evidence, Platform, Receiver, Transmitter};
use std::sync::OnceLock;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A transmitter, receiver or platform of memories that network files may name.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// By which it is named.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The device itself.
    pub device: Device,
    /// Where its figures come from; together they cover all of them.
    pub figures: Vec<Figures>,
}

/// The device of a profile.
#[derive(Clone, Debug, PartialEq)]
pub enum Device {
    /// A transmitter.
    Transmitter(Transmitter),
    /// A receiver.
    Receiver(Receiver),
    /// A platform of memories.
    Platform(Box<Platform>),
}

/// Where some of a profile's figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Which figures, by their path within the device: `source.intensities`.
    pub paths: Vec<String>,
    /// How sure they are.
    pub evidence: Evidence,
    /// Where they stand, or how they were arrived at.
    pub source: String,
    /// How the source came by them; every platform tells it.
    pub basis: Option<Basis>,
    /// One standard deviation, written as the figure is, where it is known. A single figure then.
    pub uncertainty: Option<String>,
}

/// How a source came by a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// An experiment measured it.
    Measured,
    /// It was chosen so that a model meets an experiment.
    Fitted,
    /// It was assumed, by the source or here.
    Assumed,
}

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        /// The library's files: name and text.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../profiles/", $name, ".toml")))),+];
    };
}

embedded! {
    "generic-decoy-1ghz",
    "generic-two-decoy-1ghz",
    "generic-quantum-dot",
    "generic-heralded",
    "generic-snspd",
    "generic-ingaas-gated",
    "generic-ingaas-free-running",
    "generic-silicon",
    "boaron-2018-transmitter",
    "boaron-2018-receiver",
    "rusca-2018-transmitter",
    "rusca-2018-receiver",
    "lim-2014-receiver",
    "gys-receiver",
    "toshiba-2008-transmitter",
    "toshiba-2008-receiver",
    "toshiba-1ghz-transmitter",
    "toshiba-1ghz-receiver",
    "idq-clavis-transmitter",
    "idq-clavis-receiver",
    "idq-cerberis-transmitter",
    "idq-cerberis-receiver",
    "nv-electron",
    "nv-carbon",
    "colour-centre-2022",
    "siv-cavity",
    "calcium-cavity",
    "calcium-register",
    "strontium-calcium",
    "barium-ytterbium",
    "rubidium-atom",
    "rubidium-ensemble",
    "praseodymium-comb",
    "europium-spin",
    "quantum-dot-rubidium",
}

/// The library as tables, whose spans point into its texts.
#[derive(Debug)]
pub(crate) struct Library {
    tables: Vec<(&'static str, &'static str, DeTable<'static>)>,
}

/// The library. It is read once.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let read = |(index, (name, text)): (usize, &(&'static str, &'static str))| {
            // A test reads every file of the library, so none is ever left out.
            let table = DeTable::parse(text).ok()?.into_inner();
            Some((*name, *text, moved(table, profile_base(index))))
        };
        Library { tables: FILES.iter().enumerate().filter_map(read).collect() }
    })
}

impl Library {
    /// The texts of all files, in the order of their spans.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Named<'static>> {
        self.tables.iter().map(|&(name, text, _)| Named { name, text })
    }

    /// The transmitters by name.
    pub(crate) fn transmitters(
        &'static self,
    ) -> impl Iterator<Item = (&'static str, Layer<'static, 'static>)> {
        self.devices("transmitter")
    }

    /// The receivers by name.
    pub(crate) fn receivers(&'static self) -> impl Iterator<Item = (&'static str, Layer<'static, 'static>)> {
        self.devices("receiver")
    }

    /// The platforms by name.
    pub(crate) fn platforms(&'static self) -> impl Iterator<Item = (&'static str, Layer<'static, 'static>)> {
        self.devices("platform")
    }

    fn devices(
        &'static self,
        key: &'static str,
    ) -> impl Iterator<Item = (&'static str, Layer<'static, 'static>)> {
        self.tables.iter().filter_map(move |(name, _, table)| Some((*name, Layer::of(table.get(key)?)?)))
    }
}

/// The devices that network files may name as a `profile`, with the sources of their figures.
///
/// ```
/// use bellwether_network::{Evidence, profiles};
///
/// let profile = profiles().iter().find(|profile| profile.name == "generic-snspd").unwrap();
/// assert!(profile.figures.iter().all(|figures| figures.evidence == Evidence::Reconstructed));
/// ```
pub fn profiles() -> &'static [Profile] {
    static PROFILES: OnceLock<Vec<Profile>> = OnceLock::new();
    PROFILES
        .get_or_init(|| library().tables.iter().filter_map(|(name, _, table)| read(name, table)).collect())
}

/// Reads a profile as a link that names it would.
fn read(name: &'static str, table: &'static DeTable<'static>) -> Option<Profile> {
    let figures = figures(table)?;
    let described = |device| {
        let description = text(table, "description")?.to_owned();
        Some(Profile { name: name.to_owned(), description, device, figures })
    };
    let file = Named { name, text: "" };
    let texts = Texts { file, overrides: Vec::new(), profiles: library().texts().collect() };
    let mut sink = Sink::new(texts);
    if let Some(layer) = table.get("platform").and_then(Layer::of) {
        let platform = of_library(layer, name, &mut sink)?;
        return sink.is_clean().then_some(platform).and_then(|p| described(Device::Platform(Box::new(p))));
    }
    let empty = DeTable::new();
    let path = Path::top(name);
    let nothing = Layers::one(Some(Layer { table: &empty, start: 0, end: 0 }));
    let file = Reader::new(nothing, &crate::record::network::FILE, path, 0..0);
    let devices = Devices::new(&file, &mut sink);
    let link = Reader::new(nothing, &LINK, path, 0..0);
    let named = Spanned::new(0..0, DeValue::String(name.into()));
    let device = if table.contains_key("transmitter") {
        Device::Transmitter(devices.transmitter(&link, Some(&named), &mut sink)?)
    } else {
        Device::Receiver(devices.receiver(&link, Some(&named), &mut sink)?)
    };
    described(device)
}

fn text<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    match table.get(key)?.get_ref() {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

fn figures(table: &DeTable<'_>) -> Option<Vec<Figures>> {
    let DeValue::Array(entries) = table.get("figures")?.get_ref() else { return None };
    let read = |entry: &Spanned<DeValue<'_>>| {
        let DeValue::Table(entry) = entry.get_ref() else { return None };
        let DeValue::Array(paths) = entry.get("paths")?.get_ref() else { return None };
        let evidence = pick(text(entry, "evidence")?)?;
        // A basis that is no word is a mistake, not a figure without one.
        let basis = entry.get("basis").map(|_| pick(text(entry, "basis")?));
        let basis = if let Some(basis) = basis { Some(basis?) } else { None };
        let paths = paths.iter().filter_map(|path| match path.get_ref() {
            DeValue::String(path) => Some(path.to_string()),
            _ => None,
        });
        Some(Figures {
            paths: paths.collect(),
            evidence,
            source: text(entry, "source")?.to_owned(),
            basis,
            uncertainty: text(entry, "uncertainty").map(str::to_owned),
        })
    };
    entries.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Override;

    fn leaves(prefix: &str, table: &DeTable<'_>, paths: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            match value.get_ref() {
                DeValue::Table(inner) => leaves(&path, inner, paths),
                _ => paths.push(path),
            }
        }
    }

    #[test]
    fn every_profile_is_read_and_every_figure_has_its_source() {
        assert_eq!(library().tables.len(), FILES.len(), "every file is TOML");
        assert_eq!(profiles().len(), FILES.len(), "every file is a profile");
        for ((name, _, table), profile) in library().tables.iter().zip(profiles()) {
            let key = match &profile.device {
                Device::Transmitter(_) => "transmitter",
                Device::Receiver(_) => "receiver",
                Device::Platform(_) => "platform",
            };
            for known in table.keys() {
                assert!(
                    [key, "description", "figures"].contains(&known.get_ref().as_ref()),
                    "{name}: {known:?}"
                );
            }
            let mut paths = Vec::new();
            leaves("", Layer::of(&table[key]).unwrap().table, &mut paths);
            let mut told: Vec<_> = profile.figures.iter().flat_map(|f| f.paths.clone()).collect();
            paths.sort();
            told.sort();
            assert_eq!(paths, told, "{name}");
            for figures in &profile.figures {
                assert!(figures.source.len() > 10, "{name} names a source");
                let of_platform = matches!(profile.device, Device::Platform(_));
                assert_eq!(
                    figures.basis.is_some(),
                    of_platform,
                    "{name} tells how {:?} came about",
                    figures.paths
                );
                if let Some(uncertainty) = &figures.uncertainty {
                    assert_eq!(figures.paths.len(), 1, "{name}: an uncertainty of one figure");
                    let number = uncertainty.split(' ').next().unwrap();
                    assert!(number.parse::<f64>().unwrap() > 0.0, "{name}: {uncertainty}");
                }
            }
        }
    }

    #[test]
    fn every_profile_passes_the_checks_of_a_file() {
        for profile in profiles() {
            let (transmitter, receiver) = match &profile.device {
                Device::Platform(_) => continue,
                Device::Transmitter(_) => (profile.name.as_str(), "generic-snspd"),
                // Slow enough for the gate of any receiver.
                Device::Receiver(_) => ("idq-clavis-transmitter", profile.name.as_str()),
            };
            let text = format!(
                "format = 1\nnetwork.name = \"x\"\n[node.A]\n[node.B]\n[link.L]\nends = [\"A\", \"B\"]\n\
                 fibre = {{ length = \"1 km\", total_loss = \"1 dB\" }}\n\
                 transmitter = \"{transmitter}\"\nreceiver = \"{receiver}\"\n"
            );
            let network = crate::Network::parse(&text, &profile.name, &[]).unwrap_or_else(|e| panic!("{e}"));
            match &profile.device {
                Device::Transmitter(device) => assert_eq!(*device, network.links[0].transmitter),
                Device::Receiver(device) => assert_eq!(*device, network.links[0].receiver),
                Device::Platform(_) => {}
            }
            let unknown = Override::parse(&format!("link.L.receiver.{}=1", "efficency")).unwrap();
            assert!(crate::Network::parse(&text, "x", &[unknown]).is_err());
        }
    }
}
