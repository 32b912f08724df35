//! Functions of text.

use super::{Arg, Eval, Spec, arg, boolean_type, integer_type, shown, text_type, whole};
use crate::engine::SqlError;
use crate::sql::convert::{hex, unhex};
use crate::sql::error::{invalid_types, sql_error};
use crate::sql::value::Value;
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::strict("upper", 1..=1, text_type, upper),
    Spec::strict("lower", 1..=1, text_type, lower),
    Spec::strict("length", 1..=1, integer_type, length),
    Spec::strict("octet_length", 1..=1, integer_type, octet_length),
    Spec::strict("substr", 2..=3, text_only, substr),
    Spec::strict("left", 2..=2, text_only, left),
    Spec::strict("right", 2..=2, text_only, right),
    Spec::strict("trim", 1..=2, text_type, trim),
    Spec::strict("ltrim", 1..=2, text_type, ltrim),
    Spec::strict("rtrim", 1..=2, text_type, rtrim),
    Spec::strict("replace", 2..=3, text_type, replace),
    Spec::strict("split_part", 3..=3, text_type, split_part),
    Spec::strict("contains", 2..=2, text_test, contains),
    Spec::strict("startswith", 2..=2, text_test, startswith),
    Spec::strict("endswith", 2..=2, text_test, endswith),
    Spec::strict("position", 2..=3, integer_type, position),
    Spec::strict("repeat", 2..=2, text_type, repeat),
    Spec::strict("reverse", 1..=1, text_type, reverse),
    Spec::strict("lpad", 2..=3, text_only, lpad),
    Spec::strict("rpad", 2..=3, text_only, rpad),
    Spec::strict("chr", 1..=1, text_type, chr),
    Spec::strict("ascii", 1..=1, integer_type, ascii),
    Spec::strict("concat_ws", 2..=1000, text_type, concat_ws),
    Spec::strict("hex_encode", 1..=1, text_type, hex_encode),
    Spec::strict("to_binary", 1..=2, binary_type, to_binary),
    Spec::strict("like", 2..=3, boolean_type, like),
    Spec::strict("ilike", 2..=3, boolean_type, ilike),
];

fn text(eval: &Eval<'_>, values: &[Value], index: usize) -> String {
    eval.conversion.text(arg(values, index))
}

/// Text functions that Snowflake also has for BINARY; here they take text alone.
fn text_only(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.as_ref()) {
        Some(SnowType::Binary { .. }) => Err(invalid_types("SUBSTR", shown(args))),
        _ => text_type(args),
    }
}

fn text_test(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    text_only(args)?;
    boolean_type(args)
}

fn binary_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Binary { length: crate::sql::carrier::BINARY_LENGTH })
}

fn upper(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(text(eval, values, 0).to_uppercase()))
}

fn lower(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(text(eval, values, 0).to_lowercase()))
}

fn count(items: usize) -> Value {
    Value::integer(i128::try_from(items).unwrap_or(0))
}

fn length(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(match arg(values, 0) {
        Value::Bytes(bytes) => count(bytes.len()),
        _ => count(text(eval, values, 0).chars().count()),
    })
}

fn octet_length(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(match arg(values, 0) {
        Value::Bytes(bytes) => count(bytes.len()),
        _ => count(text(eval, values, 0).len()),
    })
}

/// Characters from a position counted from 1, or from the end when negative.
fn substr(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let all: Vec<char> = text(eval, values, 0).chars().collect();
    let size = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let given = whole(arg(values, 1))?;
    let start = match given {
        0 => 0,
        given if given < 0 => size + given,
        given => given - 1,
    };
    let wanted = match values.get(2) {
        Some(length) => whole(length)?.max(0),
        None => i64::MAX,
    };
    if start < 0 || start >= size {
        return Ok(Value::text(""));
    }
    let skip = usize::try_from(start).unwrap_or(0);
    let take = usize::try_from(wanted.min(size)).unwrap_or(0);
    Ok(Value::Text(all.into_iter().skip(skip).take(take).collect()))
}

fn left(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let take = usize::try_from(whole(arg(values, 1))?.max(0)).unwrap_or(0);
    Ok(Value::Text(text(eval, values, 0).chars().take(take).collect()))
}

