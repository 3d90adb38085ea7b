//! The network as a map: nodes where they stand, links coloured by what they give.

mod entangling;

use crate::plot::escape;
use crate::words;
use bellwether_sim::summary::{LinkSummary, Summary};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const WIDTH: f64 = 940.0;
const MARGIN_X: f64 = 70.0;
const MARGIN_Y: f64 = 46.0;
/// Nodes with names beside them.
const NAMED_NODES: usize = 70;
/// Links with rates beside them.
const NAMED_LINKS: usize = 20;
/// Nodes that are moved apart where they would overlap; beyond, the map is as it is.
const SPACED_NODES: usize = 120;
/// Links drawn; more would be a grey cloth and a huge file.
const DRAWN_LINKS: usize = 5000;
const CLASSES: i32 = 5;

/// How the nodes came to their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// As their coordinates say.
    True,
    /// As their coordinates say, but moved apart where they would overlap.
    Spaced,
    /// On a circle: some node has no coordinates.
    Circle,
}

/// The map as an SVG element with its key, and a caption.
pub(super) fn map(summary: &Summary) -> String {
    let (positions, height, places) = layout(summary);
    let nodes = nodes_by_name(summary);
    let scale = Scale::of(&summary.links);
    let mut svg = format!(
        "<svg class=\"map\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"map of the network\">\n"
    );
    let mut labels = String::new();
    let mut rates = Vec::new();
    let alarmed: BTreeSet<&str> = summary.alarms.iter().map(|alarm| alarm.link.as_str()).collect();
    let cut = cut_links(summary);
    let mut parallel: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for link in summary.links.iter().take(DRAWN_LINKS) {
        let ends = (nodes.get(link.transmitter.as_str()), nodes.get(link.receiver.as_str()));
        let (Some(&a), Some(&b)) = ends else { continue };
        let before = parallel.entry((a.min(b), a.max(b))).or_default();
        let bend = f64::from(before.div_ceil(2)) * if before.is_multiple_of(2) { 26.0 } else { -26.0 };
        *before += 1;
        let (from, to) = (positions[a.min(b)], positions[a.max(b)]);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let control = (from.0 + dx / 2.0 - dy / length * bend, from.1 + dy / 2.0 + dx / length * bend);
        let middle =
            (from.0 + dx / 2.0 - dy / length * bend / 2.0, from.1 + dy / 2.0 + dx / length * bend / 2.0);
        let _ = writeln!(
            svg,
            "<path class=\"link {}\" d=\"M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}\"><title>{}</title></path>",
            scale.class(link.secret_rate_per_s),
            from.0,
            from.1,
            control.0,
            control.1,
            to.0,
            to.1,
            escape(&format!(
                "{}: {}, {}, {}, QBER {}",
                link.name,
                words::kilometres(link.length_km),
                words::decibels(link.loss_db),
                words::rate(link.secret_rate_per_s),
                words::percent_or_dash(link.qber_key)
            ))
        );
        let mut beside = 0.0;
        if cut.contains(link.name.as_str()) {
            let (x, y) = (middle.0 - 9.0, middle.1);
            beside = 12.0;
            let _ = writeln!(
                labels,
                "<path class=\"cut\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"><title>{} was cut</title></path>",
                x - 5.0,
                y - 5.0,
                escape(&link.name)
            );
        }
        if alarmed.contains(link.name.as_str()) {
            let (x, y) = (middle.0 + beside, middle.1);
            let _ = writeln!(
                labels,
                "<path class=\"alarm\" d=\"M{:.1} {:.1}l-9 0l9 -15l9 15Z\"><title>{} raised alarms</title></path>",
                x,
                y + 6.0,
                escape(&link.name)
            );
        }
        if summary.links.len() <= NAMED_LINKS {
            let text = if link.secret_rate_per_s > 0.0 {
                words::rate(link.secret_rate_per_s)
            } else {
                "no key".to_owned()
            };
            let signed = cut.contains(link.name.as_str()) || alarmed.contains(link.name.as_str());
            rates.push(Rate { text, from, control, to, signed });
        }
    }
    entangling::draw(&mut svg, &mut labels, &mut rates, summary, &positions);
    for (rate, place) in rates.iter().zip(place_rates(&rates, &positions)) {
        let _ = writeln!(
            labels,
            "<text class=\"halo middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            place.0,
            place.1 + 4.0,
            rate.text
        );
    }
    let radius = if summary.nodes.len() <= NAMED_NODES { 6.5 } else { 2.5 };
    for (node, &(x, y)) in summary.nodes.iter().zip(&positions) {
        let class = if node.role == "end-node" { "node-end" } else { "node" };
        let _ = writeln!(
            svg,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{} ({})</title></circle>",
            escape(&node.name),
            escape(&node.role)
        );
        if summary.nodes.len() <= NAMED_NODES {
            let _ = writeln!(
                labels,
                "<text class=\"halo name middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                y + 22.0,
                escape(&words::cut(&node.name, 18))
            );
        }
    }
    svg.push_str(&labels);
    svg.push_str("</svg>\n");
    let mut caption = match places {
        Places::True => "Nodes stand at their coordinates.",
        Places::Spaced => {
            "Directions are kept, distances are not: nodes are moved apart so that they can be told apart."
        }
        Places::Circle => "No map: not every node has coordinates.",
    }
    .to_owned();
    if summary.links.len() > DRAWN_LINKS {
        let _ = write!(caption, " The first {DRAWN_LINKS} of {} links are drawn.", summary.links.len());
    }
    format!(
        "<figure class=\"card\">\n{svg}{}<figcaption>{caption}</figcaption></figure>\n",
        scale.key(summary)
    )
}

