//! Any small network with anything happening to it: no panic, and accounts that add up.

use crate::support::{Run, parse};
use bellwether_network::Network;
use bellwether_sim::trace::TraceEvent;
use proptest::prelude::*;

/// Nodes stand in a row of up to four, or in a ring; a fifth link lies beside the first.
fn nodes(links: usize) -> usize {
    (links + 1).min(4)
}

fn decoy_link(name: usize, nodes: usize, detail: &'static str) -> impl Strategy<Value = String> {
    let (a, b) = (name % nodes, (name + 1) % nodes);
    let ends = any::<bool>().prop_map(move |turned| if turned { (b, a) } else { (a, b) });
    let light = (0..150u32, 1..100u32, 0.0..0.08f64, 1..1000u32);
    let detector = (
        prop_oneof![Just("snspd"), Just("ingaas"), Just("silicon")],
        0..3000u32,
        prop_oneof![Just("common"), Just("each")],
        prop_oneof![Just(""), Just("afterpulsing = { probability = 0.02, decay = \"1 us\" }")],
        any::<bool>(),
    );
    let protocol = (
        prop_oneof![Just(20u32), Just(100), Just(500)],
        0.3..0.95f64,
        prop_oneof![Just("every-block"), Just("every-message")],
        prop_oneof![
            Just("cascade-original"),
            Just("cascade-yan"),
            Just("cascade-option-7"),
            Just("cascade-option-8"),
            Just("grouped-quick"),
            Just("grouped-thorough"),
            Just("ldpc"),
        ],
        prop_oneof![Just(4u32), Just(128)],
    );
    (ends, light, detector, protocol).prop_map(move |(ends, light, detector, protocol)| {
        let (a, b) = ends;
        let (length, clock, misalignment, dark) = light;
        let (technology, dead, scope, afterpulsing, monitor) = detector;
        let (block, key_basis, tags, family, secret) = protocol;
        // Links at detail bits are kept slow: their work goes by clicks.
        let clock = if detail == "bits" { 1 } else { clock };
        let block = if detail == "bits" { block.min(100) } else { block };
        format!(
            r#"
[link.L{name}]
ends = ["N{a}", "N{b}"]
detail = "{detail}"
[link.L{name}.fibre]
length = "{length} km"
loss_per_length = "0.2 dB/km"
misalignment = {misalignment:.4}
[link.L{name}.transmitter]
clock = "{clock} MHz"
wavelength = "1550 nm"
[link.L{name}.transmitter.source]
kind = "weak-coherent"
intensities = [{{ mean_photons = 0.5, probability = 0.7 }}, {{ mean_photons = 0.15, probability = 0.3 }}]
[link.L{name}.receiver]
internal_loss = "1 dB"
[link.L{name}.receiver.detector]
technology = "{technology}"
efficiency = 0.5
dark_count_rate = "{dark} /s"
dead_time = "{dead} ns"
dead_time_scope = "{scope}"
bias_current_monitor = {monitor}
{afterpulsing}
[link.L{name}.protocol]
block_size = "{block} kbit"
key_basis_probability = {key_basis:.3}
authentication = "{tags}"
authentication_key = "{secret} kbit"
reconciliation = "{family}"
"#
        )
    })
}

fn event(links: usize) -> impl Strategy<Value = String> {
    let probability = 0.0..=1.0f64;
    let what = prop_oneof![
        (0.0..=1.0f64, prop_oneof![Just("random"), Just("key"), Just("check"), Just("breidbart")]).prop_map(
            |(f, basis)| format!(
                "kind = \"attack\"\nattack = \"intercept-resend\"\nfraction = {f:.3}\nbasis = \"{basis}\""
            )
        ),
        (0.0..=1.0f64).prop_map(|f| format!(
            "kind = \"attack\"\nattack = \"photon-number-splitting\"\nfraction = {f:.3}"
        )),
        Just("kind = \"attack\"\nattack = \"beam-splitting\"".to_owned()),
        Just("kind = \"attack\"\nattack = \"blinding\"".to_owned()),
        (probability, prop_oneof![Just("modify"), Just("replay"), Just("forge")]).prop_map(|(p, how)| format!(
            "kind = \"attack\"\nattack = \"man-in-the-middle\"\ntampering = \"{how}\"\nprobability = {:.3}",
            p * p
        )),
        Just("kind = \"cut\"".to_owned()),
        (0.0..20.0f64).prop_map(|loss| format!("kind = \"loss-step\"\nloss = \"{loss:.2} dB\"")),
        (0.0..0.5f64, 0..5u32)
            .prop_map(|(e, s)| format!("kind = \"misalignment\"\nvalue = {e:.3}\nover = \"{s} s\"")),
        (0..3_000u32).prop_map(|ns| format!("kind = \"clock-offset\"\noffset = \"{ns} ns\"")),
        (0.0..=1.0f64).prop_map(|p| format!("kind = \"message-loss\"\nprobability = {:.3}", p * p)),
        (0..100u32, 0..50u32).prop_map(|(d, j)| format!(
            "kind = \"message-delay\"\ndelay = \"{d} ms\"\njitter = \"{j} ms\""
        )),
        (0.0..=1.0f64).prop_map(|p| format!("kind = \"message-duplication\"\nprobability = {p:.3}")),
        (0.0..=1.0f64).prop_map(|p| format!("kind = \"message-reordering\"\nprobability = {p:.3}")),
    ];
    let of_link = (0..links, what).prop_map(|(link, what)| format!("link = \"L{link}\"\n{what}\n"));
    let of_node = (0..nodes(links)).prop_map(|node| format!("node = \"N{node}\"\nkind = \"node-crash\"\n"));
    (prop_oneof![4 => of_link, 1 => of_node], 0..8_000u32, prop::option::of(1..4_000u32)).prop_map(
        |(what, at, lasts)| {
            let until = lasts.map(|lasts| format!("until = \"{} ms\"\n", at + lasts)).unwrap_or_default();
            format!("[[event]]\nat = \"{at} ms\"\n{until}{what}")
        },
    )
}

