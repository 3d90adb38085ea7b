//! Plays many random schedules, each from its seed, and names those that fail.

/// Plays the schedules of ten thousand seeds, or that of `SEED` alone. Each is printed when it fails; none must.
pub(crate) fn ten_thousand(play: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let fails = |&seed: &u64| {
        let failed = std::panic::catch_unwind(|| play(seed)).is_err();
        if failed {
            println!("seed {seed} fails");
        }
        failed
    };
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..10_000,
    };
    let failing: Vec<_> = seeds.filter(fails).collect();
    assert!(failing.is_empty(), "these schedules fail: {failing:?}");
}
