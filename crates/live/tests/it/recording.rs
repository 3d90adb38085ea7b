//! Detection files: written, read, damaged, played.

use crate::two_ends::{TwoEnds, network};
use bellwether_bits::BitString;
use bellwether_live::hardware::recording::{
    Header, Record, RecordingError, RecordingReader, RecordingWriter, record,
};
use bellwether_live::hardware::replay::{Pace, ReplayError, replay};
use bellwether_live::hardware::{LinkHardware, Recall, Side, Signal};
use bellwether_protocol::hardware::{Detections, Preparations};
use bellwether_sim::emulator::LinkEmulator;
use bellwether_units::{Duration, LinkId, Time};
use proptest::prelude::*;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration as Span;
use tokio::time::{Instant, sleep};

/// The receiver's and the transmitter's file of so much light.
fn recorded(folder: &Path, seed: u64, light: Duration) -> [PathBuf; 2] {
    let mut emulator = LinkEmulator::new(&network(), LinkId(0), seed).unwrap();
    let paths = ["bob.bin", "alice.bin"].map(|name| folder.join(name));
    let [receiver, transmitter] = [0, 1].map(|i| BufWriter::new(File::create(&paths[i]).unwrap()));
    let until = Time::ZERO + light;
    let recorded = record(&mut emulator, "A-B", seed, until, receiver, transmitter).unwrap();
    assert!(recorded.windows > 0 && recorded.clicks > 1000 * recorded.windows);
    paths
}

