//! A link that is recorded, and played in the place of its devices.

use crate::place::{Place, Running, network};

#[test]
fn a_recording_is_found_from_the_folder_of_the_network_file_and_gives_keys() {
    let place = Place::with(|first_port| {
        network(first_port)
            + "[link.A-B.transmitter.hardware]\nreplay = \"light/A-B.transmitter.bin\"\n\
               [link.A-B.receiver.hardware]\nreplay = \"light/A-B.receiver.bin\"\n"
    });
    let told = place.done("record network.toml --for 3s --to light");
    assert!(told.contains("A-B.transmitter.bin") && told.contains(" clicks in 3 s"), "{told}");
    let (code, told) = place.refused("record network.toml --for 3s --to light");
    assert!(code == Some(1) && told.contains("is there already"), "{told}");

    // The processes read a copy of the file in another folder.
    let state = place.path().join("state");
    let mut running = Running::start(place.command(&format!("up network.toml --state {}", state.display())));
    running.until("--master bank-a");
    let options = format!("--network network.toml --state {}", state.display());
    place.a_key_at_both_ends(&options);
    let (code, told) = place.refused(&format!("inject {options} cut A-B"));
    assert!(code == Some(2) && told.contains("a recording stands in"), "{told}");
    assert_eq!(running.stop("INT"), Some(0));

    let output = place.run("simulate network.toml --for 1s");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("takes no notice of them"), "{told}");
}
