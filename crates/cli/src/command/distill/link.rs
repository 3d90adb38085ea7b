//! Keys of recorded detections: the session of a link of a network file.

use super::{Ready, finish, over_the_line, tell, told};
use crate::args::{Distill, Input, Material};
use crate::command::{find_link, load};
use crate::{Failure, output};
use bellwether_live::distill::{FileError, LinkFormat, LinkMaterial, LinkRun, LinkRunError, Role};
use std::path::Path;

pub(super) fn run(args: &Distill, network: &Path, role: Role, path: &Path) -> Result<(), Failure> {
    if let Some(option) = args.time_tags.given() {
        return Err(Failure::Input(format!("{option} is for time tags, and those go without --network")));
    }
    let network = load(&Input { file: network.to_owned(), set: args.set.clone() }, &[])?;
    let id = find_link(&network, args.link.as_deref())?;
    let link = network.link(id);
    let material = LinkMaterial::open(path, role, format(args.format)?, &network, link);
    let material = material.map_err(Failure::input)?;
    if let Some(other) = material.of_link().filter(|&other| other != link.name) {
        let (path, link) = (path.display(), &link.name);
        output::tell(&format!(
            "warning: {path} says to be of link `{other}`, and link `{link}` says how it is used"
        ));
    }
    let ready = Ready::new(args, role)?;
    let run = LinkRun::new(material, &network, id, args.reconciliation, ready.secret, ready.keys);
    let run = run.map_err(Failure::input)?;
    let (summary, result) = over_the_line(args, ready.certified, |runtime, line, watch| {
        run.carry_out(runtime.handle(), line, watch)
    })?;
    tell(args, &summary, summary.key_bits, || told::link_account(&summary))?;
    let result = result.map_err(|error| match error {
        LinkRunError::Differ(_) | LinkRunError::File(FileError::Content { .. }) => Failure::input(error),
        error => Failure::live(error),
    });
    finish(result, summary.interrupted, summary.key_bits)
}

/// The format of a recording; nothing if it is to be recognised.
fn format(material: Option<Material>) -> Result<Option<LinkFormat>, Failure> {
    Ok(match material {
        None => None,
        Some(Material::Detections) => Some(LinkFormat::Detections),
        Some(Material::Csv) => Some(LinkFormat::Table),
        Some(_) => {
            return Err(Failure::input(
                "raw keys and time tags are of no link: give --bound or --min-entropy-rate, and no --network",
            ));
        }
    })
}
