//! YAML text → a tree in which every value knows its line and column.
//!
//! The tree is read once and then walked by [`super::fields`], so that all problems of a file are
//! told at once and each at its place.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::problem::Problem;

/// A place in the file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Position {
    /// The first character of the file.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// One value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What YAML says a value is.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field and where it stands.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    // As YAML 1.2 has it: a column may be called N, Y or ON.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options::<Node>(text, options)
        .map_err(|error| syntax_problem(&error))
}

/// Words a syntax error without the library's snippet, which could show a secret.
fn syntax_problem(error: &serde_saphyr::Error) -> Problem {
    let at = error.location().map_or(Position::START, Position::of);
    let text = error.without_snippet().to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    if let Some(rest) = reason.strip_prefix("duplicate mapping key: ") {
        let name = rest.split(',').next().unwrap_or_default();
        return Problem::new(at, name, "the field stands here a second time")
            .repair("remove one of the two");
    }
    if reason.starts_with("multiple YAML documents") {
        return Problem::new(at, "", "a second YAML document begins here")
            .repair("write one connection into one file");
    }
    Problem::new(at, "", format!("the text is not YAML: {reason}"))
}

impl Value {
    /// Names the kind of the value, never the value itself.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Float => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "fields",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        Ok(Self { at: Position::of(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(from)?;
        Ok(Self { at: Position::of(spanned.referenced), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Value, E> {
        // No field takes a fraction, so only its kind is ever told.
        Ok(Value::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}
