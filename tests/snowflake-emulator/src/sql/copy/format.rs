//! FILE_FORMAT options, checked once and then known to be right.

use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::stage::settings::{flag, invalid_value, list, text, unknown_property};
use crate::stages::Settings;

/// How to read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv(Csv),
    Json(Json),
    Parquet(Parquet),
}

/// `TYPE = CSV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Csv {
    pub compression: Compression,
    pub record_delimiter: String,
    pub field_delimiter: String,
    pub skip_header: usize,
    pub parse_header: bool,
    pub skip_blank_lines: bool,
    pub escape: Option<char>,
    pub escape_unenclosed: Option<char>,
    pub trim_space: bool,
    pub enclosed_by: Option<char>,
    pub null_if: Vec<String>,
    pub error_on_column_count_mismatch: bool,
    pub empty_field_as_null: bool,
    pub replace_invalid: bool,
    pub binary: BinaryFormat,
}

/// How text stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryFormat {
    Hex,
    Base64,
    Utf8,
}

/// `TYPE = JSON`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Json {
    pub compression: Compression,
    pub strip_outer_array: bool,
}

/// `TYPE = PARQUET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parquet {
    /// Bytes without annotation are text.
    pub binary_as_text: bool,
    /// Times, zones, nanoseconds and unsigned integers are what their annotation says.
    pub use_logical_type: bool,
    /// The newer reader, which implies the two above (`FALSE`, `TRUE`).
    pub vectorized: bool,
    pub trim_space: bool,
    pub null_if: Vec<String>,
}

/// How a whole file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// By its first bytes.
    Auto,
    None,
    Gzip,
}

impl Format {
    /// Reads the options of a format; without any it is CSV.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SqlError> {
        match text(settings, "TYPE")?.unwrap_or("CSV").to_uppercase().as_str() {
            "CSV" => csv(settings).map(Self::Csv),
            "JSON" => json(settings).map(Self::Json),
            "PARQUET" => parquet(settings).map(Self::Parquet),
            other @ ("AVRO" | "ORC" | "XML" | "CUSTOM") => {
                Err(unsupported(format!("FILE_FORMAT TYPE = {other}")))
            }
            other => Err(invalid_value("TYPE", other)),
        }
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Csv(_) => "CSV",
            Self::Json(_) => "JSON",
            Self::Parquet(_) => "PARQUET",
        }
    }
}

fn only(settings: &Settings, known: &[&str]) -> Result<(), SqlError> {
    let other = settings.keys().find(|name| *name != "TYPE" && !known.contains(&name.as_str()));
    other.map_or(Ok(()), |name| Err(unknown_property(name)))
}

fn csv(settings: &Settings) -> Result<Csv, SqlError> {
    only(
        settings,
        &[
            "COMPRESSION",
            "RECORD_DELIMITER",
            "FIELD_DELIMITER",
            "FILE_EXTENSION",
            "PARSE_HEADER",
            "SKIP_HEADER",
            "SKIP_BLANK_LINES",
            "DATE_FORMAT",
            "TIME_FORMAT",
            "TIMESTAMP_FORMAT",
            "BINARY_FORMAT",
            "ESCAPE",
            "ESCAPE_UNENCLOSED_FIELD",
            "TRIM_SPACE",
            "FIELD_OPTIONALLY_ENCLOSED_BY",
            "NULL_IF",
            "ERROR_ON_COLUMN_COUNT_MISMATCH",
            "REPLACE_INVALID_CHARACTERS",
            "EMPTY_FIELD_AS_NULL",
            "SKIP_BYTE_ORDER_MARK",
            "ENCODING",
            "MULTI_LINE",
        ],
    )?;
    for name in ["DATE_FORMAT", "TIME_FORMAT", "TIMESTAMP_FORMAT"] {
        if text(settings, name)?.is_some_and(|format| !format.eq_ignore_ascii_case("AUTO")) {
            return Err(unsupported(format!("{name} other than AUTO")));
        }
    }
    let encoding = text(settings, "ENCODING")?.unwrap_or("UTF8").to_uppercase();
    if !matches!(encoding.as_str(), "UTF8" | "UTF-8") {
        return Err(unsupported(format!("ENCODING = {encoding}")));
    }
    let skip_header = match text(settings, "SKIP_HEADER")? {
        None => 0,
        Some(digits) => digits.parse().map_err(|_| invalid_value("SKIP_HEADER", digits))?,
    };
    Ok(Csv {
        compression: compression(settings)?,
        record_delimiter: delimiter(settings, "RECORD_DELIMITER", "\n")?,
        field_delimiter: delimiter(settings, "FIELD_DELIMITER", ",")?,
        skip_header,
        parse_header: flag(settings, "PARSE_HEADER", false)?,
        skip_blank_lines: flag(settings, "SKIP_BLANK_LINES", false)?,
        escape: character(settings, "ESCAPE", None)?,
        escape_unenclosed: character(settings, "ESCAPE_UNENCLOSED_FIELD", Some('\\'))?,
        trim_space: flag(settings, "TRIM_SPACE", false)?,
        enclosed_by: character(settings, "FIELD_OPTIONALLY_ENCLOSED_BY", None)?,
        null_if: list(settings, "NULL_IF")?.unwrap_or_else(|| vec!["\\N".to_owned()]),
        error_on_column_count_mismatch: flag(settings, "ERROR_ON_COLUMN_COUNT_MISMATCH", true)?,
        empty_field_as_null: flag(settings, "EMPTY_FIELD_AS_NULL", true)?,
        replace_invalid: flag(settings, "REPLACE_INVALID_CHARACTERS", false)?,
        binary: match text(settings, "BINARY_FORMAT")?.unwrap_or("HEX").to_uppercase().as_str() {
            "HEX" => BinaryFormat::Hex,
            "BASE64" => BinaryFormat::Base64,
            "UTF8" | "UTF-8" => BinaryFormat::Utf8,
            other => return Err(invalid_value("BINARY_FORMAT", other)),
        },
    })
}

