//! Every key of the format is read into its place.

use crate::parse;
use bellwether_network::*;
use bellwether_units::{Angle, Duration, Frequency, LinkId, NodeId, Rate, Time};

pub(crate) const FILE: &str = include_str!("everything.toml");

#[test]
fn every_key_is_read() {
    let network = parse(FILE).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(network.sources, ["one", "two"]);
    assert_eq!(network.run.duration, Duration::from_whole_seconds(7200));
    assert_eq!((network.run.detail, network.run.seed), (Detail::Bits, 7));
    assert_eq!(network.run.report_interval, Some(Duration::from_whole_seconds(10)));

    let a = network.node(NodeId(0));
    assert_eq!((a.name.as_str(), a.role, a.note.as_str()), ("A", Role::EndNode, "a"));
    assert_eq!(a.pool_capacity, Some(Size::from_bits(10_000_000)));
    assert!((a.position.unwrap().longitude.radians().to_degrees() + 16.4).abs() < 1e-12);

    let link = network.link(LinkId(0));
    assert_eq!((link.transmitter_at, link.receiver_at), (NodeId(0), NodeId(1)));
    assert_eq!(link.detail, Detail::Blocks);
    assert_eq!(link.message_delay, Duration::from_milliseconds(1));
    assert_eq!(link.fibre.loss().to_string(), "8.5 dB");
    let drift = link.fibre.drift.unwrap();
    assert_eq!(drift.realigned_every, Some(Duration::from_whole_seconds(600)));
    assert_eq!(link.fibre.classical_channels.len(), 2);
    assert_eq!(link.fibre.classical_channels[0].direction, Direction::Backward);
    assert_eq!(link.fibre.classical_channels[1].raman.per_kilometre_nanometre(), 2.6e-9);
    assert_eq!(link.transmitter.profile.as_deref(), Some("mine"));
    assert_eq!(link.transmitter.source.intensity_count(), 3);
    assert_eq!(link.receiver.profile.as_deref(), Some("own"));
    assert_eq!(link.receiver.filter.nanometres(), 0.5, "the defaults come before the profile they name");
    assert_eq!(link.receiver.detector.dead_time_scope, DeadTimeScope::Each);
    assert_eq!(link.receiver.detector.afterpulsing.unwrap().probability, 0.02);
    assert!(link.receiver.detector.bias_current_monitor);
    assert_eq!(link.gate(), Duration::from_picoseconds(200));
    let protocol = &link.protocol;
    assert_eq!(protocol.block_size, Size::from_bits(2_000_000));
    assert_eq!((protocol.eps_secrecy, protocol.eps_correctness), (1e-10, 1e-12));
    assert_eq!(protocol.bound, Bound::Lim2014);
    assert_eq!(protocol.reconciliation.family, ReconciliationFamily::CascadeOption7);
    assert_eq!(protocol.authentication, TagPolicy::EveryMessage);
    let published = link.published.as_ref().unwrap();
    assert_eq!(published.secret_rate.unwrap().per_second(), 3000.0);
    assert_eq!(published.evidence, Evidence::Published);
    assert_eq!(published.fitted.as_ref().unwrap().parameter, "receiver.detector.efficiency");

    let single = network.link(LinkId(1));
    assert_eq!(single.transmitter.source, Source::SinglePhoton { brightness: 0.4, g2: 0.02 });
    assert_eq!(single.protocol.bound, Bound::Tomamichel2012);
    assert_eq!(single.protocol.block_size, Size::from_bits(3_000_000), "from the defaults");
    assert_eq!(single.fibre.loss().to_string(), "1.9 dB", "from the defaults");
    assert_eq!(single.message_delay, single.fibre.delay());
    let files = Recording { transmitter: "/c/alice.bin".into(), receiver: "a/bob.bin".into() };
    assert_eq!(network.link(LinkId(2)).recording.as_deref(), Some(&files));
    assert_eq!(network.link(LinkId(0)).recording, None);
    let Source::Heralded { modes: 3, coupling: 0.7, .. } = network.link(LinkId(2)).transmitter.source else {
        panic!("the third source is heralded");
    };

    let demand = &network.demands[0];
    assert_eq!((demand.from, demand.to), (NodeId(0), NodeId(2)));
    assert_eq!((demand.key_size.bits(), demand.priority, demand.paths), (256, 9, 2));
    assert_eq!((demand.total, demand.stop), (Some(1000), Some(minute(60))));

    applications(&network);

    entanglement(&network);

    assert_eq!(network.events.len(), 17);
    assert!(network.events.is_sorted_by_key(|event| event.at));
    let last = network.events.last().unwrap();
    assert_eq!(last.until, Some(minute(40)));
    let basis = EavesdropperBasis::Breidbart;
    let attack = LinkEvent::Attack(Attack::InterceptResend { fraction: 0.3, basis });
    assert_eq!(last.kind, EventKind::Link(LinkId(0), attack));
    let names: Vec<_> = network.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names[13..], ["node-crash", "node-restart", "message-loss", "attack"]);
    let lost = LinkEvent::MessageLoss { probability: 0.25 };
    assert_eq!(network.events[15].kind, EventKind::EntanglingLink(LinkId(1), lost));
    let LinkEvent::Attack(splitting) = link_event(&network, 0) else { panic!("an attack") };
    assert_eq!(*splitting, Attack::PhotonNumberSplitting { fraction: 0.5 });
    let LinkEvent::MessageDelay { delay, jitter } = link_event(&network, 10) else { panic!("a delay") };
    assert_eq!((*delay, *jitter), (Duration::from_milliseconds(5), Duration::from_milliseconds(1)));
}

