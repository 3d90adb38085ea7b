//! The physical layer: who is given what, and when.

use crate::two_ends::{control, hardware, layer, network, stream};
use bellwether_live::hardware::Side::{Receiver, Transmitter};
use bellwether_live::hardware::client::{ClientError, Control, devices};
use bellwether_live::hardware::server::{Options, PhysicalLayer, ServeError};
use bellwether_live::hardware::wire::{Ask, Role, Tell, read_frame, write_frame};
use bellwether_live::hardware::{LinkHardware, Recall, Signal};
use bellwether_network::{Attack, LinkEvent, Size};
use bellwether_units::Duration;
use std::time::Duration as Span;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

const HOUR: Duration = Duration::from_whole_seconds(3600);

async fn signal(hardware: &mut LinkHardware) -> Signal {
    timeout(Span::from_secs(20), hardware.signals.recv()).await.expect("a signal in time").unwrap()
}

async fn prepared(hardware: &mut LinkHardware, request: u64, pulses: &[u64]) -> usize {
    hardware.recalls.send(Recall { request, pulses: pulses.to_vec() }).unwrap();
    loop {
        if let Signal::Prepared { request: of, preparations } = signal(hardware).await {
            assert_eq!(of, request);
            return preparations.0.intensities.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_is_given_its_own_devices_and_each_pulse_once() {
    let layer = layer(&network(), 1, HOUR);
    let (mut receiver, mut transmitter) = (hardware(&layer, Receiver), hardware(&layer, Transmitter));
    assert!(matches!(signal(&mut receiver).await, Signal::Started { run: 0xfeed }));
    let first = receiver.windows.recv().await.unwrap();
    let second = receiver.windows.recv().await.unwrap();
    assert_eq!(first.detections.first_pulse, 0);
    assert_eq!(second.detections.first_pulse, first.detections.pulse_count);
    let pulses = first.detections.pulses;
    assert!(pulses.len() > 1000);
    assert!(matches!(signal(&mut transmitter).await, Signal::Started { run: 0xfeed }));
    assert_eq!(prepared(&mut transmitter, 1, &pulses).await, pulses.len());
    assert_eq!(prepared(&mut transmitter, 2, &pulses).await, 0, "a pulse is answered for once");
    drop(transmitter);
    // A node that connects again is not told either.
    let mut again = hardware(&layer, Transmitter);
    assert!(matches!(signal(&mut again).await, Signal::Started { run: 0xfeed }));
    assert_eq!(prepared(&mut again, 3, &pulses).await, 0);
    assert_eq!(prepared(&mut again, 4, &second.detections.pulses).await, second.detections.pulses.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_larger_within_the_head_start() {
    // 10 MHz, windows of 10 ms with some 9 000 clicks; the head start is half a second.
    let mut network = network();
    network.links[0].protocol.block_size = Size::from_bits(800_000);
    let layer = layer(&network, 8, Duration::from_milliseconds(500));
    let mut receiver = hardware(&layer, Receiver);
    let mut next = 0;
    let mut larger = 0;
    while next < 5_500_000 {
        let window = receiver.windows.recv().await.unwrap().detections;
        assert_eq!(window.first_pulse, next);
        next += window.pulse_count;
        if window.pulse_count == 100_000 {
            assert!(next > 4_000_000, "small at {next}");
        } else {
            // A sixteenth of a block.
            assert!((45_000..55_000).contains(&window.pulses.len()), "{} clicks", window.pulses.len());
            assert!(next <= 5_000_000, "large at {next}");
            larger += 1;
        }
    }
    assert!(larger >= 5, "{larger}");
}

/// What the layer says to somebody who wants this.
async fn greeted(layer: &PhysicalLayer, peer: &'static str, role: Role, link: &str) -> Tell {
    let mut stream = stream(layer, peer);
    let hello = Ask::Hello { role, link: link.to_owned() };
    write_frame(&mut stream, &hello.encode().unwrap()).await.unwrap();
    Tell::decode(&read_frame(&mut stream, 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_what_is_not_its_own() {
    let layer = layer(&network(), 2, HOUR);
    for (peer, role, link, may) in [
        ("B", Role::Devices(Receiver), "A-B", true),
        ("A", Role::Devices(Transmitter), "A-B", true),
        ("operator", Role::Control, "A-B", true),
        ("A", Role::Devices(Receiver), "A-B", false),
        ("B", Role::Devices(Transmitter), "A-B", false),
        ("operator", Role::Devices(Receiver), "A-B", false),
        ("A", Role::Control, "A-B", false),
        ("C", Role::Devices(Receiver), "A-B", false),
        ("B", Role::Devices(Receiver), "A-C", false),
    ] {
        let tell = greeted(&layer, peer, role, link).await;
        assert_eq!(matches!(tell, Tell::Welcome { .. }), may, "{peer} {role:?} {link}");
        assert_eq!(matches!(tell, Tell::Refused(_)), !may, "{peer} {role:?} {link}");
    }
    let refused = Control::open(stream(&layer, "B"), "A-B").await;
    assert!(matches!(refused, Err(ClientError::Refused(_))));
    // An end that asks for what belongs to the other is cut off.
    for (peer, side, ask) in [
        ("B", Receiver, Ask::Recall { request: 0, pulses: vec![1] }),
        ("A", Transmitter, Ask::Credit(1)),
        ("A", Transmitter, Ask::Inject { event: LinkEvent::Cut, lasting: None }),
    ] {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let serving = layer.clone();
        let served = tokio::spawn(async move { serving.serve(theirs, peer).await });
        let hello = Ask::Hello { role: Role::Devices(side), link: "A-B".to_owned() };
        write_frame(&mut ours, &hello.encode().unwrap()).await.unwrap();
        write_frame(&mut ours, &ask.encode().unwrap()).await.unwrap();
        assert!(matches!(served.await.unwrap(), Err(ServeError::Unexpected(_))), "{ask:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_frames_end_a_connection() {
    let layer = layer(&network(), 3, HOUR);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 0], &[1, 0, 0, 0, 99], &[255; 40]] {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let serving = layer.clone();
        let served = tokio::spawn(async move { serving.serve(theirs, "B").await });
        ours.write_all(bytes).await.unwrap();
        assert!(matches!(served.await.unwrap(), Err(ServeError::Frame(_))), "{bytes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_start_is_given_at_once_and_the_rest_by_the_wall_clock() {
    let started = Instant::now();
    // Fifty windows of 10 ms at once; the next fifty take half a second.
    let layer = layer(&network(), 4, Duration::from_milliseconds(500));
    let mut receiver = hardware(&layer, Receiver);
    let mut windows = Vec::new();
    while windows.len() < 100 {
        windows.push(receiver.windows.recv().await.unwrap());
    }
    let took = started.elapsed();
    let pulses = windows[99].detections.first_pulse + windows[99].detections.pulse_count;
    // 10 MHz: no pulse is seen before it was sent.
    assert!(took.as_secs_f64() + 0.5 >= pulses as f64 / 1e7, "{took:?} for {pulses} pulses");
    assert!(windows.is_sorted_by(|a, b| a.detections.first_pulse < b.detections.first_pulse));
    assert!(pulses >= 10_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_takes_nothing_loses_windows_and_is_told_how_many() {
    let network = network();
    let buffer = Duration::from_milliseconds(100);
    let options = Options { buffer, ..Options::new(5, 1) };
    let layer = PhysicalLayer::start(&network, &options).unwrap();
    let mut receiver = hardware(&layer, Receiver);
    let first = receiver.windows.recv().await.unwrap();
    sleep(Span::from_millis(1500)).await;
    let mut last = first.detections.first_pulse + first.detections.pulse_count;
    let mut missing = 0;
    let mut lost = first.lost;
    for _ in 0..30 {
        let window = receiver.windows.recv().await.unwrap();
        missing += (window.detections.first_pulse - last) / window.detections.pulse_count;
        last = window.detections.first_pulse + window.detections.pulse_count;
        lost = window.lost;
    }
    assert_eq!(lost - first.lost, missing, "every lost window is counted");
    // 1.5 s are 150 windows, of which the devices hold 10 and the node's side some more.
    assert!(missing >= 100, "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_seen_at_both_ends_at_once() {
    let layer = layer(&network(), 6, HOUR);
    let mut ends = [hardware(&layer, Receiver), hardware(&layer, Transmitter)];
    for end in &mut ends {
        assert!(matches!(signal(end).await, Signal::Started { .. }));
        assert!(matches!(signal(end).await, Signal::Light(true)));
    }
    let mut control = control(&layer).await;
    let cut = Instant::now();
    let number = control.inject(LinkEvent::Cut, None).await.unwrap();
    // Nobody takes windows, and still both are told.
    for end in &mut ends {
        assert!(matches!(signal(end).await, Signal::Light(false)));
    }
    assert!(cut.elapsed() < Span::from_secs(1), "{:?}", cut.elapsed());
    assert!(control.withdraw(Some(number)).await.unwrap());
    for end in &mut ends {
        assert!(matches!(signal(end).await, Signal::Light(true)));
    }
    assert!(!control.withdraw(Some(99)).await.unwrap());
    let impossible = LinkEvent::Attack(Attack::PhotonNumberSplitting { fraction: 2.0 });
    assert!(matches!(control.inject(impossible, None).await, Err(ClientError::Refused(_))));
    let classical = LinkEvent::MessageLoss { probability: 0.5 };
    assert!(matches!(control.inject(classical, None).await, Err(ClientError::Classical)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_an_absent_layer_is_answered_with_nothing() {
    let dial = || std::future::ready(Err::<tokio::io::DuplexStream, _>(std::io::Error::other("nobody")));
    let mut transmitter = devices(Transmitter, "A-B".to_owned(), dial);
    assert_eq!(prepared(&mut transmitter, 7, &[1, 2, 3]).await, 0);
}
