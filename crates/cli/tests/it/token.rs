//! A node whose master key is in a PKCS#11 token.

use crate::place::{Place, Running};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

struct Token<'a> {
    place: &'a Place,
}

impl Token<'_> {
    fn with_token(&self, mut command: Command) -> Command {
        command.env("SOFTHSM2_CONF", self.place.path().join("softhsm2.conf")).env("PIN", "1234");
        command
    }

    fn softhsm(&self, arguments: &[&str]) {
        let mut command = self.with_token(Command::new("softhsm2-util"));
        let output = command.args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
    }

    /// Puts an AES key of so many bytes into the token.
    fn key(&self, label: &str, id: &str, bytes: usize) {
        let file = self.place.path().join(label);
        fs::write(&file, vec![id.as_bytes()[0]; bytes]).expect("the folder can be written");
        let file = file.display().to_string();
        self.softhsm(&[
            "--import", &file, "--aes", "--token", "a site", "--label", label, "--id", id, "--pin", "1234",
        ]);
    }

    fn node(&self, options: &str) -> Command {
        let line = format!("node --network network.toml --state state --name A --log-level warn {options}");
        self.with_token(self.place.command(&line))
    }

    fn refused(&self, options: &str) -> String {
        let output = self.node(options).output().expect("it starts");
        assert!(!output.status.success(), "{options}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

#[test]
fn a_store_opens_by_a_key_in_a_token_and_by_no_other() {
    let found = Command::new("softhsm2-util").arg("--version").output().is_ok();
    if !found || !Path::new(MODULE).exists() {
        eprintln!("SKIPPED: SoftHSM is not installed (apt-get install softhsm2)");
        return;
    }
    let place = Place::new();
    let token = Token { place: &place };
    let folder = place.path().join("tokens");
    fs::create_dir(&folder).expect("the folder can be written");
    let settings = format!("directories.tokendir = {}\nobjectstore.backend = file\n", folder.display());
    fs::write(place.path().join("softhsm2.conf"), settings).expect("the folder can be written");
    token.softhsm(&["--init-token", "--free", "--label", "a site", "--pin", "1234", "--so-pin", "5678"]);
    token.key("master", "01", 32);
    token.key("other", "21", 32);
    token.key("short", "31", 16);
    place.done("pki network.toml --state state");

    let named = |token: &str, object: &str, pin: &str| {
        format!("--master-key pkcs11:{MODULE}?token={token}&object={object}&pin-source={pin}")
    };
    let right = named("a%20site", "master", "env:PIN");
    for _ in 0..2 {
        let mut running = Running::start(token.node(&right));
        running.until("ready: ");
        assert_eq!(running.stop("TERM"), Some(0));
    }
    assert!(!place.path().join("state/nodes/A/master.key").exists());
    let wrong_pin = place.path().join("pin");
    fs::write(&wrong_pin, "4321\n").expect("the folder can be written");
    fs::set_permissions(&wrong_pin, fs::Permissions::from_mode(0o600)).expect("one's own file");
    let wrong = [
        (named("a%20site", "other", "env:PIN"), "does not open the store"),
        (named("a%20site", "missing", "env:PIN"), "no secret key labelled `missing`"),
        (named("a%20site", "short", "env:PIN"), "256 bits"),
        (named("elsewhere", "master", "env:PIN"), "there is `a site`"),
        (named("a%20site", "master", &format!("file:{}", wrong_pin.display())), "refuses the PIN"),
        (named("a%20site", "master", "env:NO_PIN"), "NO_PIN"),
        ("--master-key pkcs11:/nowhere.so?token=t&object=o&pin-source=env:PIN".to_owned(), "/nowhere.so"),
    ];
    for (options, told) in wrong {
        let refused = token.refused(&options);
        assert!(refused.contains(told) && !refused.contains("4321"), "{options}: {refused}");
    }
    // A whole network tries the PIN once, before it starts a node.
    let wrong_pin = named("a%20site", "master", &format!("file:{}", wrong_pin.display()));
    let network =
        |options: &str| token.with_token(place.command(&format!("up network.toml --state state {options}")));
    let output = network(&wrong_pin).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("refuses the PIN"), "{told}");
    assert!(!place.path().join("state/nodes/B/log").exists());
    // A right PIN is taken after wrong ones, by the nodes of a network in one process too.
    for options in [format!("{right} --in-process"), right] {
        fs::remove_dir_all(place.path().join("state/nodes/B")).unwrap_or_default();
        let mut running = Running::start(network(&options));
        running.until("--master bank-a");
        assert_eq!(running.stop("TERM"), Some(0));
    }
}
