//! The tree keeps its shape: which room may stand on which, and what no room may do.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeMap;

/// Which rooms each room may stand on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("bits", &[]),
    ("quantum", &["units"]),
    ("physics", &["units", "quantum"]),
    ("protocol", &["units", "bits", "quantum"]),
    ("network", &["units"]),
    ("sim", &["units", "bits", "quantum", "physics", "protocol", "network"]),
    ("live", &["units", "bits", "quantum", "protocol", "network", "sim"]),
    ("cli", &["units", "bits", "quantum", "physics", "protocol", "network", "sim", "live"]),
];

/// What must not be reachable from a room, however indirectly.
const NEVER_REACHES: &[(&str, &[&str])] = &[
    ("quantum", &["tokio", "rustls", "mio", "getrandom", "bellwether-protocol", "bellwether-physics"]),
    ("protocol", &["tokio", "rustls", "mio", "getrandom", "bellwether-physics", "bellwether-sim"]),
    ("physics", &["tokio", "rustls", "mio", "getrandom", "bellwether-protocol", "bellwether-bits"]),
    ("sim", &["tokio", "rustls", "mio", "getrandom"]),
];

fn metadata() -> cargo_metadata::Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        // What the rooms ask for stands in their own manifests: crates of other platforms need not be there.
        .no_deps()
        .exec()
        .expect("cargo metadata runs in the checkout that built this test")
}

#[test]
fn rooms_stand_only_on_the_rooms_below_them() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.iter().copied().collect();
    for package in metadata.workspace_packages() {
        let Some(room) = package.name.strip_prefix("bellwether-").filter(|room| *room != "tests") else {
            continue;
        };
        let floor =
            allowed.get(room).unwrap_or_else(|| panic!("`{room}` is a new room: add it to the picture"));
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            if let Some(below) = dependency.name.strip_prefix("bellwether-") {
                assert!(floor.contains(&below), "`{room}` must not depend on `{below}`");
            }
        }
    }
}

#[test]
fn state_machines_and_models_reach_no_runtime() {
    for (room, forbidden) in NEVER_REACHES {
        // `cargo tree` leaves out the features that only tests switch on; `cargo metadata` does not.
        let output = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package"])
            .arg(format!("bellwether-{room}"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs, since it built this test");
        let tree = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&"bellwether-units"), "`{room}` stands on units: {tree}");
        for name in forbidden.iter() {
            assert!(!names.contains(name), "`{room}` reaches `{name}`");
        }
    }
}

#[test]
fn only_the_bit_kernels_hold_unsafe_code() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates"));
    let mut files = vec![root.to_owned()];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .expect("a folder of the checkout")
                    .map(|e| e.expect("an entry").path()),
            );
        } else if path.extension().is_some_and(|e| e == "rs") && !path.starts_with(root.join("bits")) {
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            assert!(
                !text.contains("unsafe {") && !text.contains("unsafe fn"),
                "{} is unsafe",
                path.display()
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "the tree has more source files than {looked_at}");
}
