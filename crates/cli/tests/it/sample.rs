//! A made-up run with everything in it: an attack, a cut, refused keys, figures of every kind of evidence.

use bellwether_sim::expect::Expectation;
use bellwether_sim::summary::{
    AlarmSummary, Contribution, Count, DemandSummary, EventSummary, ExpectedSummary, LinkSummary,
    NodeSummary, PublishedSummary, RunIdentity, SCHEMA, Series, Summary, Totals,
};

const HOURS: f64 = 24.0;
const BINS: usize = 200;

/// The made-up run.
pub(crate) fn summary() -> Summary {
    let links = vec![
        link(
            "BREIT-STP",
            ["BREIT", "STP"],
            82.0,
            18.0,
            750.0,
            0.019,
            Some((600.0, "from-memory")),
            5.0 * 3600.0,
        ),
        link("SIE-BREIT", ["SIE", "BREIT"], 32.5, 7.5, 2900.0, 0.026, Some((3100.0, "from-memory")), 2400.0),
        link("ERD-SIE", ["ERD", "SIE"], 16.0, 4.0, 2300.0, 0.035, Some((2200.0, "published")), 1800.0),
        link("GUD-ERD", ["GUD", "ERD"], 6.2, 3.0, 9100.0, 0.011, Some((8000.0, "from-memory")), 900.0),
        link("ERD-FRM", ["ERD", "FRM"], 0.08, 2.0, 15_400.0, 0.034, Some((17_000.0, "reconstructed")), 300.0),
        link("SIE-GUD", ["SIE", "GUD"], 21.0, 5.2, 1300.0, 0.022, None, 4000.0),
        link("BREIT-GUD", ["BREIT", "GUD"], 21.0, 5.2, 0.0, 0.0, None, 4000.0),
    ];
    let node = |name: &str, latitude, longitude| NodeSummary {
        name: name.to_owned(),
        role: if name == "STP" { "end-node" } else { "trusted-node" }.to_owned(),
        latitude_deg: Some(latitude),
        longitude_deg: Some(longitude),
    };
    let totals = Totals {
        pulses: 3_500_000_000_000,
        clicks: 9_800_000_000,
        sifted_bits: links.iter().map(|link| link.sifted_bits).sum(),
        secret_bits: links.iter().map(|link| link.secret_bits).sum(),
        keys_requested: 2880,
        keys_delivered: 2801,
        keys_refused: 75,
        keys_mismatched: 0,
        alarms: 5,
    };
    Summary {
        entanglement: None,
        schema: SCHEMA.to_owned(),
        run: RunIdentity {
            version: "0.1.0".to_owned(),
            network: "SECOQC Vienna 2008".to_owned(),
            file: "networks/secoqc-2008.toml".to_owned(),
            sha256: "3f2a9c0d5b8e7714a6c1f0e92d38b7a45560cc1e8f7d9a2b3c4d5e6f708192a3".to_owned(),
            overrides: vec!["run.seed=7".to_owned()],
            seed: 7,
            duration_s: HOURS * 3600.0,
            simulated_s: HOURS * 3600.0,
            partial: false,
            assumptions: vec![
                "The quantum channel is emulated: the keys are for test and development.".to_owned(),
                "Trusted nodes are honest and their rooms are locked.".to_owned(),
            ],
        },
        nodes: vec![
            node("SIE", 48.27, 16.42),
            node("ERD", 48.196, 16.409),
            node("FRM", 48.196, 16.410),
            node("GUD", 48.178, 16.387),
            node("BREIT", 48.168, 16.322),
            node("STP", 48.204, 15.626),
        ],
        links,
        demands: vec![
            DemandSummary {
                name: "bank".to_owned(),
                from: "STP".to_owned(),
                to: "FRM".to_owned(),
                key_bits: 256,
                requested: 1440,
                delivered: 1361,
                refused: vec![
                    Count { what: "a pool on every route is too low".to_owned(), count: 71 },
                    Count { what: "no route".to_owned(), count: 4 },
                ],
                pending: 4,
                mean_latency_s: Some(0.0032),
                max_latency_s: Some(41.5),
                routes: vec![
                    Count { what: "STP-BREIT-SIE-ERD-FRM".to_owned(), count: 1240 },
                    Count { what: "STP-BREIT-GUD-ERD-FRM".to_owned(), count: 121 },
                ],
            },
            DemandSummary {
                name: "video".to_owned(),
                from: "SIE".to_owned(),
                to: "ERD".to_owned(),
                key_bits: 128_000,
                requested: 1440,
                delivered: 1440,
                mean_latency_s: Some(0.00021),
                max_latency_s: Some(0.00034),
                routes: vec![Count { what: "SIE-ERD".to_owned(), count: 1440 }],
                ..DemandSummary::default()
            },
        ],
        alarms: vec![
            alarm(
                6.55,
                "SIE-BREIT",
                "error rate",
                "QBER 9.81 % seen in block 171, at most 3.30 % expected at the threshold of 1e-9",
            ),
            alarm(6.62, "SIE-BREIT", "no key", "the phase error of 21.0 % leaves no key in block 172"),
            alarm(14.01, "GUD-ERD", "no light", "no click in 10 s where 3.2e5 are expected"),
        ],
        events: vec![
            EventSummary {
                at_s: 6.5 * 3600.0,
                until_s: Some(9.0 * 3600.0),
                target: "SIE-BREIT".to_owned(),
                kind: "attack".to_owned(),
                text: "attack: intercept-resend of 30 % in a random basis".to_owned(),
            },
            EventSummary {
                at_s: 14.0 * 3600.0,
                until_s: Some(17.0 * 3600.0),
                target: "GUD-ERD".to_owned(),
                kind: "cut".to_owned(),
                text: "the fibre is cut".to_owned(),
            },
        ],
        totals,
    }
}

