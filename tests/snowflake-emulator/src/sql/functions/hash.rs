//! HASH: 64 bits that are equal for equal values; SHA2: the digest that everybody computes.
//!
//! Like Snowflake's, a hash does not depend on the declared type of a number, and NULL has one.
//! HASH's values are not Snowflake's, whose algorithm is not published; compare them only with others
//! of this emulator.

use sha2::{Digest, Sha256};

use super::{Arg, Eval, Spec, arg, text_type, whole};
use crate::engine::SqlError;
use crate::sql::convert::hex;
use crate::sql::error::sql_error;
use crate::sql::number;
use crate::sql::value::Value;
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::given("hash", 1..=4096, hash_type, hash),
    Spec::strict("sha2", 1..=2, text_type, sha2),
    Spec::strict("sha2_hex", 1..=2, text_type, sha2),
];

/// SHA2(text or bytes, bits) as lower-case hex; 256 bits unless told.
fn sha2(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let bytes = match arg(values, 0) {
        Value::Bytes(bytes) => bytes.clone(),
        other => eval.conversion.text(other).into_bytes(),
    };
    let digest = match values.get(1).map(whole).transpose()?.unwrap_or(256) {
        224 => ::sha2::Sha224::digest(&bytes).to_vec(),
        0 | 256 => Sha256::digest(&bytes).to_vec(),
        384 => ::sha2::Sha384::digest(&bytes).to_vec(),
        512 => ::sha2::Sha512::digest(&bytes).to_vec(),
        bits => return Err(sql_error("100085", "22023", format!("Invalid digest size: {bits}"))),
    };
    Ok(Value::Text(hex(&digest).to_lowercase()))
}

fn hash_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Number { precision: 19, scale: 0 })
}

fn hash(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let mut digest = Sha256::new();
    for value in values {
        let (tag, bytes) = canonical(value);
        digest.update([tag]);
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(&bytes);
    }
    let digest = digest.finalize();
    let mut first = [0_u8; 8];
    first.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    Ok(Value::integer(i64::from_be_bytes(first)))
}

/// A kind and bytes that two values share exactly when they are equal.
fn canonical(value: &Value) -> (u8, Vec<u8>) {
    match value {
        Value::Null => (0, Vec::new()),
        Value::Number(unscaled, scale) => {
            (1, plain(&number::format(*unscaled, i32::from(*scale))).into_bytes())
        }
        Value::Float(float) if float.is_finite() => (1, plain(&format!("{float}")).into_bytes()),
        Value::Float(float) => (2, float.to_string().into_bytes()),
        Value::Decfloat(text) => (3, text.clone().into_bytes()),
        Value::Text(text) => (4, text.clone().into_bytes()),
        Value::Bytes(bytes) => (5, bytes.clone()),
        Value::Bool(flag) => (6, vec![u8::from(*flag)]),
        Value::Date(days) => (7, days.to_be_bytes().to_vec()),
        Value::Time(nanos) => (8, nanos.to_be_bytes().to_vec()),
        Value::Ntz(wall) => (9, wall.to_be_bytes().to_vec()),
        Value::Ltz(utc) | Value::Tz(utc, _) => (10, utc.to_be_bytes().to_vec()),
        Value::Json(text) => (11, text.clone().into_bytes()),
        Value::FloatVector(items) => {
            (12, items.iter().flat_map(|item| item.to_be_bytes()).collect())
        }
        Value::IntVector(items) => (13, items.iter().flat_map(|item| item.to_be_bytes()).collect()),
    }
}

/// Digits without zeros that say nothing: `1.50` is `1.5`, `-0` is `0`.
fn plain(digits: &str) -> String {
    let short = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}