fn entanglement(network: &Network) {
    let platform = |node| network.node(NodeId(node)).platform.as_deref().unwrap();
    assert_eq!(platform(0).communication.unwrap().t1, Some(Duration::from_whole_seconds(1)));
    assert_eq!(
        (platform(0).profile.as_deref(), platform(0).interface.click_probability),
        (Some("calcium-cavity"), Some(0.111))
    );
    let own = platform(1);
    assert_eq!(
        (own.profile.as_deref(), own.kind, own.interface.modes),
        (Some("own"), PlatformKind::Ensemble, 7)
    );
    assert_eq!(own.gate.unwrap().noise, Some(Noise::Fidelity(0.98)));
    assert_eq!(own.retrieval.unwrap().signal_to_noise, Some(20.0));
    let carbon = platform(2);
    assert_eq!(network.node(NodeId(2)).role, Role::Repeater);
    assert_eq!(
        (carbon.interface.click_probability, carbon.interface.dark_probability),
        (Some(4.2e-4), Some(1e-6))
    );
    let initialisation = carbon.communication.unwrap().initialisation;
    assert_eq!(
        initialisation,
        Some(Noise::Depolarising(0.01)),
        "what is nearer takes the place of the profile's"
    );

    let names: Vec<_> =
        network.entangling_links.iter().map(|link| (link.name.as_str(), link.scheme.name())).collect();
    assert_eq!(
        names,
        [
            ("a-c", "single-click"),
            ("c-b", "double-click"),
            ("source", "pair-source"),
            ("serial", "reflection"),
            ("atoms", "stated")
        ]
    );
    let link = network.entangling_link(LinkId(0));
    assert_eq!((link.ends, link.memories), ([NodeId(0), NodeId(2)], [2, 5]));
    assert_eq!(link.qubits, [QubitUse::Own, QubitUse::Storage]);
    assert_eq!(*link.scheme, Scheme::SingleClick { brightness: vec![0.05, 0.1, 0.3], counts_photons: true });
    assert_eq!(network.entangling_link(LinkId(3)).qubits, [QubitUse::Own, QubitUse::Communication]);
    assert_eq!(link.fibre.length.kilometres(), 40.0);
    assert_eq!(link.fibre.group_index, 1.47, "from the defaults of all fibres");
    let station = Station {
        at: 0.25,
        dark_count_rate: Some(Rate::from_per_second(10.0)),
        window: Some(Duration::from_picoseconds(25_000)),
        dark_probability: Some(2e-7),
        visibility: Some(0.9),
        phase: Some(Angle::from_radians(15f64.to_radians())),
        double_excitation: Some(0.04),
        unmodelled_coherence: 0.95,
        detector_efficiency: 0.8,
    };
    assert_eq!(link.station, station);
    let micro = Duration::from_microseconds;
    assert_eq!((link.cycle, link.preparation, link.processing), (Some(micro(10)), Some(micro(2)), micro(1)));
    assert_eq!((link.message_delay, link.test_share, link.note.as_str()), (micro(3000), 0.1, "one click"));
    let availability = link.availability.as_deref().unwrap();
    assert_eq!(
        availability.charge_check,
        Some(ChargeCheck { pass: 0.2, time: micro(50), every: micro(5000) })
    );
    let (period, length) = (Duration::from_whole_seconds(3600), Duration::from_whole_seconds(30));
    assert_eq!(availability.calibration, Some(Calibration { period, length }));
    let published = link.published.as_deref().unwrap();
    assert_eq!(published.rate.unwrap().per_second(), 39.0);
    assert_eq!((published.fidelity, published.fidelity_deviation), (Some(0.82), Some(0.005)));
    assert_eq!(
        (published.rate_deviation.unwrap().per_second(), published.evidence),
        (1.0, Evidence::FromMemory)
    );
    assert_eq!(published.fitted.as_ref().unwrap().parameter, "station.unmodelled_coherence");
    let losses = link.arm_losses().map(|loss| loss.decibels());
    assert!((losses[0] - 2.5).abs() < 1e-12 && (losses[1] - 7.5).abs() < 1e-12, "{losses:?}");

    let next = network.entangling_link(LinkId(1));
    assert_eq!((next.memories, next.qubits), ([3, 3], [QubitUse::Storage; 2]));
    assert_eq!((next.station.at, next.station.visibility), (1.0, Some(0.85)), "one from the defaults");
    assert_eq!((next.message_delay, next.cycle), (next.fibre.delay(), None));
    assert_eq!(next.arm_delays(), [next.fibre.delay(), Duration::ZERO]);
    let scheme = |link| &*network.entangling_link(LinkId(link)).scheme;
    let clock = Frequency::from_hertz(1e8);
    assert_eq!(scheme(2), &Scheme::PairSource { mean_pairs: 0.05, clock, absorption: [0.5, 0.25] });
    assert_eq!(scheme(3), &Scheme::Reflection { mean_photons: 0.07, reflectance: [0.2; 2], contrast: 0.9 });
    let pair = StatedPair::BellDiagonal([0.9, 0.05, 0.03, 0.02]);
    assert_eq!(scheme(4), &Scheme::Stated { success: 0.01, pair });

    let circuit = &network.circuits[0];
    assert_eq!((circuit.from, circuit.to), (NodeId(0), NodeId(1)));
    assert_eq!(circuit.path, Some(vec![LinkId(0), LinkId(1)]));
    assert_eq!(circuit.cutoff, Cutoff::After(Duration::from_milliseconds(20)));
    assert_eq!(
        (circuit.link_fidelity, circuit.weight, circuit.choice),
        (Some(0.9), 4, WaitingPair::Youngest)
    );
    use PurificationRound::{Bbpssw, Dejmps, Phase};
    assert_eq!((&circuit.purification[..], circuit.note.as_str()), (&[Dejmps, Bbpssw, Phase][..], "over C"));
    let demand = &network.pair_demands[0];
    assert_eq!((demand.from, demand.to, demand.circuit), (NodeId(0), NodeId(1), Some(0)));
    assert_eq!((demand.fidelity, demand.pairs, demand.kind), (0.75, Some(100), PairUse::Early));
    assert_eq!((demand.rate.unwrap().per_second(), demand.start), (2.0, minute(1)));
    assert_eq!(
        (demand.within, demand.hold),
        (Some(Duration::from_whole_seconds(10)), Duration::from_milliseconds(1))
    );
    assert_eq!(demand.published.as_deref().unwrap().evidence, Evidence::Reconstructed);
    assert_eq!(demand.note, "for teleportation");
}

