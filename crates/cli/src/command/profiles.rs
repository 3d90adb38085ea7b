//! `bellwether profiles`: the devices that a network file may name.

use crate::args::Profiles;
use crate::table::{Align, Table, wrap};
use crate::{Failure, output, words};
use bellwether_network::{
    DetectorTechnology, Device, Platform, Profile, Receiver, Source, Transmitter, profiles,
};
use serde::Serialize;

/// A profile as JSON tells it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    name: &'a str,
    kind: &'static str,
    description: &'a str,
    /// The main figures in words.
    figures: String,
    sources: Vec<ToldSource<'a>>,
}

/// Where some of a profile's figures come from.
#[derive(Debug, Serialize)]
struct ToldSource<'a> {
    paths: &'a [String],
    evidence: &'static str,
    /// How the source came by them: for platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'static str>,
    /// One standard deviation, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncertainty: Option<&'a str>,
    source: &'a str,
}

pub(super) fn run(args: &Profiles) -> Result<(), Failure> {
    let told: Vec<_> = profiles().iter().map(tell).collect();
    if args.json {
        return output::print_json(&told);
    }
    let mut text = String::new();
    for (kind, heading) in
        [("transmitter", "Transmitters"), ("receiver", "Receivers"), ("platform", "Platforms of memories")]
    {
        let mut table =
            Table::new([("name", Align::Left), ("figures", Align::Left), ("evidence", Align::Left)]);
        for profile in told.iter().filter(|profile| profile.kind == kind) {
            let mut evidence: Vec<_> = profile.sources.iter().map(|figures| figures.evidence).collect();
            evidence.sort_unstable();
            evidence.dedup();
            table.row([profile.name.to_owned(), profile.figures.clone(), evidence.join(", ")]);
        }
        text.push_str(&format!("{heading}\n{}\n", table.render(output::is_styled())));
    }
    text.push_str(&wrap(
        "A link names one like transmitter = \"generic-decoy-1ghz\", a node one like platform = \"nv-carbon\". --json tells the \
         source of every figure. \
         Evidence: published, as it stands in the source; from-memory, not looked up again and no published \
         figure; reconstructed, chosen to complete the device.",
        100,
        0,
    ));
    output::print(&text)
}

fn tell(profile: &Profile) -> Told<'_> {
    let (kind, figures) = match &profile.device {
        Device::Transmitter(transmitter) => ("transmitter", of_transmitter(transmitter)),
        Device::Receiver(receiver) => ("receiver", of_receiver(receiver)),
        Device::Platform(platform) => ("platform", of_platform(platform)),
    };
    let sources = profile.figures.iter().map(|figures| ToldSource {
        paths: &figures.paths,
        evidence: figures.evidence.name(),
        basis: figures.basis.map(|basis| basis.name()),
        uncertainty: figures.uncertainty.as_deref(),
        source: &figures.source,
    });
    Told { name: &profile.name, kind, description: &profile.description, figures, sources: sources.collect() }
}

fn of_transmitter(transmitter: &Transmitter) -> String {
    let source = match &transmitter.source {
        Source::WeakCoherent { intensities } => {
            let means: Vec<_> = intensities.iter().map(|i| words::plain(i.mean_photons)).collect();
            format!("mean photons {}", means.join(" / "))
        }
        Source::SinglePhoton { brightness, .. } => {
            format!("single photons, brightness {}", words::plain(*brightness))
        }
        Source::Heralded { mean_pairs, .. } => {
            format!("heralded, {} pairs a pulse", words::plain(*mean_pairs))
        }
    };
    format!("{}, {source}", transmitter.clock)
}

fn of_receiver(receiver: &Receiver) -> String {
    let detector = &receiver.detector;
    let technology = match detector.technology {
        DetectorTechnology::InGaAs => "InGaAs",
        DetectorTechnology::Snspd => "SNSPD",
        DetectorTechnology::Silicon => "Si",
    };
    format!(
        "{technology} {} %, {} dark, dead {}",
        words::plain(detector.efficiency * 100.0),
        detector.dark_count_rate,
        detector.dead_time
    )
}

fn of_platform(platform: &Platform) -> String {
    let interface = &platform.interface;
    let mut words = vec![format!("{}, {}", platform.kind.name(), platform.wavelength)];
    words.extend(interface.fibre_wavelength.map(|wavelength| format!("fibre {wavelength}")));
    words.extend(interface.click_probability.map(|p| format!("click {}", words::plain(p))));
    let memory = platform.storage.or(platform.communication).and_then(|qubit| qubit.t2);
    words.extend(memory.map(|t2| format!("T2 {t2}")));
    if let Some(retrieval) = &platform.retrieval {
        words.extend(retrieval.efficiency.map(|e| format!("retrieval {} %", words::plain(e * 100.0))));
        words.extend(retrieval.decay.or(retrieval.storage_time).map(|time| format!("stores {time}")));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_told_with_the_source_of_its_figures() {
        for profile in profiles() {
            let told = tell(profile);
            assert!(!told.figures.is_empty() && !told.sources.is_empty(), "{}", told.name);
        }
    }
}
