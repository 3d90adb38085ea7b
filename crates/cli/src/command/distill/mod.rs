//! `bellwether distill`: keys of recorded material, with another process or host.

mod told;

use crate::args::{Bound, Distill, Material, Protection};
use crate::progress::StopFlag;
use crate::{Failure, output};
use bellwether_live::distill::{
    AuthenticationFile, Certified, FileError, Format, KeyFile, Line, RawKey, Role, Run, RunError, Summary,
    connect, listen, unless_stopped,
};
use bellwether_live::identity::files::{load_identity, load_roots};
use bellwether_live::process::runtime;
use bellwether_protocol::qkd::raw::{RawSettings, SecrecyClaim};
use bellwether_protocol::qkd::security::SecurityParameters;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &Distill) -> Result<(), Failure> {
    let (role, path) = match (&args.alice, &args.bob) {
        (Some(path), _) => (Role::Alice, path),
        (None, Some(path)) => (Role::Bob, path),
        (None, None) => return Err(Failure::input("give --alice FILE or --bob FILE")),
    };
    let raw_key = RawKey::open(path, args.format.map(format), args.bits).map_err(Failure::input)?;
    let settings = settings(args, raw_key.len())?;
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
    let run = Run::new(role, raw_key, settings, secret, keys).map_err(Failure::input)?;
    let stop = StopFlag::on_interrupt();
    let done = runtime::with(|runtime| -> Result<_, Failure> {
        let waiting = unless_stopped(|| stop.is_set(), line(args, certified));
        let Some(line) = runtime.block_on(waiting) else { return Err(Failure::Interrupted) };
        let line = line?;
        let mut watch = told::Watch::new(stop.clone());
        Ok(run.carry_out(runtime.handle(), line, &mut watch))
    });
    let (summary, result) = done.map_err(Failure::live)??;
    // The account stands beside the keys whatever becomes of the printed one.
    if summary.key_bits > 0 {
        output::write_file(&beside, output::json(&summary)?.as_bytes())?;
    }
    if args.json {
        output::print_json(&summary)?
    } else {
        output::print(&told::account(&summary))?
    }
    finish(&summary, result)
}

fn finish(summary: &Summary, result: Result<(), RunError>) -> Result<(), Failure> {
    match result {
        Err(error @ (RunError::Settings(_) | RunError::File(FileError::Content { .. }))) => {
            Err(Failure::input(error))
        }
        Err(error) => Err(Failure::live(error)),
        Ok(()) if summary.interrupted => Err(Failure::Interrupted),
        Ok(()) if summary.key_bits == 0 => Err(Failure::live("no block gave a key; the account says why")),
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
            listen(address, certified, |at| output::tell(&format!("listening at {at}"))).await
        }
        (None, Some(address)) => {
            let patience = std::time::Duration::from_secs_f64(args.wait.seconds());
            connect(address, certified, patience).await
        }
        (None, None) => return Err(Failure::input("give --listen HOST:PORT or --connect HOST:PORT")),
    };
    line.map_err(Failure::live)
}

fn settings(args: &Distill, bits: u64) -> Result<RawSettings, Failure> {
    let claim = match (args.claim.bound, args.claim.min_entropy_rate) {
        (Some(Bound::SinglePhoton), _) => SecrecyClaim::SinglePhoton,
        (None, Some(rate)) => SecrecyClaim::MinEntropy(rate),
        (None, None) => return Err(Failure::input("give --bound or --min-entropy-rate")),
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
        ..RawSettings::new(bits, claim)
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

fn format(material: Material) -> Format {
    match material {
        Material::RawKey => Format::Headed,
        Material::Bits => Format::Packed,
        Material::Text => Format::Text,
    }
}
