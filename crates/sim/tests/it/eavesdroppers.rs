//! Eavesdroppers at detail `bits`: what they do to a link, and that it is seen within a block.

use crate::support::{Run, Small};

const TAMPERING: [&str; 1] = ["authentication-failed"];

/// A run of 10 s with an attack from second 3 to second 6.
fn attacked(attack: &str) -> Run {
    Small::new("bits", 10).event(3.0, Some(6.0), &format!("kind = \"attack\"\nattack = {attack}")).run()
}

/// An alarm must be raised while the first block is distilled that ends after the attack began.
fn assert_alarm_within_a_block(run: &Run, kinds: &[&str]) {
    let block = run.link().expected.as_ref().unwrap().block_s;
    let first = kinds.iter().flat_map(|kind| run.alarms(kind)).fold(f64::INFINITY, f64::min);
    // A window and the time of distillation, 0.15 s here, come on top.
    assert!((3.0..3.0 + block + 0.15).contains(&first), "{first} {:?}", run.summary.alarms);
}

/// No key of light that was attacked from its first pulse to its last, and key again afterwards.
fn assert_no_key_during_and_key_after(run: &Run) {
    let during = run.distilled().into_iter().find(|block| block.opened > 3.1 && block.ended < 6.0);
    assert!(during.is_none(), "{during:?}");
    assert!(run.keys_between(6.0, 10.0) > 3);
}

#[test]
fn intercept_and_resend_adds_a_quarter_of_its_fraction_to_the_error_rate() {
    for fraction in [0.0, 0.1, 0.3, 1.0] {
        let attack = format!("kind = \"attack\"\nattack = \"intercept-resend\"\nfraction = {fraction:?}");
        let run = Small::new("bits", 10).event(0.0, None, &attack).run();
        let link = run.link();
        let (key, check) = (link.qber_key, link.qber_check.unwrap());
        let honest = link.expected.as_ref().unwrap().qber_key;
        let expected = honest + (1.0 - 2.0 * honest) * fraction / 4.0;
        // Clicks sifted in blocks; where no key is made the errors of the key basis are never learnt.
        let sifted = link.sifted_bits as f64 * 0.9;
        let within_three_sigma = |rate: f64, sifted: f64| {
            (rate - expected).abs() < 3.0 * (expected * (1.0 - expected) / sifted).sqrt()
        };
        assert!(within_three_sigma(check, sifted * 0.18), "{fraction}: {check} and {expected}");
        if fraction < 0.2 {
            assert!(within_three_sigma(key.unwrap(), sifted), "{fraction}: {key:?} and {expected}");
        }
        assert_eq!(run.summary.alarms.is_empty(), fraction == 0.0, "{:?}", run.summary.alarms);
        assert_eq!(link.secret_bits > 0, fraction < 0.05, "{fraction}: {} secret bits", link.secret_bits);
    }
}

#[test]
fn intercept_and_resend_of_all_is_seen_within_a_block_and_leaves_no_key() {
    let run = attacked("\"intercept-resend\"\nfraction = 1.0");
    assert_alarm_within_a_block(&run, &["qber-high"]);
    assert_no_key_during_and_key_after(&run);
    let told = &run.summary.alarms.iter().find(|alarm| alarm.kind == "no-key").unwrap().text;
    assert!(told.contains("the error rate is too high: unknown in the key basis"), "{told}");
    // A rate that jumps is not also said to creep.
    assert_eq!(run.alarm_kinds().into_iter().collect::<Vec<_>>(), ["no-key", "qber-high"]);
}

#[test]
fn an_eavesdropper_in_one_basis_shows_in_the_other() {
    for (basis, disturbed) in [("key", "check"), ("check", "key")] {
        let run = attacked(&format!("\"intercept-resend\"\nfraction = 1.0\nbasis = \"{basis}\""));
        assert_no_key_during_and_key_after(&run);
        let text =
            |kind: &str| run.summary.alarms.iter().find(|alarm| alarm.kind == kind).unwrap().text.clone();
        if disturbed == "check" {
            assert_alarm_within_a_block(&run, &["qber-high"]);
            assert!(text("qber-high").contains("error rate of the check basis"), "{}", text("qber-high"));
        } else {
            // So many errors in the key basis that reconciliation gives up.
            assert_alarm_within_a_block(&run, &["no-key", "qber-high"]);
        }
    }
}

#[test]
fn splitting_photons_leaves_the_error_rate_and_spoils_the_decoys() {
    let far = Small { length: "75 km", clock: "100 MHz", ..Small::new("bits", 10) };
    let attack = "kind = \"attack\"\nattack = \"photon-number-splitting\"";
    let run = far.clone().event(3.0, Some(6.0), attack).run();
    assert_alarm_within_a_block(&run, &["decoy-statistics"]);
    assert_no_key_during_and_key_after(&run);
    assert!(!run.alarm_kinds().contains("qber-high"), "{:?}", run.summary.alarms);
    let link = run.link();
    let expected = link.expected.as_ref().unwrap().qber_check;
    // 10^5 and more check bits: five standard errors are a tenth of the rate.
    assert!((link.qber_check.unwrap() / expected - 1.0).abs() < 0.1);

    // Of a tenth of the pulses only: the bound takes it off the key, seen or not.
    let honest = far.run();
    let some = far.event(0.0, None, &format!("{attack}\nfraction = 0.1")).run();
    let of_a_block = |run: &Run| run.link().secret_bits as f64 / run.link().blocks.max(1) as f64;
    assert!(of_a_block(&some) < 0.9 * of_a_block(&honest), "{} {}", of_a_block(&some), of_a_block(&honest));
}

