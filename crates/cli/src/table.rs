//! Aligned tables of text.

/// Rows of cells under headings; numbers are to be right-aligned, names left-aligned.
///
/// ```
/// use bellwether_cli::table::{Align, Table};
///
/// let mut table = Table::new([("link", Align::Left), ("loss", Align::Right)]);
/// table.row(["A-B".to_owned(), "7.5 dB".to_owned()]);
/// assert_eq!(table.render(false), "  link    loss\n  A-B   7.5 dB\n");
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// To which side a column's cells go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

impl Table {
    /// An empty table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let headings = headings.into_iter().map(|(text, align)| (text.to_owned(), align)).collect();
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row; cells beyond the headings are dropped, missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<_> = cells.into_iter().take(self.headings.len()).collect();
        cells.resize(self.headings.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, indented by two, with two spaces between columns and none at the ends of lines. Columns in
    /// which no row says anything are left out. `styled` makes the headings bold by ANSI codes.
    pub fn render(&self, styled: bool) -> String {
        let widths: Vec<_> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                let widest = cells.max().unwrap_or(0);
                if widest == 0 { 0 } else { widest.max(self.headings[column].0.chars().count()) }
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for ((cell, &width), (_, align)) in cells.zip(&widths).zip(&self.headings) {
                if width > 0 {
                    let padding = " ".repeat(width - cell.chars().count().min(width));
                    line.push_str("  ");
                    match align {
                        Align::Left => line.extend([cell, &padding]),
                        Align::Right => line.extend([padding.as_str(), cell]),
                    }
                }
            }
            line.trim_end().to_owned()
        };
        let heading = line(&mut self.headings.iter().map(|(text, _)| text.as_str()));
        let mut text = if styled { format!("\x1b[1m{heading}\x1b[0m\n") } else { format!("{heading}\n") };
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
            text.push('\n');
        }
        text
    }
}

/// `text` in lines of at most `width` characters, all but the first indented by `indent` more.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let more = word.chars().count();
        if length > 0 && length + 1 + more > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += more;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_characters_and_empty_ones_go() {
        let mut table = Table::new([("name", Align::Left), ("nothing", Align::Left), ("µ", Align::Right)]);
        table.row(["é".to_owned(), String::new(), "1".to_owned()]);
        table.row(["longer".to_owned(), String::new(), "−10".to_owned()]);
        assert_eq!(table.render(false), "  name      µ\n  é         1\n  longer  −10\n");
        assert!(table.render(true).starts_with("\x1b[1m"));
    }

    #[test]
    fn long_text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 8, 2), "one two\n  three");
        assert_eq!(wrap("", 8, 2), "");
    }
}