/// A file once its last player has let go of it, which it does in its own time.
async fn played(path: &Path, side: Side, pace: Pace) -> LinkHardware {
    loop {
        match replay(path, side, pace) {
            Ok(again) => return again,
            Err(ReplayError::Progress { .. }) => sleep(Span::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn records(bytes: &[u8]) -> Result<Vec<Record>, RecordingError> {
    let mut reader = RecordingReader::new(bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

/// A file with three records.
fn small(side: Side) -> Vec<u8> {
    let header = Header { side, run: 7, pulse_rate: 1e6, link: "A-B".to_owned() };
    let mut writer = RecordingWriter::new(Vec::new(), &header).unwrap();
    writer.append(&Record::Light { at: Time::ZERO, seen: true }).unwrap();
    let pulses = vec![3, 4, 90];
    let bits = BitString::from_bytes(&[0b101], 3);
    let record = match side {
        Side::Receiver => Record::Window(Detections {
            first_pulse: 0,
            pulse_count: 100,
            ended: Time::from_picoseconds(5),
            pulses,
            bases: bits.clone(),
            outcomes: bits,
            double_clicks: 1,
            bias_current: None,
        }),
        Side::Transmitter => Record::Sent {
            first_pulse: 0,
            pulse_count: 100,
            pulses,
            preparations: Preparations { bases: bits.clone(), bits, intensities: vec![0, 1, 0] },
        },
    };
    writer.append(&record).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_file_is_laid_out_as_the_book_says() {
    let bytes = small(Side::Receiver);
    assert_eq!(&bytes[..9], b"BwDetect\x01");
    // The header: side, run, pulse rate, name.
    assert_eq!(bytes[9..13], [21, 0, 0, 0]);
    assert_eq!(bytes[13], 0);
    assert_eq!(bytes[14..22], 7u64.to_le_bytes());
    assert_eq!(bytes[22..30], 1e6f64.to_bits().to_le_bytes());
    assert_eq!(&bytes[30..34], b"\x03A-B");
    // The first record after the header's checksum: light at time zero.
    let light = 34 + 8;
    assert_eq!(bytes[light..light + 4], [10, 0, 0, 0]);
    assert_eq!(bytes[light + 4..light + 14], [3, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // The window: first pulse, pulses, end, clicks by what was left out before them, bases, outcomes, doubles.
    let window = light + 4 + 10 + 8;
    let mut fields = vec![1];
    fields.extend(0u64.to_le_bytes());
    fields.extend(100u64.to_le_bytes());
    fields.extend(5u64.to_le_bytes());
    fields.extend([3, 3, 0, 85, 0b101, 0b101, 1, 0]);
    assert_eq!(bytes[window..window + 4], (fields.len() as u32).to_le_bytes());
    assert_eq!(bytes[window + 4..window + 4 + fields.len()], fields);
    assert_eq!(records(&bytes).unwrap().len(), 3);

    let bytes = small(Side::Transmitter);
    assert_eq!(bytes[13], 1);
    let mut fields = vec![2];
    fields.extend(0u64.to_le_bytes());
    fields.extend(100u64.to_le_bytes());
    fields.extend([3, 3, 0, 85, 3, 0, 1, 0, 0b101, 0b101]);
    assert_eq!(bytes[window + 4..window + 4 + fields.len()], fields);
}

#[test]
fn every_damage_is_noticed() {
    for side in [Side::Receiver, Side::Transmitter] {
        let whole = small(side);
        assert_eq!(records(&whole).unwrap().len(), 3);
        for at in 0..whole.len() {
            assert!(records(&whole[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                assert!(records(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn what_contradicts_itself_is_not_written() {
    let header = Header { side: Side::Receiver, run: 7, pulse_rate: 1e6, link: "A-B".to_owned() };
    let mut writer = RecordingWriter::new(Vec::new(), &header).unwrap();
    let window = |first_pulse, pulses: Vec<u64>, bits| {
        Record::Window(Detections {
            first_pulse,
            pulse_count: 100,
            bases: BitString::zeros(bits),
            outcomes: BitString::zeros(bits),
            pulses,
            ..Detections::default()
        })
    };
    for wrong in [
        window(0, vec![1, 1], 2),
        window(0, vec![100], 1),
        window(10, vec![9], 1),
        window(0, vec![1], 2),
        window(u64::MAX, vec![], 0),
        Record::Sent { first_pulse: 0, pulse_count: 1, pulses: vec![], preparations: Default::default() },
    ] {
        assert!(matches!(writer.append(&wrong), Err(RecordingError::Unsound)));
    }
    writer.append(&window(0, vec![99], 1)).unwrap();
    assert!(writer.append(&window(99, vec![], 0)).is_err(), "pulses were recorded before");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), whole: bool) {
        let mut file = if whole { small(Side::Receiver)[..42].to_vec() } else { Vec::new() };
        file.extend(bytes);
        prop_assert!(records(&file).is_err(), "no random bytes have a checksum that fits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ends_distil_equal_keys_from_files_once_and_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let [bob, alice] = recorded(folder.path(), 1, Duration::from_whole_seconds(2));
    let mut ends = TwoEnds::new(&network(), 11);
    ends.start(Side::Receiver, replay(&bob, Side::Receiver, Pace::AsTaken).unwrap());
    ends.start(Side::Transmitter, replay(&alice, Side::Transmitter, Pace::AsTaken).unwrap());
    ends.until("three keys", |told| told.keys.len() >= 3).await;
    assert!(ends.shared_keys().len() >= 3);
    for _ in 0..3000 {
        if ends.look(Side::Receiver, |told| told.light) == Some(false) {
            break;
        }
        sleep(Span::from_millis(10)).await;
    }
    assert_eq!(ends.look(Side::Receiver, |told| told.light), Some(false), "the recording is over");
    ends.crash(Side::Receiver).await;
    ends.crash(Side::Transmitter).await;
    // Another life of the node is given nothing of what was played.
    let mut again = played(&bob, Side::Receiver, Pace::AsTaken).await;
    assert!(again.windows.recv().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_answers_for_each_pulse_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [bob, alice] = recorded(folder.path(), 2, Duration::from_milliseconds(600));
    let windows: Vec<Vec<u64>> = records(&std::fs::read(&bob).unwrap())
        .unwrap()
        .into_iter()
        .filter_map(|record| match record {
            Record::Window(window) => Some(window.pulses),
            _ => None,
        })
        .collect();
    assert!(windows.len() > 50);
    let other_side = replay(&alice, Side::Receiver, Pace::AsTaken);
    assert!(matches!(other_side, Err(ReplayError::OtherSide { .. })));

    let asked = async |played: &mut LinkHardware, pulses: &[u64]| {
        played.recalls.send(Recall { request: 1, pulses: pulses.to_vec() }).unwrap();
        loop {
            if let Signal::Prepared { preparations, .. } = played.signals.recv().await.unwrap() {
                break preparations.0.intensities.len();
            }
        }
    };
    let mut first = replay(&alice, Side::Transmitter, Pace::AsTaken).unwrap();
    let second = replay(&alice, Side::Transmitter, Pace::AsTaken);
    assert!(matches!(second, Err(ReplayError::Progress { .. })), "two players would answer twice");
    assert_eq!(asked(&mut first, &windows[0]).await, windows[0].len());
    assert_eq!(asked(&mut first, &windows[0]).await, 0);
    // A pulse of which the file does not tell, in a window of which it does.
    let missing = (windows[1][0]..).find(|pulse| !windows[1].contains(pulse)).unwrap();
    assert_eq!(asked(&mut first, &[missing]).await, 0);
    assert_eq!(asked(&mut first, &windows[3]).await, windows[3].len());
    drop(first);
    let mut again = played(&alice, Side::Transmitter, Pace::AsTaken).await;
    for window in &windows[..4] {
        assert_eq!(asked(&mut again, window).await, 0);
    }
    assert_eq!(asked(&mut again, &windows[45]).await, windows[45].len(), "it goes on further on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_played_at_the_pace_of_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let [bob, _] = recorded(folder.path(), 3, Duration::from_milliseconds(800));
    let started = Instant::now();
    let head_start = Duration::from_milliseconds(300);
    let mut played = replay(&bob, Side::Receiver, Pace::WallClock { head_start }).unwrap();
    let mut last = None;
    while let Some(window) = played.windows.recv().await {
        last = Some(window);
    }
    assert!(last.unwrap().detections.first_pulse > 7_000_000);
    let took = started.elapsed();
    assert!(took >= Span::from_millis(450), "{took:?}");
}
