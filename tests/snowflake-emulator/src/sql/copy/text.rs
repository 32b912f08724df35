//! Reads CSV and JSON files into records.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::format::{Compression, Csv, Json as JsonFormat};
use crate::engine::SqlError;
use crate::sql::json::{self, Json};

/// Most bytes of a file after decompression.
const MOST_BYTES: u64 = 4 << 30;

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record<T> {
    /// The line it starts in, from 1.
    pub line: u64,
    pub content: T,
}

/// The names that a header gave, and the records.
pub(crate) type Table = (Option<Vec<String>>, Vec<Record<Fields>>);

/// Fields of a CSV record; `None` is NULL.
pub(crate) type Fields = Vec<Option<String>>;

/// The plain content of a file that may be compressed.
pub(crate) fn unpacked(
    content: Bytes,
    compression: Compression,
    file: &str,
) -> Result<Bytes, SqlError> {
    let packed = match compression {
        Compression::None => false,
        Compression::Gzip => true,
        Compression::Auto => content.starts_with(&[0x1f, 0x8b]),
    };
    if !packed {
        return Ok(content);
    }
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(content.as_ref()).take(MOST_BYTES).read_to_end(&mut plain);
    read.map_err(|error| SqlError {
        code: "100085",
        sql_state: "22000",
        message: format!("Error decompressing the file '{file}': {error}"),
    })?;
    Ok(plain.into())
}

/// The text of a file, without a byte order mark.
fn decoded(content: &[u8], replace_invalid: bool, file: &str) -> Result<String, SqlError> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    if replace_invalid {
        return Ok(String::from_utf8_lossy(content).into_owned());
    }
    std::str::from_utf8(content).map(ToOwned::to_owned).map_err(|error| SqlError {
        code: "100144",
        sql_state: "22000",
        message: format!(
            "Invalid UTF8 detected in string at byte {}\n  File '{file}'",
            error.valid_up_to()
        ),
    })
}

/// Cuts a CSV file into records; with PARSE_HEADER the names come first.
pub(crate) fn csv(content: &[u8], format: &Csv, file: &str) -> Result<Table, SqlError> {
    let text = decoded(content, format.replace_invalid, file)?;
    let mut cutter = Cutter { rest: &text, line: 1, format, file };
    for _ in 0..format.skip_header {
        cutter.skip_line();
    }
    let mut names = None;
    let mut records = Vec::new();
    while !cutter.rest.is_empty() {
        let line = cutter.line;
        let fields = cutter.record()?;
        let blank =
            matches!(fields.as_slice(), [Field { text, enclosed: false }] if text.is_empty());
        if blank && format.skip_blank_lines {
            continue;
        }
        if format.parse_header && names.is_none() {
            names = Some(fields.into_iter().map(|field| field.text).collect());
            continue;
        }
        let content = fields.into_iter().map(|field| field.value(format)).collect();
        records.push(Record { line, content });
    }
    Ok((names, records))
}

struct Field {
    text: String,
    enclosed: bool,
}

impl Field {
    fn value(self, format: &Csv) -> Option<String> {
        let text = if format.trim_space && !self.enclosed {
            self.text.trim_matches(' ').to_owned()
        } else {
            self.text
        };
        let empty = text.is_empty() && !self.enclosed && format.empty_field_as_null;
        let is_null = empty || format.null_if.contains(&text);
        (!is_null).then_some(text)
    }
}

struct Cutter<'a> {
    rest: &'a str,
    line: u64,
    format: &'a Csv,
    file: &'a str,
}

