//! Where mistakes are gathered while a file is read.

use crate::error::Place;
use crate::text::Texts;
use crate::{Errors, Mistake, Problem};
use core::ops::Range;
use std::collections::BTreeSet;

/// Gathers mistakes. A mistake that many links share, in a default or a profile, is told once.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) texts: Texts<'a>,
    kept: Vec<(Range<usize>, Mistake)>,
    seen: BTreeSet<(usize, usize, String)>,
    count: usize,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(texts: Texts<'a>) -> Self {
        Self { texts, kept: Vec::new(), seen: BTreeSet::new(), count: 0 }
    }

    /// Tells that `problem` is with the text at `span`, which is `what`.
    pub(crate) fn tell(&mut self, span: Range<usize>, what: impl FnOnce() -> String, problem: Problem) {
        if self.kept.len() >= Errors::KEPT {
            self.count += 1;
        } else if self.seen.insert((span.start, span.end, problem.to_string())) {
            self.count += 1;
            let place = Place::new(&self.texts, &span, what());
            self.kept.push((span, Mistake { problem, place: Some(place) }));
        }
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// Whether what is told is still kept, so that it is worth saying more than that it is wrong.
    pub(crate) fn has_room(&self) -> bool {
        self.kept.len() < Errors::KEPT
    }

    /// All that was told.
    pub(crate) fn into_errors(mut self) -> Errors {
        self.kept.sort_by_key(|(span, _)| span.start);
        Errors {
            file: self.texts.file.name.to_owned(),
            mistakes: self.kept.into_iter().map(|(_, mistake)| mistake).collect(),
            count: self.count,
        }
    }
}
