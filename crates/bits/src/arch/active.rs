//! Which links of each check still matter.

use super::sweep::Visit;

/// For every row and every copy of the first stream, the links of the check that are still visited, in rising order.
///
/// The streams go in step, so that a link is dropped in all of them or in none. No list ever names a link that its row does
/// not have: that is what the vector ways of sweeping rely on.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    /// Links of each row.
    lengths: Vec<usize>,
    /// Places that a list takes.
    width: usize,
    /// By copy and row, `width` places.
    links: Vec<u8>,
    /// By copy and row, how many places are in use.
    counts: Vec<u16>,
}

impl Active {
    /// All links of all rows, whose visits end at `ends`, in `period` copies.
    pub(crate) fn all(ends: &[u32], period: usize) -> Self {
        let mut start = 0;
        let lengths: Vec<usize> = ends
            .iter()
            .map(|&end| {
                let length = (end - start) as usize;
                start = end;
                length
            })
            .collect();
        let width = lengths.iter().copied().max().unwrap_or(0);
        assert!(width <= 256, "a link's number is a byte");
        let lists = lengths.len() * period;
        let mut active = Self { links: vec![0; width * lists], counts: vec![0; lists], lengths, width };
        active.restore();
        active
    }

    /// Names all links again.
    pub(crate) fn restore(&mut self) {
        let rows = self.lengths.len();
        for (number, links) in self.links.chunks_exact_mut(self.width.max(1)).enumerate() {
            for (link, place) in links.iter_mut().enumerate() {
                *place = link as u8;
            }
            self.counts[number] = self.lengths[number % rows] as u16;
        }
    }

    /// Whether these are lists for rows that end at `ends` in `period` copies.
    pub(crate) fn suits(&self, ends: &[u32], period: usize) -> bool {
        let mut start = 0;
        let lengths = ends.iter().map(|&end| {
            let length = (end - start) as usize;
            start = end;
            length
        });
        self.counts.len() == self.lengths.len() * period && lengths.eq(self.lengths.iter().copied())
    }

    /// The links of a row and copy.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize, copy: usize) -> &[u8] {
        let list = copy * self.lengths.len() + row;
        &self.links[list * self.width..][..usize::from(self.counts[list])]
    }

    /// Drops the links to words that are settled: `settled` has a byte that is not zero for each such word of the first
    /// stream, of which every copy has `columns`. The `marks` of the links that stay, which lie in the order of the lists,
    /// move up.
    pub(crate) fn drop_settled(
        &mut self,
        visits: &[Visit],
        columns: usize,
        settled: &[u8],
        marks: &mut [[u64; 2]],
    ) {
        let rows = self.lengths.len();
        if self.width == 0 {
            return;
        }
        let of_stream = self.counts.len() / rows * visits.len();
        let mut start = 0;
        for (number, (links, count)) in
            self.links.chunks_exact_mut(self.width).zip(&mut self.counts).enumerate()
        {
            let (row, copy) = (number % rows, number / rows);
            start = if row == 0 { 0 } else { start };
            let row_visits = &visits[start..start + self.lengths[row]];
            let mut kept = 0;
            for place in 0..usize::from(*count) {
                let link = links[place];
                let word = copy * columns + row_visits[usize::from(link)].word as usize;
                let word = if word >= settled.len() { word - settled.len() } else { word };
                // Without a branch: which links go is hard to foresee. `kept` is not above `place`.
                links[kept] = link;
                for first in (copy * visits.len() + start..marks.len()).step_by(of_stream) {
                    marks[first + kept] = marks[first + place];
                }
                kept += usize::from(settled[word] == 0);
            }
            *count = kept as u16;
            start += self.lengths[row];
        }
    }
}