fn right(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let take = usize::try_from(whole(arg(values, 1))?.max(0)).unwrap_or(0);
    let all = text(eval, values, 0);
    let skip = all.chars().count().saturating_sub(take);
    Ok(Value::Text(all.chars().skip(skip).collect()))
}

fn trimmed(eval: &Eval<'_>, values: &[Value]) -> (String, Vec<char>) {
    let set = match values.get(1) {
        Some(characters) => eval.conversion.text(characters).chars().collect(),
        None => vec![' '],
    };
    (text(eval, values, 0), set)
}

fn trim(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, set) = trimmed(eval, values);
    Ok(Value::text(all.trim_matches(set.as_slice())))
}

fn ltrim(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, set) = trimmed(eval, values);
    Ok(Value::text(all.trim_start_matches(set.as_slice())))
}

fn rtrim(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, set) = trimmed(eval, values);
    Ok(Value::text(all.trim_end_matches(set.as_slice())))
}

fn replace(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, pattern) = (text(eval, values, 0), text(eval, values, 1));
    if pattern.is_empty() {
        return Ok(Value::Text(all));
    }
    Ok(Value::Text(all.replace(&pattern, &text(eval, values, 2))))
}

/// The part of a number counted from 1, from the end when negative; 0 counts as 1.
fn split_part(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, delimiter) = (text(eval, values, 0), text(eval, values, 1));
    let parts: Vec<&str> =
        if delimiter.is_empty() { vec![&all] } else { all.split(delimiter.as_str()).collect() };
    let size = i64::try_from(parts.len()).unwrap_or(0);
    let index = match whole(arg(values, 2))? {
        0 => 0,
        given if given < 0 => size + given,
        given => given - 1,
    };
    let part = usize::try_from(index).ok().and_then(|index| parts.get(index)).copied();
    Ok(Value::text(part.unwrap_or_default()))
}

fn contains(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Bool(text(eval, values, 0).contains(&text(eval, values, 1))))
}

fn startswith(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Bool(text(eval, values, 0).starts_with(&text(eval, values, 1))))
}

fn endswith(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Bool(text(eval, values, 0).ends_with(&text(eval, values, 1))))
}

/// Where the first text starts in the second, counted from 1; 0 when it does not.
fn position(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (needle, all) = (text(eval, values, 0), text(eval, values, 1));
    let from = match values.get(2) {
        Some(start) => usize::try_from(whole(start)?.max(1) - 1).unwrap_or(0),
        None => 0,
    };
    let skipped = all.char_indices().nth(from).map_or(all.len(), |(at, _)| at);
    let rest = all.get(skipped..).unwrap_or_default();
    Ok(match rest.find(&needle) {
        Some(at) => count(from + rest.get(..at).unwrap_or_default().chars().count() + 1),
        None => Value::integer(0),
    })
}

/// Longer texts fit no VARCHAR.
const LONGEST: usize = 16_777_216;

fn bounded(wanted: i64) -> Result<usize, SqlError> {
    let size = usize::try_from(wanted.max(0)).unwrap_or(usize::MAX);
    if size > LONGEST {
        return Err(sql_error("100078", "22000", "String is too long and would be truncated"));
    }
    Ok(size)
}

fn repeat(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let all = text(eval, values, 0);
    let times = bounded(whole(arg(values, 1))?)?;
    bounded(i64::try_from(all.len().saturating_mul(times)).unwrap_or(i64::MAX))?;
    Ok(Value::Text(all.repeat(times)))
}

fn reverse(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(text(eval, values, 0).chars().rev().collect()))
}

fn padding(eval: &Eval<'_>, values: &[Value]) -> Result<(Vec<char>, Vec<char>), SqlError> {
    let size = bounded(whole(arg(values, 1))?)?;
    let all: Vec<char> = text(eval, values, 0).chars().take(size).collect();
    let fill = match values.get(2) {
        Some(fill) => eval.conversion.text(fill),
        None => " ".to_owned(),
    };
    let missing = size - all.len();
    let pad =
        if fill.is_empty() { Vec::new() } else { fill.chars().cycle().take(missing).collect() };
    Ok((all, pad))
}

fn lpad(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, pad) = padding(eval, values)?;
    Ok(Value::Text(pad.into_iter().chain(all).collect()))
}

fn rpad(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (all, pad) = padding(eval, values)?;
    Ok(Value::Text(all.into_iter().chain(pad).collect()))
}