#[test]
fn splitting_the_beam_changes_nothing_at_all() {
    let honest = Small::new("bits", 6).run();
    let split =
        Small::new("bits", 6).event(2.0, None, "kind = \"attack\"\nattack = \"beam-splitting\"").run();
    assert!(split.summary.alarms.is_empty());
    assert_eq!(split.link().clicks, honest.link().clicks);
    assert_eq!(split.link().secret_bits, honest.link().secret_bits);
}

#[test]
fn blinding_is_seen_within_a_block_and_leaves_no_key_with_and_without_a_monitor() {
    for detail in ["bits", "blocks"] {
        let blinded = |small: Small| {
            let run = small.event(3.0, Some(6.0), "kind = \"attack\"\nattack = \"blinding\"").run();
            assert_alarm_within_a_block(&run, &["double-clicks-missing"]);
            assert_no_key_during_and_key_after(&run);
            assert!(run.discarded("monitor") > 3, "{detail}: {:?}", run.link().discarded);
            run
        };
        let run = blinded(Small::new(detail, 10));
        assert_alarm_within_a_block(&run, &["bias-current"]);
        // The current tells of every block with any of the attacker's light. Distillation takes 0.15 s here.
        let touched = run.distilled().into_iter().find(|block| block.opened < 6.0 && block.ended > 3.2);
        assert!(touched.is_none(), "{detail}: {touched:?}");
        let run = blinded(Small { monitor: false, ..Small::new(detail, 10) });
        assert!(run.alarms("bias-current").is_empty());
        // Error rates and counts stay.
        assert_eq!(run.alarm_kinds().into_iter().collect::<Vec<_>>(), ["double-clicks-missing"]);
    }
}

#[test]
fn a_blinded_link_serves_nobody_until_a_block_is_clean() {
    let attack = "kind = \"attack\"\nattack = \"blinding\"";
    let run = Small::new("bits", 10).demand(10).event(3.0, Some(6.0), attack).run();
    let delivered = |from: f64, to: f64| {
        run.trace
            .iter()
            .filter(|record| (from..to).contains(&(record.at_ps as f64 * 1e-12)))
            .filter(|record| matches!(record.event, bellwether_sim::trace::TraceEvent::KeyDelivered { .. }))
            .count()
    };
    assert!(delivered(1.0, 3.0) > 15);
    // The first block of blinded light ends before 3.8 s, the first clean one after 6 s.
    assert_eq!(delivered(3.8, 6.0), 0);
    assert!(delivered(7.5, 10.0) > 15, "what waited and what is asked for then");
    assert_eq!(run.summary.totals.keys_mismatched, 0);
}

#[test]
fn messages_changed_or_forged_raise_alarms_and_give_no_key() {
    for how in ["modify", "forge"] {
        let run = attacked(&format!("\"man-in-the-middle\"\ntampering = \"{how}\"\nprobability = 0.02"));
        assert_alarm_within_a_block(&run, &TAMPERING);
        assert_no_key_during_and_key_after(&run);
        assert!(run.discarded("authentication") > 3, "{how}: {:?}", run.link().discarded);
        assert_eq!(run.summary.alarms[0].kind, "authentication-failed", "{how}: {:?}", run.summary.alarms);
        // A changed message may spoil a block before the tag that tells comes.
        let mut others = run.alarm_kinds();
        others.retain(|kind| !TAMPERING.contains(&&kind[..]) && kind != "no-key");
        assert!(others.is_empty(), "{how}: {:?}", run.summary.alarms);
    }
}

#[test]
fn messages_sent_again_do_no_harm() {
    // What comes a second time counts for nothing, as when the network doubles a frame; what was not sent in
    // its stead is sent again.
    let run = attacked("\"man-in-the-middle\"\ntampering = \"replay\"\nprobability = 0.1");
    assert!(run.summary.alarms.is_empty(), "{:?}", run.summary.alarms);
    assert!(run.keys_between(3.0, 6.5) > 2);
}

#[test]
fn either_detail_tells_the_same_of_every_attack() {
    let both = |attack: &str| {
        let event = format!("kind = \"attack\"\nattack = {attack}");
        ["bits", "blocks"].map(|detail| Small::new(detail, 10).event(3.0, Some(6.0), &event).run())
    };
    for attack in [
        "\"intercept-resend\"\nfraction = 1.0",
        "\"intercept-resend\"\nfraction = 0.3",
        "\"photon-number-splitting\"",
        "\"blinding\"",
        "\"beam-splitting\"",
        "\"man-in-the-middle\"\ntampering = \"replay\"\nprobability = 0.02",
    ] {
        let [bits, blocks] = both(attack);
        // Of a block in which the splitting begins or ends, chance decides whether its double clicks are few enough
        // for the monitor; if not, it may still give no key.
        let certain = |what: &String| attack != "\"photon-number-splitting\"" || what != "no-key";
        let alarms = |run: &Run| run.alarm_kinds().into_iter().filter(certain).collect::<Vec<_>>();
        assert_eq!(alarms(&bits), alarms(&blocks), "{attack}");
        let discarded = |run: &Run| {
            let reasons = run.link().discarded.iter().map(|count| count.what.clone());
            reasons.filter(certain).collect::<Vec<_>>()
        };
        assert_eq!(discarded(&bits), discarded(&blocks), "{attack}");
        assert!(bits.link().blocks.abs_diff(blocks.link().blocks) <= 2, "{attack}");
    }
    // Where drawn, tampering has one name; and no block is spoilt before it is noticed.
    for run in both("\"man-in-the-middle\"\ntampering = \"modify\"\nprobability = 0.02") {
        assert_alarm_within_a_block(&run, &TAMPERING);
        assert!(run.discarded("authentication") > 3, "{:?}", run.link().discarded);
    }
}
