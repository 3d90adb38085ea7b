//! Mistakes as text for a terminal.

use super::{Errors, Mistake, Place};
use crate::text::{Texts, clip, line_and_column};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use core::ops::Range;

/// The most of a line that is shown on either side of the text at fault, in bytes.
const MARGIN: usize = 160;
/// The most of the text at fault that is shown, in bytes.
const LONGEST_MARK: usize = 240;

impl Place {
    /// The place of a span, with the lines around it.
    pub(crate) fn new(texts: &Texts<'_>, span: &Range<usize>, what: String) -> Self {
        let (named, span) = texts.find(span);
        let (text, bytes) = (named.text, named.text.as_bytes());
        let (line, column) = line_and_column(text, span.start);
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let marked_end = boundary(span.end.min(span.start + LONGEST_MARK));
        let line_start =
            bytes[..span.start].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line_end = bytes[marked_end..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |newline| marked_end + newline);
        let start = line_start.max(boundary(span.start.saturating_sub(MARGIN)));
        let end = line_end.min(boundary((marked_end + MARGIN).min(text.len()))).max(marked_end);
        Self {
            file: named.name.to_owned(),
            line,
            column,
            what,
            excerpt: text[start..end].to_owned(),
            mark: span.start - start..marked_end - start,
            whole_lines: start == line_start,
            span,
        }
    }
}

/// The report on all mistakes.
pub(super) fn render(errors: &Errors, coloured: bool) -> String {
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut report = String::new();
    for mistake in errors.mistakes.iter().take(Errors::SHOWN) {
        report.push_str(&render_one(&renderer, &errors.file, mistake));
        report.push_str("\n\n");
    }
    let shown = errors.mistakes.len().min(Errors::SHOWN);
    if errors.count > shown {
        report.push_str(&format!("and {} more mistakes in {}\n", errors.count - shown, clip(&errors.file)));
    } else {
        report.pop();
    }
    report
}

fn render_one(renderer: &Renderer, file: &str, mistake: &Mistake) -> String {
    let mut group =
        Level::ERROR.primary_title(mistake.problem.to_string()).elements(Vec::<Origin<'_>>::new());
    match &mistake.place {
        Some(place) => {
            let label = (!place.what.is_empty()).then_some(place.what.as_str());
            let mark = AnnotationKind::Primary.span(place.mark.clone()).label(label);
            let snippet = Snippet::source(place.excerpt.as_str()).line_start(place.line).annotation(mark);
            group = if place.whole_lines {
                group.element(snippet.path(place.file.as_str()))
            } else {
                let origin = Origin::path(place.file.as_str()).line(place.line).char_column(place.column);
                group.element(origin).element(snippet)
            };
        }
        None => group = group.element(Origin::path(file)),
    }
    if let Some(remedy) = mistake.problem.remedy() {
        group = group.element(Level::HELP.message(remedy));
    }
    renderer.render(&[group])
}
