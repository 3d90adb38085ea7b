//! Journals and memory over long times: what a node keeps is bounded, and a snapshot stands for all before it.

use crate::world::{Happening, Weather, World};
use bellwether_protocol::keys::{Compaction, Event, KeyNode, LinkCondition, Record, Settings, Topology};
use bellwether_protocol::machine::{Input, Output, Protocol};
use bellwether_units::{Duration, EntityId, LinkId, NodeId, Purpose, Stream, Time};
use std::sync::Arc;

const LINE: [(u32, u32); 3] = [(0, 1), (1, 2), (2, 3)];

fn line(settings: &Settings, weather: Weather, seed: u64) -> World {
    let links: Vec<_> = LINE.iter().map(|&(a, b)| (NodeId(a), NodeId(b))).collect();
    World::new(Topology::new(4, &links).unwrap(), settings.clone(), weather, seed)
}

/// Notes are written within a millisecond, so that journals are whole as soon as nothing arrives.
fn prompt_notes() -> Settings {
    Settings { note_interval: Duration::from_milliseconds(1), ..Settings::default() }
}

/// What can be seen of a node that is restored and left to itself for ten seconds: its frames, its events, its
/// books.
fn life_after(journal: &[Record], node: NodeId, topology: &Arc<Topology>) -> Vec<String> {
    let mut machine = KeyNode::restore(node, Arc::clone(topology), prompt_notes(), journal);
    let mut rng = Stream::new(5, EntityId(0), Purpose::named("life after"));
    let mut seen = Vec::new();
    let (mut now, mut out) = (Time::ZERO, Vec::new());
    let end = now + Duration::from_whole_seconds(10);
    let mut inputs = vec![Input::Timeout];
    while let Some(input) = inputs.pop() {
        machine.handle(now, &mut rng, input, &mut out);
        let first = journal.len() as u64;
        for output in out.drain(..) {
            match output {
                Output::Send { to, bytes } => seen.push(format!("{now:?} to {to}: {bytes:?}")),
                Output::Event(Event::PoolLevel { .. }) => {}
                Output::Event(event) => seen.push(format!("{now:?} {event:?}")),
                Output::Persist(number, _) => {
                    assert!(number >= first, "records are numbered from how many there were");
                    inputs.push(Input::Persisted(number));
                }
                Output::Compute(job) => match job {},
            }
        }
        if inputs.is_empty()
            && let Some(due) = machine.deadline().filter(|&due| due <= end)
        {
            now = now.max(due);
            inputs.push(Input::Timeout);
        }
    }
    seen.extend(topology.links_of(node).map(|(link, _)| format!("{:?}", machine.pool(link).unwrap())));
    seen
}

/// At a hundred moments of a network in which nothing is burned, each node is restored from its whole journal and
/// from a snapshot, and says and does the same.
#[test]
fn a_node_from_a_snapshot_does_what_one_from_the_whole_journal_does() {
    let mut compared = 0;
    for seed in 0..4 {
        let weather = Weather { longest_delay_ms: 40, longest_write_ms: 0, ..Weather::FAIR };
        let mut world = line(&prompt_notes(), weather, seed);
        world.emulated = seed % 2 == 1;
        // Enough that no relay runs dry: what a failed transfer burns is in no journal.
        world.fill(4);
        world.run_ms(500);
        world.demand(0, 3, 256, 90, 1);
        world.demand(3, 1, 512, 70, 1);
        world.demand(1, 2, 128, 30, 1);
        for moment in 0..25 {
            world.run_ms(37 + moment);
            world.run_without_frames_ms(3);
            if moment % 4 == 3 {
                world.fill(1);
            }
            for id in (0..4).map(NodeId) {
                let Some(node) = world.nodes[id.index()].as_ref() else { continue };
                let whole = life_after(&world.journals[id.index()], id, &world.topology);
                let read = |record: &Record| Record::decode(&record.encode()).unwrap();
                let decoded: Vec<_> = world.journals[id.index()].iter().map(read).collect();
                assert_eq!(
                    whole,
                    life_after(&decoded, id, &world.topology),
                    "{id}: a journal read from bytes"
                );
                let snapshot = [node.snapshot()];
                let decoded = [read(&snapshot[0])];
                assert_eq!(whole, life_after(&decoded, id, &world.topology), "{id}: a snapshot from bytes");
                assert_eq!(whole, life_after(&snapshot, id, &world.topology), "{id} of {seed}, {moment}");
                let again = KeyNode::restore(id, Arc::clone(&world.topology), prompt_notes(), &snapshot);
                let again = [again.snapshot()];
                assert_eq!(whole, life_after(&again, id, &world.topology), "{id}: a snapshot of a snapshot");
                compared += usize::from(whole.len() > 6);
            }
        }
    }
    assert!(compared >= 300, "only {compared} nodes had much to say");
}

