//! Plots as SVG text, written by hand: small, crisp, and coloured by the style of the page around them.
//!
//! Shapes carry class names only. [`STYLE`] gives these their colours for light and dark pages and for paper;
//! a report holds it once, a plot that stands alone holds its own copy.

mod axis;
mod comparison;
mod efficiency;
mod histogram;
mod sweep;
mod time;

pub use comparison::{Comparison, comparison};
pub(crate) use efficiency::efficiencies;
pub use histogram::{Bin, Histogram};
pub use sweep::sweep;
pub use time::{Band, Mark, Panel, TimeChart};

/// Colours of the classes that plots use.
pub const STYLE: &str = include_str!("plot.css");

/// `text` with the characters that mean something in HTML and SVG replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters are not allowed in either.
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
