//! Reads the values of a table by its record.
//!
//! A value is looked for in a few layers, nearest first: what a link says itself, what the profile says that
//! it names, what the file's defaults say. The record gives the type, the range and the default.

use crate::record::{Choice, Field, Kind, Presence, Record};
use crate::sink::Sink;
use crate::text::clip;
use crate::wording::{example, integer_out_of_range, out_of_range, unknown_word, wrong_count, wrong_type};
use crate::{Problem, nearest};
use bellwether_units::{Quantity, QuantityError};
use core::ops::Range as Span;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a table stands, for messages: a chain of names from the inside out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    pub(crate) name: &'p str,
    /// Which one of a list it is.
    pub(crate) place: Option<usize>,
    pub(crate) within: Option<&'p Path<'p>>,
}

impl<'p> Path<'p> {
    /// The file itself.
    pub(crate) const FILE: Path<'static> = Path { name: "", place: None, within: None };

    /// What is called `name` at the top of the file.
    pub(crate) const fn top(name: &'p str) -> Self {
        Self { name, place: None, within: None }
    }

    /// What is called `name` within this.
    pub(crate) const fn below<'q>(&'q self, name: &'q str) -> Path<'q> {
        Path { name, place: None, within: Some(self) }
    }

    /// A key here, as an override would name it: `link.A-B.fibre.length`.
    pub(crate) fn of(&self, key: &str) -> String {
        let mut words = self.words();
        if !words.is_empty() {
            words.push('.');
        }
        words.push_str(key);
        words
    }

    /// That something is here.
    pub(crate) fn here(&self) -> String {
        let words = self.words();
        if words.is_empty() { words } else { format!("in {words}") }
    }

    fn words(&self) -> String {
        let mut words = self.within.map_or_else(String::new, Path::words);
        if !words.is_empty() {
            words.push('.');
        }
        words.push_str(&clip(self.name));
        if let Some(place) = self.place {
            words.push_str(&format!(".{place}"));
        }
        words
    }
}

/// A table and where it stands in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a, 'i> {
    pub(crate) table: &'a DeTable<'i>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a, 'i> Layer<'a, 'i> {
    /// The table of a value, if it is one.
    pub(crate) fn of(value: &'a Spanned<DeValue<'i>>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => {
                let span = value.span();
                Some(Self { table, start: span.start, end: span.end })
            }
            _ => None,
        }
    }
}

/// The layers of a table, nearest first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layers<'a, 'i>([Option<Layer<'a, 'i>>; 3]);

impl<'a, 'i> Layers<'a, 'i> {
    pub(crate) fn one(layer: Option<Layer<'a, 'i>>) -> Self {
        Self([layer, None, None])
    }

    /// Adds a layer behind the others; a fourth is dropped, and none is ever asked for.
    pub(crate) fn push(&mut self, layer: Option<Layer<'a, 'i>>) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = layer;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Layer<'a, 'i>> {
        self.0.into_iter().flatten()
    }

    /// The nearest value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.iter().find_map(|layer| layer.table.get(key))
    }

    /// The tables that a key has in these layers.
    pub(crate) fn child(&self, key: &str) -> Self {
        let mut child = Self::default();
        for layer in self.iter() {
            child.push(layer.table.get(key).and_then(Layer::of));
        }
        child
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }
}

/// Reads one table by its record.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'i, 'p> {
    pub(crate) layers: Layers<'a, 'i>,
    pub(crate) record: &'static Record,
    pub(crate) path: Path<'p>,
    /// What is marked when a key is missing.
    pub(crate) span: Span<usize>,
}

impl<'a, 'i, 'p> Reader<'a, 'i, 'p> {
    /// A reader of a table with all its layers; `span` is marked when a key is missing.
    pub(crate) fn new(
        layers: Layers<'a, 'i>,
        record: &'static Record,
        path: Path<'p>,
        span: Span<usize>,
    ) -> Self {
        Self { layers, record, path, span }
    }

