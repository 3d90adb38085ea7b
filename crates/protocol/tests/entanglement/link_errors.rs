//! Every way in which a request can fail, and every error of the heralding station.

use crate::link_world::{Happening, Weather, World, settings, us};
use bellwether_protocol::entanglement::link::draft::ErrorCode;
use bellwether_protocol::entanglement::link::{
    FidelityLevel, FidelityTable, LinkBody, LinkError, LinkMessage, LinkPlace, LinkRequest, LinkUser,
    RequestId,
};

const USER: LinkUser = LinkUser::Application(1);

fn fair() -> World {
    World::new([2; 2], settings(), Weather::FAIR, 1)
}
fn keep(id: u64, number: u32) -> LinkRequest {
    LinkRequest::keep(RequestId(id), USER, number)
}
/// How a request of the first end ends within so many microseconds.
fn end(world: &mut World, request: LinkRequest, span_us: u64) -> LinkError {
    world.create(0, request);
    world.run_us(span_us);
    world.sides[0].finished[&request.id].unwrap_err()
}
/// Nothing is left of the requests at either end.
fn clean(world: &mut World) {
    world.run_us(50_000);
    for side in 0..2 {
        assert_eq!(world.armed(side), 0);
        if let Some(end) = &world.sides[side].end {
            assert_eq!((end.queue_length(), end.unanswered_messages()), (0, 0));
        }
    }
}

#[test]
fn unsupported_fidelity_is_told_with_the_best_that_could_be_had() {
    let mut world = fair();
    let mut request = keep(1, 1);
    request.demand.fidelity = 0.95;
    let error = end(&mut world, request, 0);
    assert_eq!(error, LinkError::Fidelity { wanted: 0.95, best: 0.9 });
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.to_string().contains("at most 0.9"));
    clean(&mut world);
}

#[test]
fn the_other_end_may_support_less() {
    let mut world = fair();
    let level = FidelityLevel { brightness: 0.3, fidelity: 0.7, success: 0.01 };
    let mut worse = settings();
    worse.table = FidelityTable::new(vec![level]).unwrap();
    world.replace_settings(1, worse);
    let mut request = keep(1, 1);
    request.demand.fidelity = 0.8;
    assert_eq!(end(&mut world, request, 10_000), LinkError::Fidelity { wanted: 0.8, best: 0.7 });
    clean(&mut world);
}

#[test]
fn too_little_time_is_told() {
    let mut world = fair();
    let mut request = keep(1, 100);
    // 10 µs a cycle, 6 % of attempts succeed, two memories: 8.3 ms on average.
    request.within = Some(us(8_000));
    let error = end(&mut world, request, 0);
    assert!(matches!(error, LinkError::Time { expected, .. } if (expected - 1e-3 / 0.12).abs() < 1e-9));
    assert_eq!(error.code(), ErrorCode::Unsupported);
    request.within = Some(us(8_500));
    world.create(0, LinkRequest { id: RequestId(2), ..request });
    assert!(!world.sides[0].finished.contains_key(&RequestId(2)));
}

#[test]
fn more_pairs_at_once_than_memories_are_told_by_either_end() {
    let mut request = keep(1, 3);
    request.demand.consecutive = false;
    let error = end(&mut fair(), request, 0);
    assert_eq!(error, LinkError::Memories { wanted: 3, memories: 2 });
    assert_eq!(error.code(), ErrorCode::Unsupported);
    let mut world = World::new([4, 2], settings(), Weather::FAIR, 1);
    assert_eq!(end(&mut world, request, 10_000), LinkError::Memories { wanted: 3, memories: 2 });
    clean(&mut world);
}

#[test]
fn requests_without_sense_are_told() {
    let spoil: [fn(&mut LinkRequest); 6] = [
        |r| r.demand.number = Some(0),
        |r| r.demand.fidelity = f64::NAN,
        |r| r.demand.priority = 8,
        |r| r.demand.weight = 0,
        |r| r.within = Some(us(0)),
        |r| (r.demand.number, r.demand.consecutive) = (None, false),
    ];
    for spoil in spoil {
        let mut request = keep(1, 1);
        spoil(&mut request);
        let error = end(&mut fair(), request, 0);
        assert!(matches!(error, LinkError::Malformed(_)), "{error}");
        assert_eq!(error.code(), ErrorCode::Create);
    }
    let mut world = fair();
    world.create(0, keep(1, 1000));
    assert_eq!(end(&mut world, keep(1, 1), 0).code(), ErrorCode::Create);
}

