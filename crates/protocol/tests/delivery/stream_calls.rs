//! Streams where nothing goes wrong, or one thing at a known time.

use crate::streams::Asked;
use crate::world::{Happening, World, everybody, ms, name};
use bellwether_protocol::keys::Refusal;
use bellwether_protocol::keys::delivery::{
    Command, Directory, KeyStreamId, LostCause, MAX_CHUNKS_AHEAD, Memory, PairPolicy, Settings, StreamError,
    StreamQos,
};
use bellwether_units::{Duration, NodeId};
use std::sync::Arc;

fn world(nodes: u32) -> World {
    world_of(everybody(nodes, false), nodes, Settings::default())
}

fn world_of(directory: Directory, nodes: u32, settings: Settings) -> World {
    let mut world = World::new(nodes, directory, settings, 1);
    world.run_ms(1000);
    world
}

const USUAL: StreamQos = StreamQos {
    chunk_bytes: 32,
    max_bps: 0,
    min_bps: 0,
    jitter_bps: 0,
    priority: 0,
    timeout_ms: 500,
    ttl_seconds: 100,
};

#[test]
fn both_ends_get_equal_chunks_once_and_in_any_order() {
    let mut world = world(2);
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    assert_eq!(world.streams.peer_connected, Some(false), "status 1");
    assert_eq!(world.get("a-0", id, 0), Err(StreamError::PeerNotConnected), "status 3");
    assert_eq!(world.get("a-1", id, 0), Err(StreamError::Unknown), "it has not opened it");
    world.open("a-1", "a-0", Some(id), StreamQos::default()).unwrap();
    assert_eq!(world.streams.peer_connected, Some(true));
    assert_eq!(world.streams.granted, Some(StreamQos { timeout_ms: 2000, ..USUAL }));
    for index in [0, 2, 1, 3, 63] {
        assert_eq!(world.get("a-0", id, index), Ok(()), "chunk {index}");
    }
    for index in 0..=63 {
        assert_eq!(world.get("a-1", id, index), Ok(()), "chunk {index}");
    }
    assert_eq!(world.get("a-1", id, 2), Err(StreamError::Insufficient), "once");
    assert_eq!(world.streams.taken.len(), 5 + 64);
    assert!(world.lost.is_empty() && world.alarms.is_empty() && world.burned.is_empty());
    // Sixty-four ahead of what it has, and of what the other has, and no more.
    assert_eq!(world.get("a-0", id, 64 + MAX_CHUNKS_AHEAD), Err(StreamError::Insufficient));
    let other = world.open("q-1", "a-0", None, USUAL).unwrap();
    assert_ne!(id, other);
    world.open("a-0", "q-1", Some(other), USUAL).unwrap();
    assert_eq!((world.get("a-0", other, 0), world.get("q-1", other, 0)), (Ok(()), Ok(())));
    let bits = |id| world.streams.chunks[&(id, 0)].1.clone();
    assert_ne!(bits(id), bits(other), "streams differ");
}

#[test]
fn a_long_stream_holds_no_more_than_a_window_at_either_end() {
    let mut world = world(2);
    let id = world.open("a-0", "q-1", None, USUAL).unwrap();
    world.open("q-1", "a-0", Some(id), USUAL).unwrap();
    for index in 0..500 {
        assert_eq!(world.get("q-1", id, index), Ok(()), "chunk {index}");
        assert_eq!(world.get("a-0", id, index), Ok(()), "chunk {index}");
        let entries = |node: usize| world.stores[node].keys().filter(|key| key[0] == b'C').count();
        assert!(entries(0).max(entries(1)) <= 2 * MAX_CHUNKS_AHEAD as usize);
    }
    // One of them goes on alone: it is stopped, and nothing piles up.
    let mut alone = 500;
    while world.get("a-0", id, alone).is_ok() {
        alone += 1;
    }
    assert_eq!(world.streams.answers.last(), Some(&Err(StreamError::Timeout)));
    let ahead = alone - 500;
    assert!((MAX_CHUNKS_AHEAD / 2..=MAX_CHUNKS_AHEAD).contains(&ahead), "{ahead} ahead of the other");
    assert!(world.streams.chunks.len() >= 500);
    let stored = world.stores[1].keys().filter(|key| key[0] == b'C').count();
    assert_eq!(stored, ahead as usize);
}