/// Rates over a length, of the usual shape.
pub(crate) fn sweep() -> (Vec<f64>, Vec<Expectation>) {
    let lengths: Vec<f64> = (0..=40).map(|step| f64::from(step) * 10.0).collect();
    let rows = lengths
        .iter()
        .map(|length| {
            let eta = 10f64.powf(-0.02 * length);
            let sifted = 1e9 * 0.5 * 0.4 * eta;
            let secret = (0.35 - 3e-7 / eta).max(0.0) * sifted;
            let finite = (0.30 - 8e-7 / eta).max(0.0) * sifted;
            Expectation {
                setting: Some(format!("{length} km")),
                length_km: *length,
                loss_db: 0.2 * length,
                click_rate_per_s: 2.2 * sifted,
                sifted_rate_per_s: sifted,
                qber_key: 0.01 + 2e-8 / eta,
                qber_check: 0.012,
                block_s: 1e7 / sifted,
                secret_bits_per_block: 3_000_000,
                set_aside_bits_per_block: 512,
                secret_rate_per_s: finite,
                gross_secret_rate_per_s: finite,
                secret_bits_per_pulse: finite / 1e9,
                asymptotic_rate_per_s: secret,
                repeaterless_bound_per_pulse: -(1.0 - eta).max(1e-12).log2(),
                no_key: (finite == 0.0).then(|| "the phase error leaves nothing".to_owned()),
            }
        })
        .collect();
    (lengths, rows)
}

fn alarm(hour: f64, link: &str, kind: &str, text: &str) -> AlarmSummary {
    let (at_s, count) = (hour * 3600.0, if kind == "no key" { 3 } else { 1 });
    let last_s = at_s + 4800.0 * (count - 1) as f64;
    AlarmSummary { at_s, last_s, count, link: link.to_owned(), kind: kind.to_owned(), text: text.to_owned() }
}

