//! What an entangling link needs of the platforms at its ends.

use crate::reader::Reader;
use crate::sink::Sink;
use crate::{EntanglingLink, Interface, Node, Problem, QubitUse, Scheme};

/// Tells what a link's scheme needs that neither the link nor the platforms at its ends tell.
pub(crate) fn tell(link: &Reader<'_, '_, '_>, read: &EntanglingLink, nodes: &[Node], sink: &mut Sink<'_>) {
    if let Some(problem) = lacking(read, nodes) {
        let key = if link.value("scheme").is_some() { "scheme" } else { "ends" };
        let span = link.value(key).map_or_else(|| link.span.clone(), toml::Spanned::span);
        link.tell(sink, span, key, problem);
    }
}

/// The first thing that is lacking.
pub(crate) fn lacking(link: &EntanglingLink, nodes: &[Node]) -> Option<Problem> {
    let scheme = link.scheme.name();
    for end in [0, 1] {
        // A node that could not be read has told so.
        let node = nodes.get(link.ends[end].index())?;
        let (name, platform) = (&node.name, node.platform.as_deref());
        let problem = |needs: String, remedy: &str| {
            let what = format!("`{name}`, at an end of a link of kind \"{scheme}\",");
            Some(Problem::Condition { what, condition: format!("needs {needs}: {remedy}") })
        };
        let Some(platform) = platform else {
            return match *link.scheme {
                Scheme::Stated { .. } => continue,
                _ => problem(
                    "a `platform`".to_owned(),
                    "see `bellwether profiles`, or state the pair by `kind = \"stated\"`",
                ),
            };
        };
        if link.qubits[end] == QubitUse::Storage && platform.storage.is_none() {
            return problem(
                "a platform with `storage`".to_owned(),
                "or leave its pairs in qubits of its own",
            );
        }
        let told = |told: bool, figure: &str, place: &str| {
            if told {
                return None;
            }
            problem(format!("a {figure}, which its platform does not tell"), &format!("write `{place}`"))
        };
        let interface = &platform.interface;
        let of_platform = match *link.scheme {
            Scheme::Stated { .. } => continue,
            Scheme::SingleClick { .. } | Scheme::DoubleClick => told(
                interface.click_probability.is_some_and(|click| click > 0.0),
                "click probability above 0",
                "interface.click_probability` in the node's `platform",
            ),
            Scheme::Ensemble => told(
                interface.click_probability.is_some_and(|click| click > 0.0),
                "click probability above 0",
                "interface.click_probability` in the node's `platform",
            )
            .or_else(|| {
                told(
                    interface.write_probability.is_some_and(|write| write > 0.0 && write <= 0.25),
                    "write probability above 0, at most 0.25",
                    "interface.write_probability` in the node's `platform",
                )
            })
            .or_else(|| {
                told(
                    platform.retrieval.is_some_and(|retrieval| retrieval.efficiency.is_some()),
                    "retrieval efficiency",
                    "retrieval.efficiency` in the node's `platform",
                )
            }),
            Scheme::PairSource { .. } | Scheme::Reflection { .. } => None,
        };
        let interferes =
            matches!(*link.scheme, Scheme::SingleClick { .. } | Scheme::DoubleClick | Scheme::Ensemble);
        let problem = of_platform
            .or_else(|| {
                let visible = link.station.visibility.or(interface.visibility).is_some();
                told(visible || !interferes, "visibility", "visibility` in the link's `station")
            })
            .or_else(|| {
                told(dark(link, interface), "dark count", "dark_probability` in the link's `station")
            });
        if problem.is_some() {
            return problem;
        }
    }
    let attempt = || {
        link.ends.iter().any(|end| {
            let platform = nodes.get(end.index()).and_then(|node| node.platform.as_deref());
            platform.is_some_and(|platform| platform.interface.attempt_time.is_some())
        })
    };
    let takes_time = link.cycle.is_some()
        || matches!(*link.scheme, Scheme::PairSource { .. })
        || !link.fibre.delay().is_zero()
        || !link.processing.is_zero()
        || link.preparation.map_or_else(attempt, |preparation| !preparation.is_zero());
    (!takes_time).then(|| Problem::Condition {
        what: "an attempt of this link".to_owned(),
        condition: "takes no time: write `cycle`, or `preparation`".to_owned(),
    })
}

/// Whether link and platform together tell how likely a dark click is.
fn dark(link: &EntanglingLink, interface: &Interface) -> bool {
    let station = &link.station;
    let window = station.window.or(interface.window).is_some();
    station.dark_probability.is_some()
        || interface.dark_probability.is_some()
        || window && station.dark_count_rate.or(interface.dark_count_rate).is_some()
}