fn chr(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let code = whole(arg(values, 0))?;
    let character = u32::try_from(code).ok().and_then(char::from_u32);
    let wrong = || sql_error("100064", "22003", format!("Invalid code {code} in function CHR"));
    character.map(|found| Value::text(found.to_string())).ok_or_else(wrong)
}

fn ascii(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::integer(text(eval, values, 0).chars().next().map_or(0, |c| i64::from(u32::from(c)))))
}

fn concat_ws(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let parts: Vec<String> =
        values.iter().skip(1).map(|value| eval.conversion.text(value)).collect();
    Ok(Value::Text(parts.join(&text(eval, values, 0))))
}

fn hex_encode(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(match arg(values, 0) {
        Value::Bytes(bytes) => hex(bytes),
        _ => hex(text(eval, values, 0).as_bytes()),
    }))
}

fn to_binary(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    if let Value::Bytes(bytes) = arg(values, 0) {
        return Ok(Value::Bytes(bytes.clone()));
    }
    let all = text(eval, values, 0);
    let format =
        values.get(1).map_or_else(|| "HEX".to_owned(), |value| eval.conversion.text(value));
    let bytes = match format.to_ascii_uppercase().as_str() {
        "HEX" => unhex(&all),
        "UTF-8" | "UTF8" => Some(all.as_bytes().to_vec()),
        "BASE64" => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(&all).ok()
        }
        _ => None,
    };
    let wrong = || {
        let message =
            format!("The following string is not a legal {format}-encoded value: '{all}'");
        sql_error("100115", "22000", message)
    };
    bytes.map(Value::Bytes).ok_or_else(wrong)
}

fn like(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    matched(&text(eval, values, 0), &text(eval, values, 1), values.get(2), eval)
}

fn ilike(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let all = text(eval, values, 0).to_lowercase();
    matched(&all, &text(eval, values, 1).to_lowercase(), values.get(2), eval)
}

fn matched(
    all: &str,
    pattern: &str,
    escape: Option<&Value>,
    eval: &Eval<'_>,
) -> Result<Value, SqlError> {
    let escape = escape.map(|value| eval.conversion.text(value));
    let escape = match escape.as_deref().map(|text| text.chars().collect::<Vec<_>>()) {
        None => None,
        Some(characters) => match characters.as_slice() {
            [one] => Some(*one),
            [] => None,
            _ => return Err(sql_error("100145", "22025", "Invalid escape character")),
        },
    };
    Ok(Value::Bool(like_matches(all, pattern, escape)))
}

enum Piece {
    One(char),
    AnyOne,
    AnyMany,
}

/// SQL LIKE: `_` is one character, `%` any number; no escape character unless given.
pub(crate) fn like_matches(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            c if Some(c) == escape => Piece::One(characters.next().unwrap_or(c)),
            '%' => Piece::AnyMany,
            '_' => Piece::AnyOne,
            c => Piece::One(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut piece) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pieces.get(piece), text.get(at)) {
            (Some(Piece::AnyMany), _) => {
                retry = Some((piece, at));
                piece += 1;
                continue;
            }
            (None, None) => return true,
            (Some(Piece::AnyOne), Some(_)) => {
                (at, piece) = (at + 1, piece + 1);
                continue;
            }
            (Some(Piece::One(wanted)), Some(found)) if wanted == found => {
                (at, piece) = (at + 1, piece + 1);
                continue;
            }
            _ => {}
        }
        // Let the last `%` take one character more.
        match retry {
            Some((many, start)) if start < text.len() => {
                retry = Some((many, start + 1));
                (at, piece) = (start + 1, many + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::like_matches;

    #[test]
    fn like_knows_wildcards_and_only_the_given_escape() {
        for (text, pattern, escape, expected) in [
            ("abc", "a%", None, true),
            ("abc", "_b_", None, true),
            ("abc", "b", None, false),
            ("", "%", None, true),
            ("a%c", "a\\%c", None, false),
            ("a%c", "a\\%c", Some('\\'), true),
            ("aXbXc", "%X%c", None, true),
            ("mississippi", "m%iss%pi", None, true),
            ("é", "_", None, true),
        ] {
            assert_eq!(like_matches(text, pattern, escape), expected, "{text} like {pattern}");
        }
    }
}
