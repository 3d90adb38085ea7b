//! `bellwether record`: detection files of emulated links.

use crate::args::Record;
use crate::command::{find_link, load};
use crate::{Failure, output, words};
use bellwether_live::hardware::record::{files, record_link};
use bellwether_live::random::unpredictable;
use bellwether_units::LinkId;

pub(crate) fn run(args: &Record) -> Result<(), Failure> {
    let network = load(&args.input, &[])?;
    let links: Vec<LinkId> = match args.links.as_slice() {
        [] => (0..network.links.len() as u32).map(LinkId).collect(),
        names => names.iter().map(|name| find_link(&network, Some(name))).collect::<Result<_, _>>()?,
    };
    for link in links {
        let name = &network.link(link).name;
        // The same light is the same recording: what was played of it stays played.
        let (seed, run) = args.seed.map_or_else(|| (unpredictable(), unpredictable()), |seed| (seed, seed));
        let recorded = record_link(&network, link, seed, run, args.light, &args.to);
        let recorded = recorded.map_err(|error| Failure::Live(error.to_string()))?;
        // Absolute, for the network file may be in any folder.
        let folder = std::path::absolute(&args.to).map_err(Failure::live)?;
        let [transmitter, receiver] = files(&folder, name);
        output::print(&format!(
            "{name}: {} clicks in {} of light\n  transmitter: hardware = {{ replay = {:?} }}\n  receiver:    \
             hardware = {{ replay = {:?} }}\n",
            recorded.clicks,
            words::seconds(args.light.seconds()),
            transmitter.display().to_string(),
            receiver.display().to_string(),
        ))?;
    }
    Ok(())
}