/// Hours with loss, cuts, a link that fills up, and crashes: neither what nodes remember nor their journals grow.
#[test]
fn what_a_node_keeps_is_bounded_however_long_it_runs() {
    let settings = Settings {
        pool_capacity: 1 << 16,
        doubt_limit: Duration::from_whole_seconds(20),
        ..Settings::default()
    };
    let weather = Weather { loss: 0.02, longest_delay_ms: 20, longest_write_ms: 5, ..Weather::FAIR };
    let mut world = line(&settings, weather, 3);
    world.demand(0, 3, 256, 500, 1);
    world.demand(2, 0, 512, 800, 1);
    let mut watches = [Compaction::default(); 4];
    let mut written = [0; 4];
    let (mut under_way, mut journals, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
    for minute in 0..300u32 {
        for _ in 0..20 {
            world.fill(1);
            world.run_ms(3_000);
        }
        if minute % 10 == 3 {
            let cut = Happening::Condition(LinkId(minute / 10 % 3), LinkCondition::Cut);
            world.at(world.now, cut);
            world.run_ms(15_000);
            world.at(world.now, Happening::Condition(LinkId(minute / 10 % 3), LinkCondition::Up));
        }
        if minute % 10 == 7 {
            let node = NodeId(minute / 10 % 4);
            world.at(world.now, Happening::Crash(node));
            world.run_ms(5_000);
            world.at(world.now, Happening::Restart(node));
            world.run_ms(1_000);
        }
        for i in 0..4 {
            // The journal as a driver keeps it: compacted when it is worth it.
            let records: Vec<_> = world.journals[i].drain(written[i]..).collect();
            let mut due = false;
            for record in &records {
                due |= watches[i].added(record);
            }
            world.journals[i].extend(records);
            let node = world.nodes[i].as_ref().unwrap();
            if due {
                let snapshot = node.snapshot();
                watches[i].compacted(&snapshot);
                snapshots.push(snapshot.size());
                world.journals[i] = vec![snapshot];
            }
            written[i] = world.journals[i].len();
            journals.push(watches[i].size());
            under_way.push(node.under_way());
        }
    }
    world.check_books();
    assert!(world.delivered_at_both() > 40_000, "{} keys", world.delivered_at_both());
    let most = |values: &[usize]| values.iter().copied().max().unwrap_or(0);
    let half = under_way.len() / 2;
    println!(
        "under way {} then {}, journal {}, snapshot {} of {}",
        most(&under_way[..half]),
        most(&under_way[half..]),
        most(&journals),
        most(&snapshots),
        snapshots.len()
    );
    assert!(most(&under_way) < 500, "{}", most(&under_way));
    // The pools' key in bits is 8 KiB a link; the rest is the identifiers of 2^16 keys at most, 16 bytes each.
    let identifiers = 16 * world.delivered_at_both().min(1 << 16);
    let bound = 2 * (8 << 10) + identifiers + (32 << 10);
    assert!(most(&snapshots) < bound, "{} of {bound}", most(&snapshots));
    assert!(most(&journals) < 2 * bound + (256 << 10), "{}", most(&journals));
}
