//! Entangling links on the map.

use super::{DRAWN_LINKS, NAMED_LINKS, Rate, cut_links, nodes_by_name};
use crate::plot::escape;
use crate::report::entanglement::per_second;
use crate::words;
use bellwether_sim::summary::Summary;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Entangling links, each bowed to the side where no other link of its nodes is yet.
pub(super) fn draw(
    svg: &mut String,
    labels: &mut String,
    rates: &mut Vec<Rate>,
    summary: &Summary,
    positions: &[(f64, f64)],
) {
    let Some(found) = &summary.entanglement else { return };
    let nodes = nodes_by_name(summary);
    let cut = cut_links(summary);
    let mut parallel: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for link in summary.links.iter().take(DRAWN_LINKS) {
        let ends = (nodes.get(link.transmitter.as_str()), nodes.get(link.receiver.as_str()));
        if let (Some(&a), Some(&b)) = ends {
            *parallel.entry((a.min(b), a.max(b))).or_default() += 1;
        }
    }
    for link in found.links.iter().take(DRAWN_LINKS) {
        let ends = (nodes.get(link.ends[0].as_str()), nodes.get(link.ends[1].as_str()));
        let (Some(&a), Some(&b)) = ends else { continue };
        let before = parallel.entry((a.min(b), a.max(b))).or_default();
        let bend = f64::from(before.div_ceil(2)) * if before.is_multiple_of(2) { 26.0 } else { -26.0 };
        *before += 1;
        let (from, to) = (positions[a.min(b)], positions[a.max(b)]);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let at = |bend: f64| (from.0 + dx / 2.0 - dy / length * bend, from.1 + dy / 2.0 + dx / length * bend);
        let (control, middle) = (at(bend), at(bend / 2.0));
        let fidelity =
            link.levels.first().map_or_else(String::new, |level| format!(", fidelity {:.3}", level.fidelity));
        let _ = writeln!(
            svg,
            "<path class=\"link pairs\" d=\"M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}\"><title>{}</title></path>",
            from.0,
            from.1,
            control.0,
            control.1,
            to.0,
            to.1,
            escape(&format!(
                "{}: {}, {} pairs, {}{fidelity}",
                link.name,
                words::kilometres(link.length_km),
                words::count(link.pairs),
                per_second(link.rate_per_s)
            ))
        );
        let signed = cut.contains(link.name.as_str());
        if signed {
            let _ = writeln!(
                labels,
                "<path class=\"cut\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"><title>{} was cut</title></path>",
                middle.0 - 5.0,
                middle.1 - 5.0,
                escape(&link.name)
            );
        }
        if found.links.len() <= NAMED_LINKS {
            rates.push(Rate { text: per_second(link.rate_per_s), from, control, to, signed });
        }
    }
}