/// Numbers that look like chance and are none.
fn noise(place: usize) -> f64 {
    (((place * 2_654_435_761) >> 7) % 1000) as f64 / 500.0 - 1.0
}

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
fn link(
    name: &str,
    ends: [&str; 2],
    length_km: f64,
    loss_db: f64,
    rate: f64,
    qber: f64,
    stated: Option<(f64, &str)>,
    block_s: f64,
) -> LinkSummary {
    let bin_s = HOURS * 3600.0 / BINS as f64;
    let mut series = Series { bin_s, ..Series::default() };
    let (mut gathered, mut block, mut pool) = (0.0, 0.0, 0u64);
    for bin in 0..BINS {
        let hour = (bin as f64 + 0.5) * HOURS / BINS as f64;
        let (attacked, cut) = (
            name == "SIE-BREIT" && (6.5..9.0).contains(&hour),
            name == "GUD-ERD" && (14.0..17.0).contains(&hour),
        );
        let (mut sifted, mut errors, mut secret) = (0, 0, 0);
        if !cut && rate > 0.0 {
            gathered += bin_s * rate * 4.0;
            block += bin_s;
        }
        if block >= block_s {
            let error_rate = if attacked { 0.098 } else { qber } * (1.0 + 0.06 * noise(bin));
            sifted = gathered as u64;
            errors = (gathered * error_rate) as u64;
            secret = if attacked { 0 } else { (gathered / 4.0 * (1.0 + 0.05 * noise(bin + 50))) as u64 };
            (gathered, block) = (0.0, 0.0);
        }
        pool = (pool + secret).saturating_sub((bin_s * rate * 0.7) as u64);
        series.sifted_bits.push(sifted);
        series.errors.push(errors);
        series.secret_bits.push(secret);
        series.pool_bits.push(pool);
    }
    let sum = |values: &[u64]| values.iter().sum::<u64>();
    let (secret, sifted, errors) = (sum(&series.secret_bits), sum(&series.sifted_bits), sum(&series.errors));
    let part = |cause: &str, amount| Contribution { cause: cause.to_owned(), amount };
    let clicks = sifted as f64 * 2.1;
    LinkSummary {
        name: name.to_owned(),
        transmitter: ends[0].to_owned(),
        receiver: ends[1].to_owned(),
        detail: "blocks".to_owned(),
        length_km,
        loss_db,
        pulses: 432_000_000_000,
        clicks: clicks as u64,
        sifted_bits: sifted,
        sifted_rate_per_s: sifted as f64 / (HOURS * 3600.0),
        qber_key: (sifted > 0).then(|| errors as f64 / sifted as f64),
        qber_check: (sifted > 0).then_some(qber * 1.1),
        secret_bits: secret,
        secret_rate_per_s: secret as f64 / (HOURS * 3600.0),
        set_aside_bits: 40_960,
        gross_secret_rate_per_s: (secret + 40_960) as f64 / (HOURS * 3600.0),
        secret_bits_per_pulse: secret as f64 / 432e9,
        repeaterless_bound_per_pulse: 0.02,
        pool_bits: pool,
        blocks: series.secret_bits.iter().filter(|bits| **bits > 0).count() as u64,
        discarded: match name {
            "SIE-BREIT" => vec![Count { what: "phase error too high".to_owned(), count: 4 }],
            "BREIT-GUD" => vec![Count { what: "too few check bits".to_owned(), count: 12 }],
            _ => vec![],
        },
        leaked_bits: (sifted as f64 * 0.22) as u64,
        reconciliation_efficiency: Some(1.121),
        round_trips_per_block: None,
        authentication_bits: 40_960,
        epsilon_total: 2.1e-8,
        expected: (rate > 0.0).then_some(ExpectedSummary {
            sifted_rate_per_s: rate * 4.0,
            qber_key: qber,
            qber_check: qber,
            secret_rate_per_s: rate,
            gross_secret_rate_per_s: rate,
            block_s,
        }),
        published: stated.map(|(rate, evidence)| PublishedSummary {
            secret_rate_per_s: Some(rate),
            qber: Some(0.026),
            source: "Peev et al., New J. Phys. 11, 075001 (2009)".to_owned(),
            evidence: evidence.to_owned(),
            fitted: (name == "GUD-ERD").then(|| "fibre.misalignment: to meet the stated QBER".to_owned()),
        }),
        note: (name == "GUD-ERD")
            .then(|| "Stands in for a continuous-variable link by a decoy link of equal loss.".to_owned()),
        error_budget: if rate > 0.0 {
            vec![
                part("misalignment", qber * 0.62),
                part("dark counts", qber * 0.16),
                part("Raman background", qber * 0.05),
                part("after-pulses", qber * 0.15),
                part("jitter", qber * 0.02),
            ]
        } else {
            vec![]
        },
        key_budget: vec![
            part("sifting", clicks - sifted as f64),
            part("check basis", sifted as f64 * 0.1),
            part("reconciliation", sifted as f64 * 0.22),
            part("phase error", sifted as f64 * 0.2),
            part("finite size", sifted as f64 * 0.23),
            part("secret key", sifted as f64 * 0.25),
        ],
        series,
    }
}
