//! Walks the tree of a file: takes known fields, notes every problem, goes on.

use super::document::{Key, Node, Position, Value};
use super::problem::{Problem, nearest};

/// The problems found so far, in the order of discovery.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns the problems in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.at);
        self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value with the path and place it was read from.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) at: Position,
    pub(super) path: String,
    pub(super) value: T,
}

impl<T> Spot<T> {
    /// Begins a problem of this value.
    pub(super) fn problem(&self, found: impl Into<String>) -> Problem {
        Problem::new(self.at, self.path.clone(), found)
    }

    /// Passes the value through `read`, noting its refusal.
    pub(super) fn check<U>(
        self,
        problems: &mut Problems,
        read: impl FnOnce(&T) -> Result<U, Problem>,
    ) -> Option<U> {
        match read(&self.value) {
            Ok(value) => Some(value),
            Err(problem) => {
                problems.add(Problem { at: self.at, field: self.path, ..problem });
                None
            }
        }
    }
}

/// Whether a value may be shown in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// As it was written.
    Value,
    /// Only its kind: it may be a secret.
    KindOnly,
}

/// The fields of one place in the file.
#[derive(Debug)]
pub(super) struct Section<'d> {
    pub(super) at: Position,
    pub(super) path: String,
    entries: &'d [(Key, Node)],
    /// Fields that an unknown name was probably meant to be; they are not told as missing too.
    meant: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// Takes a node as fields, noting those that are not in `allowed`.
    pub(super) fn open(
        problems: &mut Problems,
        spot: Spot<&'d Node>,
        allowed: &[&'static str],
    ) -> Option<Self> {
        let Value::Map(entries) = &spot.value.value else {
            let found = format!("found {} where fields are needed", spot.value.value.kind());
            problems.add(spot.problem(found).allowed(listed(allowed)));
            return None;
        };
        let mut misspelt = Vec::new();
        for (key, _) in entries.iter().filter(|(key, _)| !allowed.contains(&key.name.as_str())) {
            let problem = Problem::new(key.at, join(&spot.path, &key.name), "unknown field")
                .allowed(listed(allowed));
            match nearest(&key.name, allowed) {
                Some(meant) => {
                    problems.add(problem.repair(format!("perhaps `{meant}` was meant")));
                    misspelt.push(meant);
                }
                None => problems.add(problem),
            }
        }
        Some(Self { at: spot.at, path: spot.path, entries, meant: misspelt })
    }

    /// Returns a field's node, at the place of its name.
    pub(super) fn field(&self, name: &str) -> Option<Spot<&'d Node>> {
        let (key, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Spot { at: key.at, path: join(&self.path, name), value: node })
    }

    /// As [`Section::field`]; its absence is a problem with `repair`.
    pub(super) fn required(
        &self,
        problems: &mut Problems,
        name: &str,
        repair: &str,
    ) -> Option<Spot<&'d Node>> {
        let found = self.field(name);
        if found.is_none() && !self.meant.contains(&name) {
            let problem = Problem::new(self.at, join(&self.path, name), "the field is missing");
            problems.add(problem.repair(repair));
        }
        found
    }
}

/// Takes a node as text that is not empty.
pub(super) fn text(problems: &mut Problems, spot: Spot<&Node>, show: Show) -> Option<Spot<String>> {
    let Spot { path, value: node, .. } = spot;
    let at = node.at;
    let (found, repair) = match &node.value {
        Value::Text(text) if text.trim().is_empty() => ("found an empty text".to_owned(), None),
        Value::Text(text) => return Some(Spot { at, path, value: text.clone() }),
        Value::Null => {
            let problem = Problem::new(spot.at, path, "the field has no value");
            problems.add(problem.repair("write a text after the colon"));
            return None;
        }
        Value::Boolean(value) => (
            format!("found {} where a text is needed", shown(show, value, &node.value)),
            Some("put it in quotes if the text is meant"),
        ),
        Value::Integer(value) => (
            format!("found {} where a text is needed", shown(show, value, &node.value)),
            Some("put it in quotes if the text is meant"),
        ),
        other => (format!("found {} where a text is needed", other.kind()), None),
    };
    let problem = Problem::new(at, path, found);
    problems.add(match repair {
        Some(repair) => problem.repair(repair),
        None => problem,
    });
    None
}

/// Takes a node as a list that is not empty; each element gets its own path.
pub(super) fn list<'d>(
    problems: &mut Problems,
    spot: &Spot<&'d Node>,
    of: &str,
) -> Option<Vec<Spot<&'d Node>>> {
    match &spot.value.value {
        Value::List(nodes) if nodes.is_empty() => {
            problems.add(spot.problem(format!("the list of {of} is empty")));
            None
        }
        Value::List(nodes) => {
            let spots = nodes.iter().enumerate().map(|(index, node)| Spot {
                at: node.at,
                path: format!("{}[{index}]", spot.path),
                value: node,
            });
            Some(spots.collect())
        }
        other => {
            let found = format!("found {} where a list of {of} is needed", other.kind());
            problems.add(spot.problem(found).repair("write it as [A, B] or with `- ` on lines"));
            None
        }
    }
}

/// Takes a node as one of some words.
pub(super) fn choice<T: Copy>(
    problems: &mut Problems,
    spot: Spot<&Node>,
    choices: &[(&'static str, T)],
) -> Option<Spot<T>> {
    let spot = text(problems, spot, Show::Value)?;
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == spot.value) {
        return Some(Spot { at: spot.at, path: spot.path, value: *value });
    }
    let problem = spot.problem(format!("found `{}`", spot.value)).allowed(listed(&words));
    problems.add(match nearest(&spot.value, &words) {
        Some(meant) => problem.repair(format!("perhaps `{meant}` was meant")),
        None => problem,
    });
    None
}

/// Takes a node as true or false.
pub(super) fn switch(problems: &mut Problems, spot: &Spot<&Node>) -> Option<bool> {
    if let Value::Boolean(value) = &spot.value.value {
        return Some(*value);
    }
    let found = format!("found {}", spot.value.value.kind());
    problems.add(spot.problem(found).allowed("true or false"));
    None
}

fn shown(show: Show, value: &dyn std::fmt::Display, kind: &Value) -> String {
    match show {
        Show::Value => format!("the {} `{value}`", kind.kind().trim_start_matches("a ")),
        Show::KindOnly => kind.kind().to_owned(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}