fn applications(network: &Network) {
    let saes: Vec<_> = network.saes.iter().map(|s| (s.name.as_str(), s.node, s.keys_per_second)).collect();
    let (bank, urn, clerk) = (SaeId(0), SaeId(1), SaeId(2));
    assert_eq!(
        saes,
        [
            ("bank-a", NodeId(0), Some(100)),
            ("urn:example:bank:c", NodeId(2), None),
            ("clerk", NodeId(0), None)
        ]
    );
    assert_eq!((network.find_sae("clerk"), network.sae(urn).node), (Some(clerk), NodeId(2)));
    let pair = |master, slave, requirement| Pair {
        master,
        slave,
        requirement,
        keys_per_second: None,
        bits_per_day: None,
    };
    let limited = |master, slave| Pair {
        keys_per_second: Some(50),
        bits_per_day: Some(1_000_000_000_000),
        ..pair(master, slave, Requirement::QuantumOnly)
    };
    assert_eq!(
        network.pairs,
        [
            limited(bank, urn),
            limited(urn, bank),
            pair(clerk, bank, Requirement::PostQuantumWhileDown),
            pair(bank, clerk, Requirement::Refuse),
            pair(clerk, clerk, Requirement::Both),
        ]
    );
    let live = &network.live;
    assert_eq!((live.first_port, live.head_start), (5000, Duration::from_whole_seconds(0)));
    assert_eq!((live.key_size, live.unknown_key_is_404), (Size::from_bits(128), true));
    assert!(live.absent_peer_is_success && live.tls_1_2);
    assert_eq!(live.certificate_names, [CertificateName::CommonName, CertificateName::Uri]);
    let counted: [u8; 32] = std::array::from_fn(|place| place as u8);
    let mut other = counted;
    other[0] = 0xff;
    assert_eq!(network.sae(clerk).public_keys, [counted, other]);
    assert!(network.sae(bank).public_keys.is_empty());
    let at = |node, listener| network.listener(NodeId(node), listener).unwrap().to_string();
    assert_eq!(at(0, Listener::NodeToNode), "192.0.2.7:4430");
    assert_eq!(at(0, Listener::KeyManager), "0.0.0.0:443");
    assert_eq!(at(0, Listener::Operations), "[2001:db8::7]:9090");
    assert_eq!(at(0, Listener::KeyStreams), "0.0.0.0:25575");
    assert_eq!(at(0, Listener::Programs), "0.0.0.0:25576");
    assert_eq!(at(1, Listener::KeyManager), "127.0.0.1:5004");
    assert_eq!(at(2, Listener::NodeToNode), "127.0.0.1:5006");
    assert_eq!(at(2, Listener::KeyManager), "0.0.0.0:443", "on another machine, perhaps");
    assert_eq!(at(2, Listener::Operations), "127.0.0.1:5008");
    assert_eq!(network.physical_layer().unwrap().to_string(), "[::1]:6000");
    let webhook = |name: &str| live.webhooks.iter().find(|webhook| webhook.name == name).unwrap();
    assert_eq!(webhook("pager").events, [WebhookEvent::Alarm, WebhookEvent::Downgraded]);
    assert_eq!(
        (webhook("here").url.as_str(), &webhook("here").events[..]),
        ("http://[::1]:9000", &[WebhookEvent::Alarm][..])
    );
}

