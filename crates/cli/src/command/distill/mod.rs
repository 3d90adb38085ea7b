//! `bellwether distill`: keys of recorded material, with another process or host.

mod link;
mod told;

use crate::args::{Bound, Distill, Material, Protection, TimeTags};
use crate::progress::StopFlag;
use crate::{Failure, output};
use bellwether_live::distill;
use bellwether_live::distill::tags::{TagFormat, TagRecord};
use bellwether_live::distill::{
    AuthenticationFile, Certified, FileError, Format, KeyFile, Line, LineError, RawKey, Role, Run, RunError,
    connect, listen, unless_stopped,
};
use bellwether_live::identity::files::{load_identity, load_roots};
use bellwether_live::process::runtime::{self, Runtime};
use bellwether_protocol::qkd::raw::{RawSettings, SecrecyClaim};
use bellwether_protocol::qkd::security::SecurityParameters;
use bellwether_protocol::qkd::tags::clock::Search;
use bellwether_protocol::qkd::tags::{TagFailure, TagSettings};
use bellwether_units::Duration;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &Distill) -> Result<(), Failure> {
    let (role, path) = match (&args.alice, &args.bob) {
        (Some(path), _) => (Role::Alice, path),
        (None, Some(path)) => (Role::Bob, path),
        (None, None) => return Err(Failure::input("give --alice FILE or --bob FILE")),
    };
    match &args.claim.network {
        Some(network) => link::run(args, network, role, path),
        None => raw_key(args, role, path),
    }
}

/// Keys of sifted raw keys, or of time tags.
fn raw_key(args: &Distill, role: Role, path: &Path) -> Result<(), Failure> {
    let material = material(args, path)?;
    let settings = settings(args)?;
    let ready = Ready::new(args, role)?;
    let run = Run::new(role, material, settings, ready.secret, ready.keys).map_err(Failure::input)?;
    let (summary, result) = over_the_line(args, ready.certified, |runtime, line, watch| {
        run.carry_out(runtime.handle(), line, watch)
    })?;
    tell(args, &summary, summary.key_bits, || told::account(&summary))?;
    let result = result.map_err(|error| match error {
        RunError::Sifting(TagFailure::Stopped("this")) => Failure::Interrupted,
        RunError::Settings(_)
        | RunError::TagSettings(_)
        | RunError::Sifting(TagFailure::Settings(_))
        | RunError::File(FileError::Content { .. }) => Failure::input(error),
        RunError::Sifting(TagFailure::Clocks(_)) => Failure::live(format!("{error}\n{}", told::CLOCKS)),
        error => Failure::live(error),
    });
    finish(result, summary.interrupted, summary.key_bits)
}

/// What a run needs beside its material, whatever that is.
struct Ready {
    secret: Option<AuthenticationFile>,
    certified: Option<Certified>,
    keys: KeyFile,
}

impl Ready {
    fn new(args: &Distill, role: Role) -> Result<Self, Failure> {
        let secret = args.protection.auth_key.as_deref().map(|path| AuthenticationFile::open(path, role));
        let secret = secret.transpose().map_err(Failure::input)?;
        let certified = certified(&args.protection)?;
        if secret.is_none() && certified.is_none() {
            output::tell(
                "warning: nothing protects the talk: whoever can change it can have the keys; give --auth-key, or use \
                 the keys for tests alone",
            );
        }
        let beside = account_of(&args.out);
        if beside.exists() {
            return Err(Failure::Input(format!("{} is there already: name another --out", beside.display())));
        }
        let keys = KeyFile::create(&args.out).map_err(|error| match error {
            FileError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Failure::Input(format!("{} is there already: keys are never overwritten", args.out.display()))
            }
            other => Failure::live(other),
        })?;
        Ok(Self { secret, certified, keys })
    }
}

/// Meets the other end and does `work` over the line to it.
fn over_the_line<T>(
    args: &Distill,
    certified: Option<Certified>,
    work: impl FnOnce(&Runtime, Line, &mut told::Watch) -> T,
) -> Result<T, Failure> {
    let stop = StopFlag::on_interrupt();
    let done = runtime::with(|runtime| -> Result<T, Failure> {
        let waiting = unless_stopped(|| stop.is_set(), line(args, certified));
        let Some(line) = runtime.block_on(waiting) else { return Err(Failure::Interrupted) };
        Ok(work(runtime, line?, &mut told::Watch::new(stop.clone())))
    });
    done.map_err(Failure::live)?
}

/// Tells the account: beside the keys, whatever becomes of the printed one, and on standard output.
fn tell<S: Serialize>(
    args: &Distill,
    summary: &S,
    key_bits: u64,
    in_words: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if key_bits > 0 {
        output::write_file(&account_of(&args.out), output::json(summary)?.as_bytes())?;
    }
    if args.json { output::print_json(summary) } else { output::print(&in_words()) }
}

/// The end of a run that failed, was interrupted, or made so many bits of key.
fn finish(result: Result<(), Failure>, interrupted: bool, key_bits: u64) -> Result<(), Failure> {
    match result {
        Err(failure) => Err(failure),
        Ok(()) if interrupted => Err(Failure::Interrupted),
        Ok(()) if key_bits == 0 => Err(Failure::live("no block gave a key; the account says why")),
        Ok(()) => Ok(()),
    }
}