fn json(settings: &Settings) -> Result<Json, SqlError> {
    only(
        settings,
        &["COMPRESSION", "STRIP_OUTER_ARRAY", "FILE_EXTENSION", "SKIP_BYTE_ORDER_MARK"],
    )?;
    Ok(Json {
        compression: compression(settings)?,
        strip_outer_array: flag(settings, "STRIP_OUTER_ARRAY", false)?,
    })
}

fn parquet(settings: &Settings) -> Result<Parquet, SqlError> {
    only(
        settings,
        &[
            "COMPRESSION",
            "SNAPPY_COMPRESSION",
            "BINARY_AS_TEXT",
            "USE_LOGICAL_TYPE",
            "TRIM_SPACE",
            "USE_VECTORIZED_SCANNER",
            "REPLACE_INVALID_CHARACTERS",
            "NULL_IF",
        ],
    )?;
    let vectorized = flag(settings, "USE_VECTORIZED_SCANNER", false)?;
    if vectorized
        && (settings.contains_key("BINARY_AS_TEXT") && flag(settings, "BINARY_AS_TEXT", false)?)
    {
        let message = "BINARY_AS_TEXT = TRUE with USE_VECTORIZED_SCANNER = TRUE";
        return Err(unsupported(message));
    }
    Ok(Parquet {
        binary_as_text: !vectorized && flag(settings, "BINARY_AS_TEXT", true)?,
        use_logical_type: vectorized || flag(settings, "USE_LOGICAL_TYPE", false)?,
        vectorized,
        trim_space: flag(settings, "TRIM_SPACE", false)?,
        null_if: list(settings, "NULL_IF")?.unwrap_or_default(),
    })
}

fn compression(settings: &Settings) -> Result<Compression, SqlError> {
    match text(settings, "COMPRESSION")?.unwrap_or("AUTO").to_uppercase().as_str() {
        "AUTO" => Ok(Compression::Auto),
        "NONE" => Ok(Compression::None),
        "GZIP" => Ok(Compression::Gzip),
        other @ ("BZ2" | "BROTLI" | "ZSTD" | "DEFLATE" | "RAW_DEFLATE") => {
            Err(unsupported(format!("COMPRESSION = {other}")))
        }
        other => Err(invalid_value("COMPRESSION", other)),
    }
}

/// A delimiter: text with escapes (`\t`, `\x7c`, `0x7c`, `\001`), or NONE.
fn delimiter(settings: &Settings, name: &str, default: &str) -> Result<String, SqlError> {
    match text(settings, name)? {
        None => Ok(default.to_owned()),
        Some(word) if word.eq_ignore_ascii_case("NONE") => Ok(String::new()),
        Some(text) => unescaped(text).ok_or_else(|| invalid_value(name, text)),
    }
}

fn character(
    settings: &Settings,
    name: &str,
    default: Option<char>,
) -> Result<Option<char>, SqlError> {
    let Some(text) = text(settings, name)? else { return Ok(default) };
    if text.eq_ignore_ascii_case("NONE") {
        return Ok(None);
    }
    let plain = unescaped(text).ok_or_else(|| invalid_value(name, text))?;
    let mut characters = plain.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(Some(only)),
        _ => Err(invalid_value(name, text)),
    }
}

fn unescaped(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).map(String::from);
    }
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)?);
            }
            Some(digit @ '0'..='7') => {
                let more: String = characters.by_ref().take(2).collect();
                let code = u32::from_str_radix(&format!("{digit}{more}"), 8).ok()?;
                out.push(char::from_u32(code)?);
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Some(out)
}
