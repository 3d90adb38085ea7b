//! The reference of network files, for the book.

use crate::record::network::FILE;
use crate::record::{Field, Kind, Presence, QuantityKind, Record, quantities};
use crate::wording::example;

/// The keys at the top whose tables are told last, for they repeat what links have.
const LAST: [&str; 5] = ["defaults", "transmitter", "receiver", "platform", "generate"];

/// All tables and keys of a network file as a chapter in Markdown: what each means, its kind, its default.
///
/// ```
/// let chapter = bellwether_network::reference_markdown();
/// assert!(chapter.contains("### `[link.NAME.fibre]`"));
/// ```
pub fn reference_markdown() -> String {
    let mut chapter = String::from(
        "# The network file\n\n\
         A network file is TOML. Every physical value is a text with its unit; a key that is not known here is \
         refused. A name has 1 to 64 letters, digits, `-` and `_`; that of an application, characters of a URI. A path such as `link.A-B.fibre.length` names \
         one value, as `--set` does.\n\n\
         ## Quantities\n\n| quantity | units | example |\n|---|---|---|\n",
    );
    for kind in QUANTITIES {
        let units: Vec<_> = kind.units.iter().map(|unit| format!("`{}`", unit.name)).collect();
        chapter.push_str(&format!("| {} | {} | `\"{}\"` |\n", kind.kind, units.join(", "), kind.example));
    }
    chapter.push_str("\n## Tables\n\n### At the top\n\n");
    let mut told = vec![FILE.name];
    keys(&FILE, &mut chapter);
    let later = |field: &&Field| LAST.contains(&field.key);
    for field in FILE.fields.iter().filter(|field| !later(field)).chain(FILE.fields.iter().filter(later)) {
        table(field, "", &mut told, &mut chapter);
    }
    chapter
}

static QUANTITIES: [&QuantityKind; 12] = [
    &quantities::ANGLE,
    &quantities::CURRENT,
    &quantities::DURATION,
    &quantities::FREQUENCY,
    &quantities::LENGTH,
    &quantities::LOSS,
    &quantities::LOSS_PER_LENGTH,
    &quantities::POWER,
    &quantities::RAMAN,
    &quantities::RATE,
    &quantities::SIZE,
    &quantities::WAVELENGTH,
];

/// The section of a key's table and of all tables below it, unless it was told before.
fn table(field: &'static Field, above: &str, told: &mut Vec<&'static str>, chapter: &mut String) {
    let dot = if above.is_empty() { "" } else { "." };
    let (record, path, heading) = match field.kind {
        Kind::Table(record) | Kind::TableOrProfile(record) => {
            let path = format!("{above}{dot}{}", field.key);
            (record, path.clone(), format!("[{path}]"))
        }
        Kind::Named(record) | Kind::NamedSaes(record) => {
            let path = format!("{above}{dot}{}.NAME", field.key);
            (record, path.clone(), format!("[{path}]"))
        }
        Kind::List(record) => {
            let path = format!("{above}{dot}{}", field.key);
            (record, path.clone(), format!("[[{path}]]"))
        }
        _ => return,
    };
    if told.contains(&record.name) {
        return;
    }
    told.push(record.name);
    chapter.push_str(&format!("### `{heading}`\n\n{}\n\n", record.doc));
    keys(record, chapter);
    for inner in record.fields {
        table(inner, &path, told, chapter);
    }
}

fn keys(record: &Record, chapter: &mut String) {
    chapter.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for field in record.fields {
        let default = match field.presence {
            Presence::Required => "required".to_owned(),
            Presence::Default("") | Presence::Optional => String::new(),
            Presence::Default(text) => format!("`{text}`"),
        };
        let mut meaning = field.doc.to_owned();
        for only in field.only {
            let words: Vec<_> = only.values.iter().map(|word| format!("`{word}`")).collect();
            meaning.push_str(&format!(" Only with `{}` {}.", only.key, words.join(", ")));
        }
        let item = match &field.kind {
            Kind::PerEnd(item) | Kind::Several { item, .. } => item,
            kind => kind,
        };
        if let Kind::Choice(words) | Kind::Choices(words) = item {
            for word in *words {
                meaning.push_str(&format!("<br>`\"{}\"`: {}", word.word, word.doc));
            }
        }
        if let Kind::QuantityOr(_, word) = field.kind {
            meaning.push_str(&format!("<br>`\"{}\"`: {}", word.word, word.doc));
        }
        let cells = [format!("`{}`", field.key), value(field, &field.kind), default, meaning];
        chapter.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    chapter.push('\n');
}

fn value(field: &Field, kind: &Kind) -> String {
    match kind {
        Kind::QuantityOr(kind, word) => format!("{} or `\"{}\"`", kind.kind, word.word),
        Kind::PerEnd(item) => format!("{}, or a list of one for each end", value(field, item)),
        Kind::Several { item, least, most } if least == most => {
            format!("list of {least}: {}", value(field, item))
        }
        Kind::Several { item, least, most } => format!("list of {least} to {most}: {}", value(field, item)),
        Kind::Text => "text".to_owned(),
        Kind::Name => "name".to_owned(),
        Kind::SaeName => "name of an application".to_owned(),
        Kind::Address => "IP address and port, as one text".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::TwoNodes | Kind::Position => {
            let example = example(field);
            let written = example.split_once(" = ").map_or(example.as_str(), |(_, written)| written);
            format!("`{written}`")
        }
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Integer { least, most: u64::MAX } => format!("whole number, {least} or more"),
        Kind::Integer { least, most } if least == most => format!("`{least}`"),
        Kind::Integer { least, most } => format!("whole number, {least} to {most}"),
        Kind::Number(range) => format!("{}, {}", range.what, range.words()),
        Kind::Quantity(kind) => kind.kind.to_owned(),
        Kind::Choice(_) => "word".to_owned(),
        Kind::Choices(_) => "list of words".to_owned(),
        Kind::Table(inner) => format!("table ({})", inner.name),
        Kind::TableOrProfile(inner) => format!("table ({}) or the name of a profile", inner.name),
        Kind::Named(inner) | Kind::NamedSaes(inner) => format!("tables by name ({})", inner.name),
        Kind::List(inner) => format!("list of tables ({})", inner.name),
    }
}
