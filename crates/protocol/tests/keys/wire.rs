//! A second reading of the frames that name pads, from the description of the format alone.

use bellwether_units::LinkId;

/// Which pads a frame uses.
pub(crate) struct Sent {
    /// What makes the frame unique: all its copies are equal.
    pub(crate) name: Vec<u8>,
    /// The link, or the route and the place in it.
    pub(crate) link: Result<LinkId, (Vec<LinkId>, usize)>,
    /// Block, offset, length.
    pub(crate) stretches: Vec<(u64, u32, u32)>,
    pub(crate) transfer: bool,
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn int(&mut self, width: usize) -> u64 {
        let (head, rest) = self.0.split_at(width);
        self.0 = rest;
        head.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
    fn stretches(&mut self) -> Vec<(u64, u32, u32)> {
        let count = self.int(2);
        (0..count).map(|_| (self.int(8), self.int(4) as u32, self.int(4) as u32)).collect()
    }
}

/// The pads of a transfer or a loan; `None` for any other frame.
pub(crate) fn sent(bytes: &[u8]) -> Option<Sent> {
    let mut r = Bytes(&bytes[2..]);
    match bytes[1] {
        2 => {
            let mut name = r.0[..18].to_vec();
            r.int(8);
            r.int(8);
            r.int(2);
            r.int(4 + 4);
            r.int(8);
            r.int(1 + 4);
            let count = r.int(2);
            let route: Vec<_> = (0..count).map(|_| LinkId(r.int(4) as u32)).collect();
            let hop = r.int(2) as usize;
            name.push(hop as u8);
            Some(Sent { name, link: Err((route, hop)), stretches: r.stretches(), transfer: true })
        }
        5 => {
            let name = r.0.to_vec();
            let link = LinkId(r.int(4) as u32);
            r.int(8);
            r.stretches();
            Some(Sent { name, link: Ok(link), stretches: r.stretches(), transfer: false })
        }
        _ => None,
    }
}