#[test]
fn each_call_that_is_refused_says_why() {
    let mut settings = Settings { streams_per_application: 3, ..Settings::default() };
    settings.max_key_bits = 1 << 13;
    let mut directory = everybody(2, false);
    let limited =
        PairPolicy { keys_per_second: Some(10), bits_per_day: Some(86_400 * 1000), ..PairPolicy::default() };
    directory.allow(&name("q-0"), &name("a-1"), limited).unwrap();
    let mut world = world_of(directory, 2, settings);
    assert_eq!(world.open("a-0", "nobody", None, USUAL), Err(StreamError::NotAllowed));
    let qos = StreamQos { chunk_bytes: 4096, ..USUAL };
    let offered = StreamQos { chunk_bytes: 1024, ..USUAL };
    assert_eq!(world.open("a-0", "a-1", None, qos), Err(StreamError::Quality(offered)));
    let qos = StreamQos { ttl_seconds: 10_000, ..USUAL };
    let offered = StreamQos { ttl_seconds: 3600, ..USUAL };
    assert_eq!(world.open("a-0", "a-1", None, qos), Err(StreamError::Quality(offered)));
    let qos = StreamQos { min_bps: 1001, max_bps: 5000, ..USUAL };
    let offered = StreamQos { min_bps: 1000, max_bps: 1000, ..USUAL };
    assert_eq!(world.open("q-0", "a-1", None, qos), Err(StreamError::Quality(offered)));
    world.open("q-0", "a-1", None, StreamQos { min_bps: 1000, ..USUAL }).unwrap();
    assert_eq!(world.streams.granted.unwrap().max_bps, 1000, "the pair's share bounds it");

    let id = world.open("a-0", "a-1", Some(KeyStreamId(77)), USUAL).unwrap();
    assert_eq!(id, KeyStreamId(77));
    world.run_ms(100);
    assert_eq!(world.open("a-0", "a-1", Some(id), USUAL), Err(StreamError::InUse));
    assert_eq!(world.open("q-1", "a-0", Some(id), USUAL), Err(StreamError::InUse), "not its stream");
    let longer = StreamQos { chunk_bytes: 64, ..USUAL };
    assert_eq!(world.open("a-1", "a-0", Some(id), longer), Err(StreamError::Quality(USUAL)));
    world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-0", "a-1", None, USUAL).unwrap();
    assert_eq!(world.open("a-0", "a-1", None, USUAL), Err(StreamError::Busy));
    assert_eq!(world.get("q-0", id, 0), Err(StreamError::Unknown));
    assert_eq!(world.close("q-0", id), Ok(()), "as if it had never been");
    // A destination waits for a name that it does not know.
    world.streams.open.insert(KeyStreamId(5), (name("a-1"), name("q-0"), world.now, 0));
    assert_eq!(world.open("q-0", "a-1", Some(KeyStreamId(5)), USUAL), Err(StreamError::Timeout));

    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    world.at(world.now, Happening::Quantumless(Some(Refusal::PoolsEmpty)));
    let mut index = 0;
    while world.get("a-0", id, index).is_ok() && world.get("a-1", id, index).is_ok() {
        index += 1;
    }
    assert_eq!(world.streams.answers.last(), Some(&Err(StreamError::Insufficient)), "the stock is spent");
    world.at(world.now, Happening::Quantumless(None));
    world.run_ms(2000);
    assert_eq!(world.get("a-0", id, index), Ok(()));
    world.at(world.now, Happening::Crash(0));
    world.at(world.now + ms(1), Happening::Restart(0, 0));
    world.at(world.now, Happening::Partition(0, 1, true));
    world.run_ms(10);
    assert_eq!(world.get("a-0", id, index + 40), Err(StreamError::NoConnection), "the peer is away");
    assert_eq!(world.open("a-0", "q-1", None, USUAL), Err(StreamError::Busy));
}