    /// The value of a key, with its record.
    pub(crate) fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        debug_assert!(self.record.field(key).is_some(), "{} has no record of {key}", self.record.name);
        self.layers.get(key)
    }

    fn field(&self, key: &'static str) -> &'static Field {
        // Every caller names a key of its record; the test that reads every key of every record proves it.
        self.record.field(key).expect("the record has the key")
    }

    /// Tells what is wrong with the value of a key.
    pub(crate) fn tell(&self, sink: &mut Sink<'_>, span: Span<usize>, key: &str, problem: Problem) {
        sink.tell(span, || self.path.of(key), problem);
    }

    /// The value of a key, or what it is when left out, as text; `None` if it is optional or missing.
    fn found(&self, key: &'static str, sink: &mut Sink<'_>) -> Found<'a, 'i> {
        let field = self.field(key);
        if let Some(value) = self.layers.get(key) {
            return Found::Value(value);
        }
        match field.presence {
            Presence::Default(text) => Found::Default(text),
            Presence::Optional => Found::Nothing,
            Presence::Required => {
                self.missing(sink, key);
                Found::Nothing
            }
        }
    }

    /// Tells that a key is missing, unless it is there with a slip of the pen, which is told by itself.
    pub(crate) fn missing(&self, sink: &mut Sink<'_>, key: &'static str) {
        self.missing_of(sink, &[key], key);
    }

    /// Tells that one of some keys is missing; `words` names them.
    pub(crate) fn missing_of(&self, sink: &mut Sink<'_>, keys: &[&'static str], words: &'static str) {
        let known = || self.record.fields.iter().map(|field| field.key);
        let slip = |name: &str| {
            self.record.field(name).is_none()
                && nearest(name, known()).is_some_and(|near| keys.contains(&near))
        };
        if self.layers.iter().any(|layer| layer.table.keys().any(|name| slip(name.get_ref()))) {
            return;
        }
        let Some(&first) = keys.first() else { return };
        let example = example(self.field(first));
        let key = words;
        let problem = Problem::Missing { key, table: self.record.name, example };
        sink.tell(self.span.clone(), || self.path.here(), problem);
    }

    /// A quantity.
    pub(crate) fn quantity<Q: Quantity>(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<Q> {
        debug_assert!(
            matches!(self.field(key).kind, Kind::Quantity(kind) if kind.kind == Q::KIND),
            "{key} is no {}",
            Q::KIND
        );
        match self.found(key, sink) {
            Found::Value(value) => self.quantity_of(key, value, sink),
            Found::Default(text) => Q::parse(text).ok(),
            Found::Nothing => None,
        }
    }

    /// The quantity that a value of this key is.
    pub(crate) fn quantity_of<Q: Quantity>(
        &self,
        key: &'static str,
        value: &'a Spanned<DeValue<'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<Q> {
        match parse_quantity(self.text_of(key, value, sink)?) {
            Ok(quantity) => Some(quantity),
            Err(error) => {
                self.tell(sink, value.span(), key, Problem::Quantity(error));
                None
            }
        }
    }

    /// A quantity, or the word that may stand in its place, which is `None` within.
    #[allow(clippy::option_option)]
    pub(crate) fn quantity_or<Q: Quantity>(
        &self,
        key: &'static str,
        sink: &mut Sink<'_>,
    ) -> Option<Option<Q>> {
        let Found::Value(value) = self.found(key, sink) else { return None };
        match (&self.field(key).kind, value.get_ref()) {
            (Kind::QuantityOr(_, word), DeValue::String(text)) if text == word.word => Some(None),
            (Kind::QuantityOr(_, word), DeValue::String(text)) => match parse_quantity(text) {
                Ok(quantity) => Some(Some(quantity)),
                Err(error) => {
                    let condition = format!("or \"{}\"", word.word);
                    let problem = Problem::Condition { what: error.to_string(), condition };
                    self.tell(sink, value.span(), key, problem);
                    None
                }
            },
            _ => self.quantity_of(key, value, sink).map(Some),
        }
    }

    /// A number within the range of its record.
    pub(crate) fn number(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<f64> {
        match self.found(key, sink) {
            Found::Value(value) => self.number_of(key, &self.field(key).kind, value, sink),
            Found::Default(text) => text.parse().ok(),
            Found::Nothing => None,
        }
    }

    /// The number of this kind that a value of this key is.
    pub(crate) fn number_of(
        &self,
        key: &'static str,
        kind: &Kind,
        value: &'a Spanned<DeValue<'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<f64> {
        let Kind::Number(range) = kind else { return None };
        let Some(number) = number(value.get_ref()) else {
            self.wrong_type(sink, key, value);
            return None;
        };
        if range.contains(number) {
            return Some(number);
        }
        self.tell(sink, value.span(), key, out_of_range(value.get_ref(), range));
        None
    }

    /// A whole number within the range of its record.
    pub(crate) fn integer(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<u64> {
        match self.found(key, sink) {
            Found::Value(value) => self.integer_of(key, &self.field(key).kind, value, sink),
            Found::Default(text) => text.parse().ok(),
            Found::Nothing => None,
        }
    }

    /// The whole number of this kind that a value of this key is.
    pub(crate) fn integer_of(
        &self,
        key: &'static str,
        kind: &Kind,
        value: &'a Spanned<DeValue<'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<u64> {
        let Kind::Integer { least, most } = *kind else { return None };
        match integer(value.get_ref()) {
            Integer::Within(number) if (least..=most).contains(&number) => Some(number),
            Integer::Not => {
                self.wrong_type(sink, key, value);
                None
            }
            _ => {
                self.tell(sink, value.span(), key, integer_out_of_range(value.get_ref(), least, most));
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Choice>(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<T> {
        match self.found(key, sink) {
            Found::Value(value) => self.choice_of(key, value, sink),
            Found::Default(word) => pick(word),
            Found::Nothing => None,
        }
    }

    /// The word that a value of this key is.
    pub(crate) fn choice_of<T: Choice>(
        &self,
        key: &'static str,
        value: &'a Spanned<DeValue<'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<T> {
        let word = self.text_of(key, value, sink)?;
        let picked = pick(word);
        if picked.is_none() {
            let problem = unknown_word(key, word, T::WORDS.iter().map(|w| w.word).collect());
            self.tell(sink, value.span(), key, problem);
        }
        picked
    }

    /// Several of a few words; none if the key is left out.
    pub(crate) fn choices<T: Choice>(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<Vec<T>> {
        let Found::Value(value) = self.found(key, sink) else { return Some(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(sink, key, value);
            return None;
        };
        let picked: Vec<Option<T>> = items.iter().map(|item| self.choice_of(key, item, sink)).collect();
        picked.into_iter().collect()
    }

    /// Several values, as many as the record wants, each read by `read`; all mistakes are told. `None` if the key is left
    /// out.
    pub(crate) fn several<T>(
        &self,
        key: &'static str,
        sink: &mut Sink<'_>,
        read: impl Fn(&Kind, &'a Spanned<DeValue<'i>>, &mut Sink<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Found::Value(value) = self.found(key, sink) else { return None };
        let Kind::Several { item: kind, least, most } = self.field(key).kind else { return None };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(sink, key, value);
            return None;
        };
        if !(least..=most).contains(&items.len()) {
            self.tell(sink, value.span(), key, wrong_count(key, least, most, items.len()));
            return None;
        }
        let read: Vec<Option<T>> = items.iter().map(|item| read(kind, item, sink)).collect();
        read.into_iter().collect()
    }

    /// A value for each end of a link: one for both, or a list of two; `default` reads what the record says of a key
    /// left out.
    pub(crate) fn per_end<T: Copy>(
        &self,
        key: &'static str,
        sink: &mut Sink<'_>,
        default: impl Fn(&str) -> Option<T>,
        read: impl Fn(&Kind, &'a Spanned<DeValue<'i>>, &mut Sink<'_>) -> Option<T>,
    ) -> Option<[T; 2]> {
        let Kind::PerEnd(kind) = self.field(key).kind else { return None };
        match self.found(key, sink) {
            Found::Value(value) => match value.get_ref() {
                DeValue::Array(items) => {
                    let [first, second] = items.as_ref() else {
                        self.wrong_type(sink, key, value);
                        return None;
                    };
                    let (first, second) = (read(kind, first, sink), read(kind, second, sink));
                    Some([first?, second?])
                }
                _ => read(kind, value, sink).map(|both| [both; 2]),
            },
            Found::Default(text) => default(text).map(|both| [both; 2]),
            Found::Nothing => None,
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<bool> {
        match self.found(key, sink) {
            Found::Value(value) => {
                let DeValue::Boolean(flag) = value.get_ref() else {
                    self.wrong_type(sink, key, value);
                    return None;
                };
                Some(*flag)
            }
            Found::Default(text) => Some(text == "true"),
            Found::Nothing => None,
        }
    }

    /// Any text.
    pub(crate) fn text(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<String> {
        match self.found(key, sink) {
            Found::Value(value) => self.text_of(key, value, sink).map(str::to_owned),
            Found::Default(text) => Some(text.to_owned()),
            Found::Nothing => None,
        }
    }

    /// Texts; none if the key is left out.
    pub(crate) fn texts(&self, key: &'static str, sink: &mut Sink<'_>) -> Option<Vec<String>> {
        let Found::Value(value) = self.found(key, sink) else { return Some(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(sink, key, value);
            return None;
        };
        items.iter().map(|item| self.text_of(key, item, sink).map(str::to_owned)).collect()
    }

    /// The text of a value of this key.
    pub(crate) fn text_of(
        &self,
        key: &'static str,
        value: &'a Spanned<DeValue<'i>>,
        sink: &mut Sink<'_>,
    ) -> Option<&'a str> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text);
        }
        self.wrong_type(sink, key, value);
        None
    }

    /// A table below this one, whose span is the nearest layer's.
    pub(crate) fn table<'q>(
        &'q self,
        key: &'static str,
        record: &'static Record,
        sink: &mut Sink<'_>,
    ) -> Option<Reader<'a, 'i, 'q>> {
        if let Some(value) = self.layers.get(key)
            && !matches!(value.get_ref(), DeValue::Table(_))
        {
            self.wrong_type(sink, key, value);
            return None;
        }
        let layers = self.layers.child(key);
        let Some(nearest) = layers.iter().next() else {
            if self.field(key).presence == Presence::Required {
                self.missing(sink, key);
            }
            return None;
        };
        let path = self.path.below(key);
        Some(Reader { layers, record, path, span: nearest.start..nearest.end })
    }

    /// Tables in a row; none if the key is left out.
    pub(crate) fn list<'q>(
        &'q self,
        key: &'static str,
        record: &'static Record,
        sink: &mut Sink<'_>,
    ) -> Vec<Reader<'a, 'i, 'q>> {
        let Some(value) = self.layers.get(key) else {
            if self.field(key).presence == Presence::Required {
                self.missing(sink, key);
            }
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(sink, key, value);
            return Vec::new();
        };
        let mut readers = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            match Layer::of(item) {
                Some(layer) => {
                    let path = Path { place: Some(place), ..self.path.below(key) };
                    readers.push(Reader {
                        layers: Layers::one(Some(layer)),
                        record,
                        path,
                        span: item.span(),
                    });
                }
                None => self.wrong_type(sink, key, item),
            }
        }
        readers
    }

    /// Tells that a value is of the wrong type.
    pub(crate) fn wrong_type(&self, sink: &mut Sink<'_>, key: &'static str, value: &Spanned<DeValue<'_>>) {
        let field = self.field(key);
        self.tell(sink, value.span(), key, wrong_type(field, value.get_ref()));
    }
}

enum Found<'a, 'i> {
    Value(&'a Spanned<DeValue<'i>>),
    Default(&'static str),
    Nothing,
}

/// The value of a word, if it is one of those known.
pub(crate) fn pick<T: Choice>(word: &str) -> Option<T> {
    T::WORDS.iter().position(|known| known.word == word).map(|place| T::VALUES[place])
}

/// What a TOML integer is as a natural number.
pub(crate) enum Integer {
    Within(u64),
    Outside,
    Not,
}

/// Reads a quantity; a text too long to be one is not looked at.
pub(crate) fn parse_quantity<Q: Quantity>(text: &str) -> Result<Q, QuantityError> {
    if text.len() <= 60 && !text.contains(char::is_control) { Q::parse(text) } else { Q::parse(&clip(text)) }
}

pub(crate) fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
        _ => None,
    }
}

pub(crate) fn integer(value: &DeValue<'_>) -> Integer {
    match value {
        DeValue::Integer(integer) => {
            u64::from_str_radix(integer.as_str(), integer.radix()).map_or(Integer::Outside, Integer::Within)
        }
        _ => Integer::Not,
    }
}