#[test]
fn a_user_that_an_end_does_not_serve_is_rejected() {
    for side in 0..2 {
        let mut world = fair();
        world.do_now(Happening::Refuse(side, USER));
        let error = end(&mut world, keep(1, 1), 10_000);
        assert_eq!((error, error.code()), (LinkError::Rejected, ErrorCode::Rejected));
        // Others are served, and it too once it is admitted again.
        world.create(0, LinkRequest::keep(RequestId(2), LinkUser::Application(2), 1));
        world.do_now(Happening::Admit(side, USER));
        world.create(0, keep(3, 1));
        world.run_us(50_000);
        assert_eq!(world.sides[0].finished[&RequestId(2)], Ok(()));
        assert_eq!(world.sides[0].finished[&RequestId(3)], Ok(()));
        clean(&mut world);
    }
}

#[test]
fn a_request_that_is_being_served_can_be_rejected() {
    let mut world = fair();
    world.create(0, keep(1, 60_000));
    world.run_us(50_000);
    assert!(!world.delivered_to(1, USER).is_empty());
    world.do_now(Happening::Refuse(1, USER));
    world.run_us(1_000);
    assert_eq!(world.sides[0].finished[&RequestId(1)], Err(LinkError::Rejected));
    clean(&mut world);
}

#[test]
fn a_full_queue_rejects() {
    let mut few = settings();
    few.queue_limit = 3;
    let mut world = World::new([1; 2], few, Weather::FAIR, 1);
    (0..3).for_each(|id| world.create(0, keep(id, 60_000)));
    assert_eq!(end(&mut world, keep(3, 1), 0), LinkError::Rejected);
    // The other end has a queue of its own.
    world.create(1, keep(3, 1));
    world.run_us(10_000);
    assert!(!matches!(world.sides[1].finished.get(&RequestId(3)), Some(Err(_))));
}

#[test]
fn a_request_ends_when_its_time_is_over() {
    let mut world = fair();
    let mut request = keep(1, 100);
    request.within = Some(us(9_000));
    world.success_us = 3_000;
    let error = end(&mut world, request, 9_001);
    assert_eq!((error, error.code()), (LinkError::Timeout, ErrorCode::Timeout));
    // What was handed over stays.
    assert!(world.delivered_to(0, USER).len() > 1);
    clean(&mut world);
}

#[test]
fn pairs_that_were_collected_are_given_up_when_time_is_over() {
    let mut world = World::new([3; 2], settings(), Weather::FAIR, 1);
    let mut request = keep(1, 3);
    request.demand.consecutive = false;
    request.within = Some(us(1_500));
    world.success_us = 3_000;
    assert_eq!(end(&mut world, request, 1_600), LinkError::Timeout);
    assert!(world.delivered_to(0, USER).is_empty());
    clean(&mut world);
    assert!(world.sides.iter().all(|side| side.delivered.is_empty()));
}

#[test]
fn an_end_that_is_gone_is_told_after_three_attempts() {
    let mut world = fair();
    world.run_us(1_000);
    world.do_now(Happening::Crash(1));
    let sent = world.messages;
    let error = end(&mut world, keep(1, 1), 1_000);
    assert_eq!((error, error.code()), (LinkError::PeerGone, ErrorCode::Other));
    // Three times the request, and that it is taken back.
    assert_eq!(world.messages - sent, 4);
    world.do_now(Happening::Restart(1));
    clean(&mut world);
}

#[test]
fn an_end_that_was_never_heard_is_waited_for() {
    let mut world = fair();
    world.do_now(Happening::Crash(1));
    world.run_us(1_000);
    world.do_now(Happening::Crash(0));
    world.do_now(Happening::Restart(0));
    world.create(0, keep(1, 1));
    world.run_us(100_000);
    assert!(world.sides[0].finished.is_empty());
    world.do_now(Happening::Restart(1));
    world.run_us(100_000);
    assert_eq!(world.sides[0].finished[&RequestId(1)], Ok(()));
}

#[test]
fn a_fault_of_the_hardware_ends_the_requests_of_both() {
    let mut world = fair();
    world.create(0, keep(1, 60_000));
    world.create(1, keep(2, 60_000));
    world.run_us(10_000);
    world.do_now(Happening::Fault(1));
    world.run_us(1_000);
    for (side, id) in [(0, 1), (1, 2)] {
        let error = world.sides[side].finished[&RequestId(id)].unwrap_err();
        assert_eq!((error, error.code()), (LinkError::HardwareFault, ErrorCode::Other));
    }
    assert_eq!(end(&mut world, keep(3, 1), 1_000), LinkError::HardwareFault);
    clean(&mut world);
    world.do_now(Happening::Repaired(1));
    world.create(0, keep(4, 1));
    world.run_us(10_000);
    assert_eq!(world.sides[0].finished[&RequestId(4)], Ok(()));
}