#[test]
fn a_close_leaves_the_other_end_what_it_has_and_no_more() {
    let mut world = world(2);
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    assert_eq!(world.get("a-0", id, 0), Ok(()));
    world.run_ms(100);
    assert_eq!(world.close("a-0", id), Ok(()));
    world.run_ms(100);
    assert_eq!(world.get("a-0", id, 1), Err(StreamError::Unknown));
    assert_eq!(world.get("a-1", id, 0), Ok(()), "held for it");
    assert_eq!(world.get("a-1", id, 64), Err(StreamError::PeerNotConnected), "nothing more is taken");
    let chunks = |world: &World, node: usize| world.stores[node].keys().filter(|k| k[0] == b'C').count();
    assert_eq!((chunks(&world, 0), chunks(&world, 1) > 0), (0, true));
    assert_eq!(world.close("a-1", id), Ok(()));
    world.run_ms(100);
    assert_eq!((chunks(&world, 0), chunks(&world, 1)), (0, 0));
    assert_eq!((world.manager(0).streams(), world.manager(1).streams()), (0, 0));
    // The name is free again, for other bits.
    let first = world.streams.chunks.remove(&(id, 0)).unwrap();
    world.streams.taken.clear();
    assert_eq!(world.open("a-0", "a-1", Some(id), USUAL), Ok(id));
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    assert_eq!((world.get("a-1", id, 0), world.get("a-0", id, 0)), (Ok(()), Ok(())));
    assert_ne!(world.streams.chunks[&(id, 0)].1, first.1);
    // Nobody opened it at the other end: one close ends it at both.
    let never = world.open("q-1", "q-0", None, USUAL).unwrap();
    world.run_ms(100);
    assert_eq!(world.close("q-1", never), Ok(()));
    world.run_ms(100);
    assert_eq!((world.manager(0).streams(), world.manager(1).streams()), (1, 1));
}

#[test]
fn what_nobody_takes_expires_and_what_nobody_uses_is_closed() {
    let settings = Settings { stream_idle: Duration::from_whole_seconds(300), ..Settings::default() };
    let mut world = world_of(everybody(2, false), 2, settings);
    let qos = StreamQos { ttl_seconds: 20, ..USUAL };
    let id = world.open("a-0", "a-1", None, qos).unwrap();
    world.open("a-1", "a-0", Some(id), qos).unwrap();
    assert_eq!(world.get("a-0", id, 0), Ok(()));
    let (key, _) = world.streams.chunks[&(id, 0)];
    world.run_ms(25_000);
    assert_eq!(world.get("a-1", id, 0), Err(StreamError::Insufficient));
    assert_eq!(world.lost.get(&key), Some(&LostCause::Expired), "and it is said");
    let stock = |world: &World| world.manager(0).stock_bits(NodeId(1));
    let (before, taken) = (stock(&world), world.stores[0].keys().filter(|k| k[0] == b'C').count());
    world.run_ms(250_000);
    assert_eq!(taken, 0);
    assert!(stock(&world) >= before, "a stream that nobody uses costs no key");
    world.run_ms(60_000);
    assert_eq!((world.manager(0).streams(), world.manager(1).streams()), (0, 0));
    for node in 0..2 {
        assert!(world.stores[node].keys().all(|entry| !b"SC".contains(&entry[0])), "nothing is left of it");
    }
}

#[test]
fn a_stream_gets_no_more_than_its_rate_and_the_first_come_first() {
    let mut world = world(2);
    let slow = StreamQos { max_bps: 2560, ..USUAL };
    let id = world.open("a-0", "a-1", None, slow).unwrap();
    world.open("a-1", "a-0", Some(id), slow).unwrap();
    let start = world.now;
    for index in 0..100 {
        let tries = (0..100).take_while(|_| world.get("a-0", id, index).is_err()).count();
        assert!(tries < 100 && world.get("a-1", id, index).is_ok());
    }
    // Ten chunks a second, after a burst of a second's worth.
    let took = world.now.since(start).seconds();
    assert!((2.9..=9.2).contains(&took), "100 chunks, of which 64 may be ahead, took {took} s");

    // While key is short, who has the higher priority is served.
    let low = world.open("q-0", "a-1", None, USUAL).unwrap();
    let high = world.open("q-0", "a-1", None, StreamQos { priority: 9, ..USUAL }).unwrap();
    world.at(world.now, Happening::Quantumless(Some(Refusal::PoolsEmpty)));
    world.run_ms(100);
    let stock = world.manager(0).stock_bits(NodeId(1));
    for _ in 0..stock / 256 {
        world.ask("a-0", &["a-1"], 1, 256);
    }
    world.run_ms(3000);
    world.open("a-1", "q-0", Some(low), USUAL).unwrap();
    world.open("a-1", "q-0", Some(high), USUAL).unwrap();
    world.run_ms(100);
    world.at(world.now, Happening::Quantumless(None));
    assert!(world.streams.open[&low].2 < world.streams.open[&high].2, "the other came first");
    let chunks = |world: &World, id: KeyStreamId| {
        let of = [b"C".as_slice(), &id.0.to_le_bytes()].concat();
        world.stores[0].keys().filter(|entry| entry.starts_with(&of)).count()
    };
    for _ in 0..20_000 {
        world.run_ms(1);
        if chunks(&world, low) + chunks(&world, high) > 0 {
            break;
        }
    }
    assert!(chunks(&world, high) > 0 && chunks(&world, low) == 0);
    world.run_ms(5000);
    assert!(chunks(&world, low) > 0, "and then the other");
}