fn link_event(network: &Network, place: usize) -> &LinkEvent {
    match &network.events[place].kind {
        EventKind::Link(_, event) => event,
        other => panic!("event {place} is {other:?}"),
    }
}

fn minute(minutes: u64) -> Time {
    Time::ZERO + Duration::from_whole_seconds(60) * minutes
}

#[test]
fn every_family_of_reconciliation_is_read() {
    use ReconciliationFamily::*;
    let read = |line: &str| {
        let protocol = format!("protocol = {{ {line} }}\nreceiver =");
        let network = parse(&crate::SMALL.replacen("receiver =", &protocol, 1));
        network.unwrap_or_else(|errors| panic!("{errors}")).link(LinkId(0)).protocol.reconciliation.family
    };
    for (word, family) in [
        ("cascade-original", CascadeOriginal),
        ("cascade-yan", CascadeYan),
        ("cascade-option-7", CascadeOption7),
        ("cascade-option-8", CascadeOption8),
        ("grouped-quick", GroupedQuick),
        ("grouped-thorough", GroupedThorough),
        ("ldpc", Ldpc),
    ] {
        assert_eq!(read(&format!("reconciliation = \"{word}\"")), family);
        assert_eq!(family.name(), word);
    }
    assert_eq!(read(""), CascadeOption8, "unless the file says otherwise");
}
