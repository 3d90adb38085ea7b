//! Values given in a file's stead.

use crate::{SMALL, parse, with};
use bellwether_network::{Bound, Detail, Network};

fn small(overrides: &[&str]) -> Network {
    with(SMALL, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_value_is_toml_or_a_word_without_quotes() {
    for text in
        ["link.A-B.fibre.length=\"80 km\"", "link.A-B.fibre.length=80 km", "link.A-B.fibre.length = 80km"]
    {
        assert_eq!(small(&[text]).links[0].fibre.length.kilometres(), 80.0, "{text}");
    }
    assert_eq!(small(&["run.seed=7"]).run.seed, 7);
    assert_eq!(small(&["run.detail=bits"]).links[0].detail, Detail::Bits);
    assert_eq!(
        small(&["link.A-B.fibre={length=\"1 km\",total_loss=\"3 dB\"}"]).links[0].fibre.loss().to_string(),
        "3 dB"
    );
}

#[test]
fn a_tighter_bound_may_be_chosen_where_it_fits_the_source() {
    let bound = |network: Network| network.links[0].protocol.bound;
    let decoys = |intensities: &str| format!("link.A-B.transmitter.source.intensities={intensities}");
    let two = decoys("[{mean_photons=0.5,probability=0.7},{mean_photons=0.1,probability=0.3}]");
    let three = decoys(
        "[{mean_photons=0.5,probability=0.5},{mean_photons=0.1,probability=0.3},{mean_photons=0.0,probability=0.2}]",
    );
    for (source, plain, tight) in [
        (&two, ("rusca-2018", Bound::Rusca2018), ("rusca-2018-tight", Bound::Rusca2018Tight)),
        (&three, ("lim-2014", Bound::Lim2014), ("lim-2014-tight", Bound::Lim2014Tight)),
    ] {
        assert_eq!(bound(small(&[source])), plain.1, "what is not chosen is the paper's");
        for (name, chosen) in [plain, tight] {
            assert_eq!(bound(small(&[source, &format!("link.A-B.protocol.bound={name}")])), chosen);
            let other = if *source == two { &three } else { &two };
            let errors = with(SMALL, &[other, &format!("link.A-B.protocol.bound={name}")]).unwrap_err();
            assert!(errors.to_string().contains(&format!("the bound `{name}` is for")), "{errors}");
        }
    }
    let no_light = decoys("[{mean_photons=0.5,probability=0.7},{mean_photons=0.0,probability=0.3}]");
    let errors = with(SMALL, &[&no_light, "link.A-B.protocol.bound=rusca-2018-tight"]).unwrap_err();
    assert!(errors.to_string().contains("a condition of the bound `rusca-2018-tight`"), "{errors}");
}

#[test]
fn an_override_reaches_into_profiles_and_lists() {
    let network = small(&["link.A-B.receiver.detector.efficiency=0.5"]);
    assert_eq!(network.links[0].receiver.detector.efficiency, 0.5);
    assert_eq!(network.links[0].receiver.profile.as_deref(), Some("generic-snspd"));
    let text = format!("{SMALL}\n[[event]]\nat=\"1 s\"\nkind=\"loss-step\"\nlink=\"A-B\"\nloss=\"1 dB\"\n");
    let network = with(&text, &["event.0.at=2 s"]).unwrap();
    assert_eq!(network.events[0].at.seconds(), 2.0);
    let network = with(&text, &["event.*.at=3 s"]).unwrap();
    assert_eq!(network.events[0].at.seconds(), 3.0);
}

#[test]
fn a_star_stands_for_every_name() {
    let text = SMALL.replace("[link.A-B]", "[link.second]\nends = [\"B\", \"A\"]\nfibre.length = \"9 km\"\n\
         fibre.total_loss = \"9 dB\"\ntransmitter = \"generic-decoy-1ghz\"\nreceiver = \"generic-snspd\"\n[link.A-B]");
    let network = with(&text, &["link.*.fibre.length=5 km", "link.A-B.fibre.length=6 km"]).unwrap();
    let lengths: Vec<_> = network.links.iter().map(|link| link.fibre.length.kilometres()).collect();
    assert_eq!(lengths, [5.0, 6.0], "a later override wins");
}

#[test]
fn one_loss_takes_the_place_of_the_other() {
    let network = small(&["link.A-B.fibre.total_loss=3 dB"]);
    assert_eq!(network.links[0].fibre.loss().to_string(), "3 dB");
    let network = small(&["link.A-B.fibre.total_loss=3 dB", "link.A-B.fibre.loss_per_length=0.1 dB/km"]);
    assert_eq!(network.links[0].fibre.loss().to_string(), "5 dB");
}

#[test]
fn overrides_are_part_of_what_was_read() {
    let plain = parse(SMALL).unwrap();
    let again = small(&["link.A-B.fibre.length=50 km"]);
    assert_eq!(plain.links, again.links);
    assert_ne!(plain.identity.sha256, again.identity.sha256);
    assert_eq!(again.identity.overrides, ["link.A-B.fibre.length=50 km"]);
    // By `printf 'format = 1\n' | sha256sum`, over a file that is otherwise wrong.
    let hash = small(&[]).identity.sha256;
    assert_eq!(hash.len(), 64);
    assert_eq!(hash, plain.identity.sha256);
}