impl Cutter<'_> {
    fn skip_line(&mut self) {
        let delimiter = self.format.record_delimiter.as_str();
        let end = self.rest.find(delimiter).map(|at| at + delimiter.len());
        self.rest = end.and_then(|end| self.rest.get(end..)).unwrap_or_default();
        self.line += 1;
    }

    /// The length of the record delimiter that stands here, if one does.
    fn at_record_end(&self) -> Option<usize> {
        let wanted = &self.format.record_delimiter;
        if wanted == "\n" {
            if self.rest.starts_with("\r\n") {
                return Some(2);
            }
            return self.rest.starts_with(['\n', '\r']).then_some(1);
        }
        (!wanted.is_empty() && self.rest.starts_with(wanted.as_str())).then_some(wanted.len())
    }

    fn record(&mut self) -> Result<Vec<Field>, SqlError> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if let Some(length) = self.at_record_end() {
                self.advance(length);
                self.line += u64::from(self.format.record_delimiter != "\n");
                return Ok(fields);
            }
            if self.rest.is_empty() {
                return Ok(fields);
            }
            let delimiter = self.format.field_delimiter.len();
            self.advance(delimiter);
        }
    }

    fn advance(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let lines = taken.matches('\n').count();
        self.line += u64::try_from(lines).unwrap_or(0);
        self.rest = rest;
    }

    fn at_field_end(&self) -> bool {
        let delimiter = &self.format.field_delimiter;
        self.rest.is_empty()
            || (!delimiter.is_empty() && self.rest.starts_with(delimiter.as_str()))
            || self.at_record_end().is_some()
    }

    fn field(&mut self) -> Result<Field, SqlError> {
        let quote = self.format.enclosed_by;
        let blanks = self.rest.len() - self.rest.trim_start_matches(' ').len();
        let ahead = self.rest.get(blanks..).unwrap_or_default();
        let skip = if self.format.trim_space { blanks } else { 0 };
        match quote.filter(|quote| {
            if skip > 0 { ahead.starts_with(*quote) } else { self.rest.starts_with(*quote) }
        }) {
            Some(quote) => {
                self.advance(skip + quote.len_utf8());
                self.enclosed(quote)
            }
            None => Ok(self.plain()),
        }
    }

    fn plain(&mut self) -> Field {
        let mut text = String::new();
        while !self.at_field_end() {
            let Some(character) = self.rest.chars().next() else { break };
            self.advance(character.len_utf8());
            let escape = self.format.escape.or(self.format.escape_unenclosed);
            if Some(character) == escape {
                if let Some(next) = self.rest.chars().next() {
                    self.advance(next.len_utf8());
                    match next {
                        // `\N` stays as it is, because NULL_IF compares it.
                        'N' => text.push_str("\\N"),
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        other => text.push(other),
                    }
                }
                continue;
            }
            text.push(character);
        }
        Field { text, enclosed: false }
    }

    fn enclosed(&mut self, quote: char) -> Result<Field, SqlError> {
        let mut text = String::new();
        loop {
            let Some(character) = self.rest.chars().next() else {
                return Err(SqlError {
                    code: "100068",
                    sql_state: "22000",
                    message: format!(
                        "End of record reached while expected to parse column\n  File '{}', line {}",
                        self.file, self.line
                    ),
                });
            };
            self.advance(character.len_utf8());
            if Some(character) == self.format.escape && character != quote {
                if let Some(next) = self.rest.chars().next() {
                    self.advance(next.len_utf8());
                    text.push(next);
                }
            } else if character != quote {
                text.push(character);
            } else if self.rest.starts_with(quote) {
                self.advance(quote.len_utf8());
                text.push(quote);
            } else {
                break;
            }
        }
        if self.format.trim_space {
            let blanks = self.rest.len() - self.rest.trim_start_matches(' ').len();
            self.advance(blanks);
        }
        if !self.at_field_end() {
            let found = self.rest.chars().next().unwrap_or_default();
            return Err(SqlError {
                code: "100016",
                sql_state: "22000",
                message: format!(
                    "Found character '{found}' instead of field delimiter '{}'\n  File '{}', line {}",
                    self.format.field_delimiter, self.file, self.line
                ),
            });
        }
        Ok(Field { text, enclosed: true })
    }
}

/// Cuts a JSON file into documents.
pub(crate) fn json(
    content: &[u8],
    format: &JsonFormat,
    file: &str,
) -> Result<Vec<Record<Json>>, SqlError> {
    let text = decoded(content, false, file)?;
    let documents = json::parse_all(&text).map_err(|error| SqlError {
        code: "100069",
        sql_state: "22P02",
        message: format!("Error parsing JSON: {error}\n  File '{file}'"),
    })?;
    let mut records = Vec::new();
    for (at, document) in documents {
        let lines = text.get(..at).unwrap_or_default().matches('\n').count();
        let line = u64::try_from(lines).unwrap_or(0) + 1;
        match document {
            Json::Array(items) if format.strip_outer_array => {
                records.extend(items.into_iter().map(|content| Record { line, content }));
            }
            content => records.push(Record { line, content }),
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::copy::format::Format;
    use crate::stages::{Setting, Settings};

    fn csv_format(options: &[(&str, &str)]) -> Csv {
        let settings: Settings = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Setting::Text((*value).to_owned())))
            .collect();
        match Format::of(&settings).unwrap() {
            Format::Csv(csv) => csv,
            other => panic!("{other:?}"),
        }
    }

    fn shown(text: &str, options: &[(&str, &str)]) -> String {
        match csv(text.as_bytes(), &csv_format(options), "f") {
            Ok((_, records)) => records
                .iter()
                .map(|record| {
                    let cells = record.content.iter();
                    let cells = cells.map(|cell| cell.as_deref().unwrap_or("NULL"));
                    cells.collect::<Vec<_>>().join("|")
                })
                .collect::<Vec<_>>()
                .join(" / "),
            Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn csv_is_cut_as_the_options_say() {
        let quoted = [("FIELD_OPTIONALLY_ENCLOSED_BY", "\"")];
        assert_eq!(shown("1,a\n2,b", &[]), "1|a / 2|b");
        assert_eq!(shown("1,a\r\n2,\\N\n", &[]), "1|a / 2|NULL");
        assert_eq!(shown("1,\n,x\n", &[]), "1|NULL / NULL|x");
        assert_eq!(shown("1,\"a,\"\"b\n\"\n", &quoted), "1|a,\"b\n");
        assert_eq!(shown("1,\"\"\n", &quoted), "1|");
        assert_eq!(shown("1,\"a\"x\n", &quoted), "100016");
        assert_eq!(shown("1,\"a\n", &quoted), "100068");
        assert_eq!(shown("h\n1|2\n", &[("SKIP_HEADER", "1"), ("FIELD_DELIMITER", "|")]), "1|2");
        assert_eq!(
            shown("a;b#c;d", &[("FIELD_DELIMITER", ";"), ("RECORD_DELIMITER", "#")]),
            "a|b / c|d"
        );
        assert_eq!(shown(" a , b ", &[("TRIM_SPACE", "TRUE")]), "a|b");
        assert_eq!(shown("a\n\nb\n", &[("SKIP_BLANK_LINES", "TRUE")]), "a / b");
        assert_eq!(shown("a\\,b,c\n", &[]), "a,b|c");
        assert_eq!(shown("x\ty", &[("FIELD_DELIMITER", "\\t")]), "x|y");
    }
}