#[test]
fn a_stream_within_a_node_and_one_of_either_policy() {
    let mut world = world(1);
    let id = world.open("a-0", "q-0", None, USUAL).unwrap();
    assert_eq!(world.get("a-0", id, 0), Err(StreamError::PeerNotConnected));
    world.open("q-0", "a-0", Some(id), USUAL).unwrap();
    for index in 0..200 {
        assert_eq!((world.get("a-0", id, index), world.get("q-0", id, index)), (Ok(()), Ok(())));
    }
    assert_eq!((world.close("a-0", id), world.close("q-0", id)), (Ok(()), Ok(())));
    assert_eq!(world.manager(0).streams(), 0);

    let mut world = world_of(everybody(2, true), 2, Settings::default());
    world.at(world.now, Happening::Quantumless(Some(Refusal::LinkCut)));
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    for index in 0..300 {
        let tries = (0..20).take_while(|_| world.get("a-0", id, index).is_err()).count();
        assert!(tries < 20, "the post-quantum secret goes on");
        assert_eq!(world.get("a-1", id, index), Ok(()));
    }
    assert!(world.downgrades.contains(&(0, Some(Refusal::LinkCut))));
}

#[test]
fn a_restart_of_either_node_changes_nothing() {
    let mut world = world(2);
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    for round in 0..8 {
        let index = 3 * round;
        assert_eq!(world.get("a-0", id, index), Ok(()));
        assert_eq!(world.get("a-1", id, index + 1), Ok(()));
        let node = (round % 2) as usize;
        world.at(world.now, Happening::Crash(node));
        world.at(world.now + ms(50), Happening::Restart(node, 0));
        world.run_ms(2000);
        assert_eq!(world.get("a-0", id, index), Err(StreamError::Insufficient), "once, also after a restart");
        assert_eq!(world.get("a-1", id, index), Ok(()));
        assert_eq!(world.get("a-0", id, index + 1), Ok(()));
        assert_eq!((world.get("a-0", id, index + 2), world.get("a-1", id, index + 2)), (Ok(()), Ok(())));
    }
    // A store that is rolled back takes the streams with it, at both ends.
    let old = world.stores[0].clone();
    assert_eq!((world.get("a-0", id, 30), world.get("a-1", id, 30)), (Ok(()), Ok(())));
    world.at(world.now, Happening::Crash(0));
    world.run_ms(1);
    world.stores[0] = old;
    world.restore(0, Memory::Doubtful);
    world.run_ms(5000);
    assert_eq!(world.get("a-0", id, 30), Err(StreamError::Unknown), "not a second time");
    assert_eq!(world.get("a-1", id, 90), Err(StreamError::PeerNotConnected));
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    assert_eq!((world.get("a-1", id, 0), world.get("a-0", id, 0)), (Ok(()), Ok(())));
}

#[test]
fn a_name_agreed_on_before_is_one_stream_whoever_opens_it_first() {
    for delay in [0, 1, 2, 5, 50] {
        let mut world = world(2);
        let id = KeyStreamId(0xabc);
        // Both say that they are the source, at about the same time.
        for (caller, other, at) in [("a-1", "a-0", 0), ("a-0", "a-1", delay)] {
            let (caller, other, stream) = (name(caller), name(other), Some(id));
            let asked = Asked::Open { caller, other, stream, qos: USUAL, plan: None };
            world.at(world.now + ms(at), Happening::Stream(asked));
        }
        world.run_ms(500);
        assert_eq!(world.streams.answers, [Ok(Some(id)), Ok(Some(id))]);
        for index in 0..10 {
            assert_eq!((world.get("a-0", id, index), world.get("a-1", id, index)), (Ok(()), Ok(())));
        }
    }
}

#[test]
fn a_pair_that_may_share_keys_no_more_has_no_stream() {
    let mut world = world(2);
    let id = world.open("a-0", "a-1", None, USUAL).unwrap();
    world.open("a-1", "a-0", Some(id), USUAL).unwrap();
    world.run_ms(100);
    let nobody = Arc::new(Directory::default());
    world.at(world.now, Happening::Do(0, Command::Directory(nobody)));
    world.run_ms(100);
    assert_eq!(world.get("a-0", id, 0), Err(StreamError::Unknown));
    assert_eq!(world.get("a-1", id, 100), Err(StreamError::Insufficient));
    assert_eq!(world.manager(0).streams(), 1, "until the other end is closed");
}