/// Nodes by name, as places in the list.
fn nodes_by_name(summary: &Summary) -> BTreeMap<&str, usize> {
    summary.nodes.iter().enumerate().map(|(place, node)| (node.name.as_str(), place)).collect()
}

/// The links whose fibre was cut at some time.
fn cut_links(summary: &Summary) -> BTreeSet<&str> {
    let cuts = summary.events.iter().filter(|event| event.kind == "cut");
    cuts.map(|event| event.target.as_str()).collect()
}

/// A rate that is to stand beside its link.
struct Rate {
    text: String,
    /// The link's curve: from, control, to.
    from: (f64, f64),
    control: (f64, f64),
    to: (f64, f64),
    /// Whether there is a sign at the middle of the link.
    signed: bool,
}

impl Rate {
    /// The point at `part` of the link's curve.
    fn point(&self, part: f64) -> (f64, f64) {
        let rest = 1.0 - part;
        let at = |a: f64, b: f64, c: f64| rest * rest * a + 2.0 * rest * part * b + part * part * c;
        (at(self.from.0, self.control.0, self.to.0), at(self.from.1, self.control.1, self.to.1))
    }

    fn half_width(&self) -> f64 {
        3.6 * self.text.chars().count() as f64
    }
}

/// Where the middle of each rate goes: beside its link, where it hides the least of what is there already.
fn place_rates(rates: &[Rate], nodes: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut placed: Vec<((f64, f64), f64)> = Vec::new();
    for (own, rate) in rates.iter().enumerate() {
        let (dx, dy) = (rate.to.0 - rate.from.0, rate.to.1 - rate.from.1);
        let length = dx.hypot(dy).max(1.0);
        let half = rate.half_width();
        let mut best = (f64::INFINITY, rate.point(0.5));
        for part in [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78] {
            // Side 0 is on the line itself: better than nearer to another's.
            for side in [-1.0, 1.0, 0.0f64] {
                let (nx, ny) = (-dy / length * side, dx / length * side);
                let sign = if rate.signed && part == 0.5 { 10.0 } else { 0.0 };
                // A steep link is half the text's width away, a flat one half its height.
                let off = side.abs() * (5.0 + sign + nx.abs() * half + ny.abs() * 7.0);
                let on = rate.point(part);
                let at = (on.0 + nx * off, on.1 + ny * off);
                let reach = |(x, y): (f64, f64), half_width: f64, half_height: f64| {
                    f64::from((x - at.0).abs() < half + half_width && (y - at.1).abs() < 8.0 + half_height)
                };
                let over_rates: f64 = placed.iter().map(|(other, width)| reach(*other, *width, 8.0)).sum();
                let over_nodes: f64 = nodes.iter().map(|&(x, y)| reach((x, y + 8.0), 24.0, 18.0)).sum();
                let mut over_links = 0.0;
                for other in
                    rates.iter().enumerate().filter(|(place, _)| *place != own).map(|(_, other)| other)
                {
                    let points = || (0..=40).map(|step| other.point(f64::from(step) / 40.0));
                    let nearest =
                        points().map(|(x, y)| (x - at.0).hypot(y - at.1)).fold(f64::INFINITY, f64::min);
                    over_links += points().map(|point| reach(point, 2.0, 1.0)).fold(0.0, f64::max);
                    over_links += if nearest < off { 2.0 } else { 0.0 };
                }
                let on_itself = if side == 0.0 { 1.2 + sign } else { 0.0 };
                let cost =
                    4.0 * over_rates + 4.0 * over_nodes + 2.0 * over_links + on_itself + (part - 0.5).abs();
                if cost < best.0 - 1e-9 {
                    best = (cost, at);
                }
            }
        }
        placed.push((best.1, half));
    }
    placed.into_iter().map(|(at, _)| at).collect()
}

