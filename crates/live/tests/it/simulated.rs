//! A network that runs live beside the same network in the simulator.

use crate::two_ends::{Entries, TwoEnds, hardware, layer, network};
use bellwether_live::hardware::Side::{Receiver, Transmitter};
use bellwether_live::node::transcript::{Recorded, Replay};
use bellwether_sim::kernel::Schedule;
use bellwether_sim::run::{Observer, Options, simulate};
use bellwether_sim::trace::{TraceEvent, TraceRecord};
use bellwether_units::{Duration, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many blocks of either are compared.
const BLOCKS: usize = 200;
/// One of the link's 10 MHz.
const PULSE: Duration = Duration::from_picoseconds(100_000);

/// Both ends of a live session are put into the simulator's event kernel. An end is told what it was told then, at the
/// virtual time at which it was told, but what the other end said is taken from the other end in the kernel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_writes_the_same_transcript_as_a_live_session() {
    let network = network();
    let layer = layer(&network, 7, Duration::from_whole_seconds(3600));
    let mut ends = TwoEnds::new(&network, 7);
    let entries = [Entries::default(), Entries::default()];
    for side in [Receiver, Transmitter] {
        ends.start_recorded(side, hardware(&layer, side), Some(Arc::clone(&entries[side as usize])));
    }
    ends.until("three keys", |told| told.keys.len() >= 3).await;

    let mut schedule = Schedule::new();
    let mut frames = 0;
    for side in [Receiver, Transmitter] {
        ends.finish(side).await;
        let source = schedule.add_source().unwrap();
        for entry in std::mem::take(&mut *entries[side as usize].lock().unwrap()) {
            frames += usize::from(matches!(entry.input, Recorded::Frame(_)));
            schedule.at(source, entry.at, (side, entry)).unwrap();
        }
    }
    assert!(frames > 50, "{frames} frames");
    let mut random = [Receiver, Transmitter].map(|side| (side, ends.random(side, 0)));
    random.sort_by_key(|(side, _)| *side as usize);
    let mut replays = random.map(|(side, random)| (Replay::new(side, ends.settings().clone()), random));
    let mut wires = [VecDeque::new(), VecDeque::new()];
    while let Some(event) = schedule.next() {
        let (side, mut entry) = event.event;
        if let Recorded::Frame(heard) = &mut entry.input {
            let said = wires[side as usize].pop_front().expect("an end hears what the other said before");
            assert!(*heard == said, "the other end says something else at {}", event.time);
            *heard = said;
        }
        let (replay, random) = &mut replays[side as usize];
        wires[1 - side as usize].extend(replay.tell(random, entry).unwrap());
    }
}

/// The blocks of a simulated run: when each was opened, and its key.
#[derive(Default)]
struct Blocks(Vec<(u64, u64)>);

impl Blocks {
    /// The key of each and the pulses that it took, which end where the next begins.
    fn keys_and_pulses(&self, pulse: Duration) -> Vec<(u64, u64)> {
        let pulses = |from: u64, to: u64| (to - from) / pulse.picoseconds();
        self.0.windows(2).map(|pair| (pair[0].1, pulses(pair[0].0, pair[1].0))).collect()
    }
}

impl Observer for Blocks {
    fn progress(&mut self, _now: Time, _end: Time) -> bool {
        self.0.len() <= BLOCKS
    }
    fn trace(&mut self, records: &[TraceRecord]) {
        for record in records {
            if let TraceEvent::BlockDistilled { opened_ps, secret_bits, .. } = &record.event {
                self.0.push((*opened_ps, *secret_bits));
            }
        }
    }
}

/// The mean of secret bits a pulse and its variance, over blocks.
fn rate(blocks: &[(u64, u64)]) -> (f64, f64) {
    let count = blocks.len() as f64;
    let each = || blocks.iter().map(|(bits, pulses)| *bits as f64 / *pulses as f64);
    let mean = each().sum::<f64>() / count;
    (mean, each().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_rate_is_the_same_live_and_simulated() {
    let network = network();
    let mut blocks = Blocks::default();
    let hour = Duration::from_whole_seconds(3600);
    // Another seed, so that the light is another.
    let options = Options { duration: Some(hour), seed: Some(80), threads: 1 };
    simulate(&network, &options, &mut blocks).unwrap();

    let layer = layer(&network, 8, hour);
    let mut ends = TwoEnds::new(&network, 8);
    ends.start(Receiver, hardware(&layer, Receiver));
    ends.start(Transmitter, hardware(&layer, Transmitter));
    ends.until("blocks", |told| told.reports.len() >= BLOCKS).await;
    let live = ends.look(Receiver, |told| {
        let reports = told.reports.iter().filter(|report| report.discarded.is_none());
        reports.map(|report| (report.key_bits, report.pulses)).collect::<Vec<_>>()
    });
    assert!(live.len() * 10 >= BLOCKS * 9, "{} of {BLOCKS} blocks gave key", live.len());
    let ((simulated, of_simulated), (live, of_live)) = (rate(&blocks.keys_and_pulses(PULSE)), rate(&live));
    let error = (of_simulated + of_live).sqrt();
    println!("secret bits a pulse: {simulated:.6} simulated, {live:.6} live, standard error {error:.6}");
    assert!(error < 0.01 * simulated, "blocks tell too little: {error} of {simulated}");
    assert!((simulated - live).abs() < 4.0 * error, "{simulated} simulated, {live} live, error {error}");
}