/// The file of the account, beside that of the keys.
fn account_of(keys: &Path) -> PathBuf {
    let mut name = keys.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

async fn line(args: &Distill, certified: Option<Certified>) -> Result<Line, Failure> {
    let line = match (&args.listen, &args.connect) {
        (Some(address), _) => {
            let ready = |at| output::tell(&format!("listening at {at}"));
            let refused = |error: &LineError| output::tell(&format!("refused: {error}"));
            listen(address, certified, ready, refused).await
        }
        (None, Some(address)) => {
            let patience = std::time::Duration::from_secs_f64(args.wait.seconds());
            connect(address, certified, patience).await
        }
        (None, None) => return Err(Failure::input("give --listen HOST:PORT or --connect HOST:PORT")),
    };
    line.map_err(Failure::live)
}

fn settings(args: &Distill) -> Result<RawSettings, Failure> {
    let claim = match (args.claim.bound, args.claim.min_entropy_rate) {
        (Some(Bound::SinglePhoton), _) => SecrecyClaim::SinglePhoton,
        (None, Some(rate)) => SecrecyClaim::MinEntropy(rate),
        (None, None) => return Err(Failure::input("give --bound, --min-entropy-rate or --network")),
    };
    let usual = if claim.needs_sample() || args.error_rate.is_none() { 0.1 } else { 0.0 };
    let share = args.sample.unwrap_or(usual);
    if !(0.0..=1.0).contains(&share) {
        return Err(Failure::Input(format!("--sample {share}: a share is from 0 to 0.5")));
    }
    let settings = RawSettings {
        block_bits: args.block,
        sample_millionths: (share * 1e6).round() as u32,
        security: SecurityParameters { secrecy: args.secrecy, correctness: args.correctness },
        error_rate: args.error_rate,
        family: args.reconciliation,
        blocks_in_flight: args.in_flight,
        // How many bits there are, the material tells.
        ..RawSettings::new(1, claim)
    };
    settings.validate().map_err(Failure::input)?;
    Ok(settings)
}

fn certified(protection: &Protection) -> Result<Option<Certified>, Failure> {
    let Protection { certificate, key, ca, peer, .. } = protection;
    let (Some(certificate), Some(key), Some(ca), Some(peer)) = (certificate, key, ca, peer) else {
        return Ok(None);
    };
    let identity = load_identity(certificate, key).map_err(Failure::input)?;
    let roots = load_roots(ca).map_err(Failure::input)?;
    Ok(Some(Certified { identity, roots, peer: peer.clone() }))
}

/// This end's material, in the format that is given or that its first bytes show.
fn material(args: &Distill, path: &Path) -> Result<distill::Material, Failure> {
    let raw_key = |format| -> Result<distill::Material, Failure> {
        if let Some(option) = args.time_tags.given() {
            return Err(Failure::Input(format!(
                "{option} is for time tags, and {} is a raw key",
                path.display()
            )));
        }
        let raw_key = RawKey::open(path, format, args.bits).map_err(Failure::input)?;
        Ok(distill::Material::RawKey(raw_key))
    };
    let tags = |format| -> Result<distill::Material, Failure> {
        if args.bits.is_some() {
            return Err(Failure::Input(format!("--bits is for raw keys, and {} is none", path.display())));
        }
        let channels = args.time_tags.channels.clone().unwrap_or_default();
        let channels = match &args.time_tags.delays {
            Some(delays) => channels.with_delays(delays).map_err(Failure::Input)?,
            None => channels,
        };
        let record = TagRecord::open(path, format, channels).map_err(Failure::input)?;
        Ok(distill::Material::TimeTags(Box::new(record), tag_settings(&args.time_tags)?))
    };
    match args.format {
        Some(Material::RawKey) => raw_key(Some(Format::Headed)),
        Some(Material::Bits) => raw_key(Some(Format::Packed)),
        Some(Material::Text) => raw_key(Some(Format::Text)),
        Some(Material::TimeTags) => tags(Some(TagFormat::Headed)),
        Some(Material::BareTimeTags) => tags(Some(TagFormat::Bare)),
        Some(Material::ClickCsv) => tags(Some(TagFormat::Columns)),
        Some(Material::Detections | Material::Csv) => {
            Err(Failure::input("detections are those of a link: give --network FILE and --link LINK"))
        }
        None if TagRecord::is_one(path) => tags(None),
        None => raw_key(None),
    }
}

fn tag_settings(args: &TimeTags) -> Result<TagSettings, Failure> {
    let usual = TagSettings::default();
    let span = |given: Option<Duration>, usual| given.map_or(usual, Duration::picoseconds);
    let settings = TagSettings {
        rounding: span(args.rounding, usual.rounding),
        together: span(args.together, usual.together),
        window: args.window.map(Duration::picoseconds),
        search: Search {
            offset: args.offset_within.map_or(usual.search.offset, |span| span.picoseconds() as f64),
            drift: args.drift_within.map_or(usual.search.drift, |ppm| ppm * 1e-6),
        },
        offset: args.clock_offset,
    };
    settings.validate().map_err(Failure::input)?;
    Ok(settings)
}