/// Which class a rate falls into: powers of ten, the last one at the top.
struct Scale {
    top: i32,
}

impl Scale {
    fn of(links: &[LinkSummary]) -> Self {
        let most = links
            .iter()
            .map(|link| link.secret_rate_per_s)
            .filter(|rate| rate.is_finite())
            .fold(1.0, f64::max);
        Self { top: most.log10().floor() as i32 }
    }

    fn class(&self, rate: f64) -> String {
        if rate > 0.0 { format!("k{}", self.place(rate)) } else { "none".to_owned() }
    }

    fn place(&self, rate: f64) -> i32 {
        (rate.log10().floor() as i32 - self.top + CLASSES - 1).clamp(0, CLASSES - 1)
    }

    /// The classes in use, and the signs.
    fn key(&self, summary: &Summary) -> String {
        let rates = || summary.links.iter().map(|link| link.secret_rate_per_s);
        let used: BTreeSet<i32> = rates().filter(|rate| *rate > 0.0).map(|rate| self.place(rate)).collect();
        let power = |place: i32| {
            let rate = words::scaled(10f64.powi(self.top + place + 1 - CLASSES), "bit/s");
            rate.replace(".00 ", " ").replace(".0 ", " ")
        };
        let mut key = String::from("<ul class=\"key\">");
        let sample = |class: &str| {
            format!(
                "<svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"link {class}\" d=\"M3 5H23\"/></svg>"
            )
        };
        for place in used.into_iter().rev() {
            let text = match place {
                0 => format!("under {}", power(1)),
                place => format!("{} and more", power(place)),
            };
            let _ = write!(key, "<li>{}{text}</li>", sample(&format!("k{place}")));
        }
        if summary.entanglement.as_ref().is_some_and(|found| !found.links.is_empty()) {
            let _ = write!(key, "<li>{}entangles: pairs a second</li>", sample("pairs"));
        }
        if rates().any(|rate| rate <= 0.0) {
            let _ = write!(key, "<li>{}no key</li>", sample("none"));
        }
        if !cut_links(summary).is_empty() {
            key.push_str(
                "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"cut\" d=\"M9 1l8 8m0 -8l-8 8\"/></svg>\
                 was cut</li>",
            );
        }
        if !summary.alarms.is_empty() {
            key.push_str(
                "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"alarm\" d=\"M7 10h12L13 0Z\"/></svg>\
                 alarms</li>",
            );
        }
        key.push_str("</ul>\n");
        key
    }
}

