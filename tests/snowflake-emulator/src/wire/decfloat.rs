//! DECFLOAT: decimal text to the pair that travels, `significand × 10^exponent`.

/// A decimal floating point number as it travels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decfloat {
    /// The power of ten.
    pub(crate) exponent: i16,
    /// The digits as a signed integer.
    pub(crate) significand: i128,
}

impl Decfloat {
    /// Reads canonical decimal text such as `-1.5`, `12E+400` or `0`.
    ///
    /// Returns `None` for text that is no number, for more than 38 digits and for exponents
    /// outside 16 bits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let mut significand: i128 = digits.parse().ok()?;
        let mut exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        if significand == 0 {
            return Some(Self { exponent: 0, significand: 0 });
        }
        while significand % 10 == 0 {
            significand /= 10;
            exponent = exponent.checked_add(1)?;
        }
        if significand.unsigned_abs() >= 10_u128.pow(38) {
            return None;
        }
        Some(Self { exponent: i16::try_from(exponent).ok()?, significand })
    }

    /// Returns the significand as the shortest big-endian two's complement, at least one byte.
    pub(crate) fn significand_bytes(&self) -> Vec<u8> {
        let bytes = self.significand.to_be_bytes();
        let filler = if self.significand < 0 { 0xff } else { 0x00 };
        let mut rest = bytes.as_slice();
        while let [first, tail @ ..] = rest {
            let sign_survives = tail.first().is_some_and(|next| (next ^ filler) & 0x80 == 0);
            if *first != filler || !sign_survives {
                break;
            }
            rest = tail;
        }
        rest.to_vec()
    }
}