fn demand(name: usize, nodes: usize) -> impl Strategy<Value = String> {
    (0..nodes, 1..nodes, 1..40u32, 1..=2u32, prop::option::of(1..60u32)).prop_map(
        move |(from, step, rate, paths, total)| {
            let total = total.map(|total| format!("total = {total}\n")).unwrap_or_default();
            format!(
                "[demand.D{name}]\nfrom = \"N{from}\"\nto = \"N{}\"\nkey_size = \"256 bit\"\n\
                 rate = \"{rate} /s\"\npaths = {paths}\n{total}",
                (from + step) % nodes
            )
        },
    )
}

fn network(links: usize, detail: &'static str) -> impl Strategy<Value = Network> {
    let nodes = nodes(links);
    let named: String = (0..nodes).map(|node| format!("[node.N{node}]\n")).collect();
    let events = prop::collection::vec(event(links), 0..6);
    let links: Vec<_> = (0..links).map(|name| decoy_link(name, nodes, detail)).collect();
    (links, events, (demand(0, nodes), demand(1, nodes)), any::<u16>()).prop_map(move |(links, events, demands, seed)| {
        parse(&format!(
            "format = 1\n[network]\nname = \"any\"\n[run]\nduration = \"10 s\"\nseed = {seed}\nwindow = \"20 ms\"\n\
             {named}{}{}{}{}",
            links.concat(),
            demands.0,
            demands.1,
            events.concat()
        ))
    })
}

fn check(run: &Run) -> Result<(), TestCaseError> {
    let summary = &run.summary;
    prop_assert!(run.trace.is_sorted_by_key(|record| record.at_ps), "the trace goes forward in time");
    let begun = matches!(run.trace.first().unwrap().event, TraceEvent::RunStarted { .. });
    let ended = matches!(run.trace.last().unwrap().event, TraceEvent::RunEnded { partial: false });
    prop_assert!(begun && ended, "a beginning and an end");
    prop_assert_eq!(summary.totals.keys_mismatched, 0);
    for link in &summary.links {
        let clicks: f64 = link.key_budget.iter().map(|part| part.amount).sum();
        prop_assert!((clicks - link.clicks as f64).abs() < 1e-3, "{clicks} {}", link.clicks);
        let errors: f64 = link.error_budget.iter().map(|part| part.amount).sum();
        let expected = link.expected.as_ref().unwrap().qber_key;
        prop_assert!((errors - expected).abs() < 1e-9, "{errors} {expected}");
        for part in &link.key_budget {
            // The price of failure probabilities is what is left: rounding may make it a bit less than nothing.
            prop_assert!(part.amount > -2.0, "{part:?}");
        }
        prop_assert!(link.secret_bits <= link.sifted_bits && link.sifted_bits <= link.clicks);
        prop_assert_eq!(link.series.secret_bits.iter().sum::<u64>(), link.secret_bits);
        prop_assert!(link.pool_bits <= link.secret_bits);
        for rate in [link.qber_key, link.qber_check].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&rate));
        }
        let told = run.trace.iter().filter(|record| match &record.event {
            TraceEvent::BlockDistilled { link: name, .. } => *name == link.name,
            _ => false,
        });
        prop_assert_eq!(told.count() as u64, link.blocks);
    }
    for demand in &summary.demands {
        let refused: u64 = demand.refused.iter().map(|count| count.count).sum();
        prop_assert_eq!(demand.requested, demand.delivered + refused + demand.pending);
        let routes: u64 = demand.routes.iter().map(|count| count.count).sum();
        prop_assert_eq!(routes, demand.delivered);
    }
    let alarms: u64 = summary.alarms.iter().map(|alarm| alarm.count).sum();
    prop_assert_eq!(alarms, summary.totals.alarms);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_network_at_detail_blocks_adds_up(network in network(5, "blocks")) {
        check(&Run::of(&network, 1))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_network_at_detail_bits_adds_up(network in network(2, "bits")) {
        check(&Run::of(&network, 1))?;
    }
}