/// Places of all nodes on the page, and the page's height.
fn layout(summary: &Summary) -> (Vec<(f64, f64)>, f64, Places) {
    let count = summary.nodes.len();
    let coordinates: Option<Vec<_>> =
        summary.nodes.iter().map(|node| Some((node.longitude_deg?, node.latitude_deg?))).collect();
    let Some(coordinates) = coordinates.filter(|coordinates| {
        coordinates.iter().all(|(x, y)| x.is_finite() && y.is_finite()) && !coordinates.is_empty()
    }) else {
        return (circle(count), 460.0, Places::Circle);
    };
    let middle = coordinates.iter().map(|(_, latitude)| latitude).sum::<f64>() / count as f64;
    let shrink = middle.to_radians().cos().max(0.05);
    let flat: Vec<_> = coordinates.iter().map(|(x, y)| (x * shrink, -y)).collect();
    let bounds = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let values = flat.iter().map(of);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (top, bottom)) = (bounds(&|p| p.0), bounds(&|p| p.1));
    let (wide, high) = ((right - left).max(1e-9), (bottom - top).max(1e-9));
    let room = WIDTH - 2.0 * MARGIN_X;
    let inner = (room * high / wide).clamp(190.0, 400.0);
    let scale = (room / wide).min(inner / high);
    let shift = ((room - wide * scale) / 2.0, (inner - high * scale) / 2.0);
    let positions: Vec<_> = flat
        .iter()
        .map(|(x, y)| (MARGIN_X + shift.0 + (x - left) * scale, MARGIN_Y + shift.1 + (y - top) * scale))
        .collect();
    let height = inner + 2.0 * MARGIN_Y;
    if count > SPACED_NODES || !is_crowded(&positions) {
        return (positions, height, Places::True);
    }
    // Towns far apart with many nodes in each would be a few blots: half of a node's place is its rank from
    // west to east and from north to south, which keeps directions and fills the page.
    let inner = inner.max(300.0);
    let (ranks_x, ranks_y) = (ranks(&flat, &|p| p.0), ranks(&flat, &|p| p.1));
    let mut positions: Vec<_> = flat
        .iter()
        .zip(ranks_x.iter().zip(&ranks_y))
        .map(|((x, y), (rank_x, rank_y))| {
            let (true_x, true_y) = ((x - left) / wide, (y - top) / high);
            (
                MARGIN_X + room * f64::midpoint(true_x, *rank_x),
                MARGIN_Y + inner * f64::midpoint(true_y, *rank_y),
            )
        })
        .collect();
    let height = inner + 2.0 * MARGIN_Y;
    space(&mut positions, &ends(summary), height);
    (positions, height, Places::Spaced)
}

/// Each node's rank by `of`, from 0 to 1; nodes at one place share the mean of theirs.
fn ranks(points: &[(f64, f64)], of: &dyn Fn(&(f64, f64)) -> f64) -> Vec<f64> {
    let last = points.len().saturating_sub(1).max(1) as f64;
    points
        .iter()
        .map(|point| {
            let before = points.iter().filter(|other| of(other) < of(point)).count();
            let level = points.iter().filter(|other| of(other) == of(point)).count();
            (before as f64 + (level as f64 - 1.0) / 2.0) / last
        })
        .collect()
}

/// The ends of the drawn links as places in the list of nodes.
fn ends(summary: &Summary) -> Vec<(usize, usize)> {
    let nodes = nodes_by_name(summary);
    let place = |name: &str| nodes.get(name).copied();
    let links = summary.links.iter().take(DRAWN_LINKS);
    let links = links.map(|link| [link.transmitter.as_str(), link.receiver.as_str()]);
    let entangling = summary.entanglement.iter().flat_map(|found| found.links.iter().take(DRAWN_LINKS));
    let entangling = entangling.map(|link| [link.ends[0].as_str(), link.ends[1].as_str()]);
    links.chain(entangling).filter_map(|[from, to]| Some((place(from)?, place(to)?))).collect()
}

/// How far apart nodes have to be for their names.
fn apart(count: usize) -> f64 {
    (900.0 / (count as f64).sqrt()).clamp(18.0, 120.0)
}

fn is_crowded(positions: &[(f64, f64)]) -> bool {
    let least = apart(positions.len()) / 2.0;
    positions
        .iter()
        .enumerate()
        .any(|(place, a)| positions[place + 1..].iter().any(|b| (a.0 - b.0).hypot(a.1 - b.1) < least))
}

fn circle(count: usize) -> Vec<(f64, f64)> {
    (0..count)
        .map(|place| {
            let angle = core::f64::consts::TAU * place as f64 / count.max(1) as f64;
            (WIDTH / 2.0 + 380.0 * angle.sin(), 230.0 - 180.0 * angle.cos())
        })
        .collect()
}