#[test]
fn a_lost_reply_revokes_the_pair_of_the_other_end() {
    for side in 0..2 {
        let mut world = World::new([3; 2], settings(), Weather::FAIR, 1);
        world.hold_us = None;
        world.create(0, keep(1, 2));
        world.lose_reply_to = Some(side);
        world.run_us(50_000);
        // One pair is gone at the end that had it. Another was made instead, unless the end that asked had them all before
        // it was told.
        assert_eq!(world.sides[1 - side].expired.len(), 1);
        assert!(world.sides[side].expired.is_empty());
        assert_eq!(world.sides[0].finished[&RequestId(1)], Ok(()));
        let ids = |side: usize| world.live(side).iter().map(|pair| pair.id).collect::<Vec<_>>();
        assert_eq!(ids(0), ids(1));
        assert_eq!(ids(0).len(), 2 - side);
    }
}

/// The last reply before a quiet time: no later number tells of it.
#[test]
fn a_lost_last_reply_is_found_when_the_link_is_quiet() {
    let mut world = World::new([1; 2], settings(), Weather::FAIR, 1);
    world.hold_us = None;
    world.create(0, keep(1, 1));
    world.lose_reply_to = Some(1);
    while world.live(0).is_empty() {
        world.run_us(10);
    }
    world.do_now(Happening::Withdraw(0, RequestId(1)));
    world.run_us(100_000);
    assert_eq!(world.sides[0].expired.len(), 1);
    assert!(world.live(0).is_empty() && world.live(1).is_empty());
    world.release_side(0);
    clean(&mut world);
}

/// A pair of an epoch that is over comes late to one end, and never to the other.
#[test]
fn a_late_pair_of_an_old_epoch_is_compared_too() {
    let mut world = fair();
    world.hold_us = None;
    world.create(0, keep(1, 3));
    (world.delay_reply_to, world.lose_reply_to) = (Some(0), Some(1));
    while world.midpoint.as_ref().is_none_or(|midpoint| midpoint.heralded() == 0) {
        world.run_us(1);
    }
    world.do_now(Happening::CrashMidpoint);
    world.do_now(Happening::RestartMidpoint);
    world.run_us(1_500);
    assert_eq!(world.live(1).len(), 1, "a pair of the new epoch is there");
    world.run_us(100_000);
    assert!(world.sides[0].expired.iter().any(|pair| (pair.epoch, pair.sequence) == (1, 0)));
    assert!(world.live(0).iter().all(|pair| world.had(1, pair)));
}

/// The device has stopped for a pair that was given up before its reply came.
#[test]
fn a_reply_that_is_overtaken_frees_its_memory() {
    let mut world = fair();
    world.create(0, LinkRequest::standing(RequestId(1), USER, 0.0, 1));
    world.delay_reply_to = Some(0);
    world.run_us(20_000);
    assert_eq!(world.sides[1].expired.len(), 1);
    world.hold_us = None;
    world.run_us(20_000);
    assert_eq!([0, 1].map(|side| world.live(side).len()), [2, 2]);
}

#[test]
fn words_from_before_a_crash_are_not_heard() {
    let mut world = fair();
    world.hold_us = None;
    world.do_now(Happening::Crash(1));
    world.do_now(Happening::Restart(1));
    world.create(0, keep(1, 2));
    world.run_us(10_000);
    assert_eq!(world.live(0).len(), 2);
    let late = LinkMessage { from: 1, to: 1, body: LinkBody::Hello };
    let sent = world.messages;
    world.do_now(Happening::Message { to: 0, bytes: late.encode() });
    assert_eq!((world.live(0).len(), world.messages), (2, sent));
}

#[test]
fn replies_without_a_pair_change_nothing_but_what_is_expected() {
    let mut world = fair();
    world.strays = 0.5;
    world.create(0, keep(1, 200));
    world.run_us(200_000);
    assert!(world.stray_replies.iter().all(|&count| count > 20), "{:?}", world.stray_replies);
    assert_eq!(world.sides[0].finished[&RequestId(1)], Ok(()));
    assert_eq!(world.delivered_to(0, USER), world.delivered_to(1, USER));
    assert_eq!(world.delivered_to(0, USER).len(), 200);
    clean(&mut world);
}

#[test]
fn a_place_without_memories_asks_in_vain_but_does_no_harm() {
    let place = LinkPlace { link: crate::link_world::LINK, numbers: true, life: 1, memories: Vec::new() };
    let settings = std::sync::Arc::new(settings());
    let mut end = bellwether_protocol::entanglement::link::LinkEnd::new(place, settings);
    let mut out = Vec::new();
    end.start(bellwether_units::Time::ZERO, &mut out);
    end.create(bellwether_units::Time::ZERO, keep(1, 1), &mut out);
    assert_eq!(out.len(), 1);
    assert!(end.deadline().is_some());
}
