//! Standard output: tables, sentences and JSON; how numbers are written for people, and how one is
//! asked.

use std::io::{BufRead, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Writes a line to standard output. A reader that has gone away (`| head`) is no error.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    written(writeln!(std::io::stdout().lock(), "{text}"))
}

/// Writes whole lines to standard output.
pub(crate) fn text(lines: &str) -> Result<(), Failure> {
    written(std::io::stdout().lock().write_all(lines.as_bytes()))
}

/// Writes a line to standard error: what happens, not what results.
pub(crate) fn note(text: impl std::fmt::Display) {
    // A closed standard error must not stop a pull.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::local("write JSON", &error))?;
    line(text)
}

/// Writes a value as one line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string(value).map_err(|error| Failure::local("write JSON", &error))?;
    line(text)?;
    written(std::io::stdout().lock().flush())
}

/// What a person is asked before something is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// What needs the answer, for where nobody can be asked: `a reset`.
    pub(crate) of: &'a str,
    /// What to do there instead.
    pub(crate) instead: &'a str,
    /// The question.
    pub(crate) text: &'a str,
    /// What is to be typed.
    pub(crate) answer: &'a str,
}

/// Asks, and returns whether exactly the answer was typed.
pub(crate) fn confirmed(question: Question<'_>) -> Result<bool, Failure> {
    let Question { of, instead, text, answer } = question;
    if !std::io::stdin().is_terminal() {
        let message = format!("{of} needs a confirmation, and nobody can be asked here");
        return Err(Failure::usage(message, instead));
    }
    note(text);
    let mut typed = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut typed)
        .map_err(|error| Failure::local("read the confirmation", &error))?;
    Ok(typed.trim() == answer)
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::local("write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Which side of its column a cell's text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Lays rows out under their headings.
pub(crate) fn table(headings: &[(&str, Side)], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        // A file or a pipe has no width to respect.
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(headings.iter().map(|(heading, _)| *heading));
    for row in rows {
        let cells = row.into_iter().zip(headings).map(|(text, (_, side))| {
            let alignment = match side {
                Side::Left => CellAlignment::Left,
                Side::Right => CellAlignment::Right,
            };
            Cell::new(text).set_alignment(alignment)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    table
}

/// Writes a count with thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a count with what is counted: `1 row`, `2,000 rows`.
pub(crate) fn number_of(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// Writes a size with three digits and a binary unit: `12.3 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut tenths = u128::from(size) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// Writes a span of time: `850 ms`, `12.3 s`, `4 m 05 s`, `3 h 20 m`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1000 / 100),
        60_000..3_600_000 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_with_thousands_set_apart() {
        let texts = [0, 12, 999, 1_000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn one_is_counted_in_the_singular() {
        let texts = [0, 1, 2_000].map(|number| number_of(number, "row"));
        assert_eq!(texts, ["0 rows", "1 row", "2,000 rows"]);
    }

    #[test]
    fn sizes_are_written_with_three_digits() {
        let sizes = [0, 1_023, 1_024, 1_536, 104_857_600, 5_000_000_000, u64::MAX];
        let texts = sizes.map(bytes);
        assert_eq!(
            texts,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 MiB", "4.6 GiB", "16383 PiB"]
        );
    }

    #[test]
    fn spans_are_written_in_two_units_at_most() {
        let texts = [0, 850, 12_345, 245_000, 12_000_000].map(span);
        assert_eq!(texts, ["0 ms", "850 ms", "12.3 s", "4 m 05 s", "3 h 20 m"]);
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        let rows =
            vec![vec!["A".to_owned(), "1".to_owned()], vec!["BBB".to_owned(), "1,000".to_owned()]];
        let text = table(&[("table", Side::Left), ("rows", Side::Right)], rows).to_string();
        assert!(text.contains("│ A     ┆     1 │"), "{text}");
    }
}