/// Moves nodes apart until none are nearer than their names need, and off links that are not theirs.
fn space(positions: &mut [(f64, f64)], ends: &[(usize, usize)], height: f64) {
    const BESIDE: f64 = 30.0;
    let apart = apart(positions.len());
    for _ in 0..300 {
        let mut moved = false;
        for a in 0..positions.len() {
            for b in a + 1..positions.len() {
                let (dx, dy) = (positions[b].0 - positions[a].0, positions[b].1 - positions[a].1);
                let distance = dx.hypot(dy);
                if distance >= apart - 0.5 {
                    continue;
                }
                // Nodes at one place part in a direction that depends on their numbers alone.
                let (ux, uy) = if distance > 0.5 {
                    (dx / distance, dy / distance)
                } else {
                    let angle = (a * 7 + b) as f64 * 2.4;
                    (angle.cos(), angle.sin())
                };
                let step = (apart - distance) / 2.0 * 0.6;
                positions[a].0 -= ux * step;
                positions[a].1 -= uy * step;
                positions[b].0 += ux * step;
                positions[b].1 += uy * step;
                moved = true;
            }
        }
        for &(a, b) in ends.iter().take(4 * SPACED_NODES) {
            let (from, to) = (positions[a], positions[b]);
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy).max(1.0);
            let normal = (-dy / length, dx / length);
            for (place, node) in positions.iter_mut().enumerate() {
                let (px, py) = (node.0 - from.0, node.1 - from.1);
                let along = (px * dx + py * dy) / length;
                let across = px * normal.0 + py * normal.1;
                if place == a
                    || place == b
                    || !(0.0..=length).contains(&along)
                    || across.abs() >= BESIDE - 0.5
                {
                    continue;
                }
                let step = (BESIDE - across.abs()) * if across < 0.0 { -0.5 } else { 0.5 };
                *node = (node.0 + normal.0 * step, node.1 + normal.1 * step);
                moved = true;
            }
        }
        for (x, y) in positions.iter_mut() {
            *x = x.clamp(MARGIN_X * 0.6, WIDTH - MARGIN_X * 0.6);
            *y = y.clamp(MARGIN_Y * 0.6, height - MARGIN_Y);
        }
        if !moved {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_at_one_place_are_moved_apart_and_stay_on_the_page() {
        let mut positions = vec![(400.0, 100.0); 6];
        assert!(is_crowded(&positions));
        space(&mut positions, &[(0, 1)], 300.0);
        for (place, a) in positions.iter().enumerate() {
            assert!((0.0..=WIDTH).contains(&a.0) && (0.0..=300.0).contains(&a.1));
            for b in &positions[place + 1..] {
                assert!((a.0 - b.0).hypot(a.1 - b.1) > 40.0, "{a:?} and {b:?} overlap");
            }
        }
    }

    #[test]
    fn classes_are_powers_of_ten_below_the_best_link() {
        let scale = Scale { top: 4 };
        assert_eq!(scale.class(12_000.0), "k4");
        assert_eq!(scale.class(9_000.0), "k3");
        assert_eq!(scale.class(0.001), "k0");
        assert_eq!(scale.class(0.0), "none");
    }

    #[test]
    fn rates_of_near_links_do_not_cover_each_other() {
        let rate = |y| Rate {
            text: "1.45 kbit/s".to_owned(),
            from: (100.0, 200.0),
            control: (300.0, f64::midpoint(200.0, y)),
            to: (500.0, y),
            signed: false,
        };
        let places = place_rates(&[rate(180.0), rate(200.0), rate(220.0)], &[(100.0, 200.0)]);
        for (place, a) in places.iter().enumerate() {
            for b in &places[place + 1..] {
                assert!((a.0 - b.0).abs() > 70.0 || (a.1 - b.1).abs() > 15.0, "{a:?} covers {b:?}");
            }
        }
    }

    #[test]
    fn an_empty_network_has_an_empty_map() {
        assert!(map(&Summary::default()).contains("<svg"));
    }
}
