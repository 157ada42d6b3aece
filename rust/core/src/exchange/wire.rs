//! What nodes send to one another: numbers of variable length (LEB128), floats of 8 bytes or fewer
//! where fewer say the same.

use crate::error::{Error, Result};
use crate::labels::check_label;

/// The error for a message that no node can have sent.
pub(crate) fn garbled(what: &str) -> Error {
    Error::Session(format!(
        "a message of a sync is garbled: {what}; all_gather has to give what each rank gave, in \
         the order of ranks"
    ))
}

/// A message in the making.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

/// What is left of a message.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

/// Forms of a float.
const WHOLE: u8 = 0;
const SINGLE: u8 = 1;
const DOUBLE: u8 = 2;

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

impl Writer {
    pub(crate) fn word(&mut self, word: u64) {
        self.0.extend(word.to_le_bytes());
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number that may be negative.
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(zigzag(value));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// A kind below 64, and a float, bit for bit.
    pub(crate) fn kind_and_float(&mut self, kind: u8, value: f64) {
        let same = |other: f64| other.to_bits() == value.to_bits();
        // Saturates, and is not the same then.
        let (whole, single) = (value as i32, value as f32);
        if same(whole.into()) && whole.unsigned_abs() < 1 << 13 {
            self.0.push(kind << 2 | WHOLE);
            self.signed(whole.into());
        } else if same(single.into()) {
            self.0.push(kind << 2 | SINGLE);
            self.0.extend(single.to_le_bytes());
        } else {
            self.0.push(kind << 2 | DOUBLE);
            self.0.extend(value.to_le_bytes());
        }
    }
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| garbled("it ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn word(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(garbled("a number of more than 64 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64> {
        self.number().map(unzigzag)
    }

    /// A number of things of at least one byte each, which must be there.
    pub(crate) fn count(&mut self) -> Result<usize> {
        let count = self.number()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len())
            .ok_or_else(|| garbled("it counts more than it holds"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.count()?;
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| garbled("a text that is not UTF-8"))
    }

    pub(crate) fn label(&mut self) -> Result<String> {
        let label = self.text()?;
        check_label(label).map_err(|_| garbled("a label that is none"))?;
        Ok(label.to_owned())
    }

    pub(crate) fn kind_and_float(&mut self) -> Result<(u8, f64)> {
        let [first] = self.take()?;
        let value = match first & 3 {
            WHOLE => i32::try_from(self.signed()?)
                .map_err(|_| garbled("a number of more than 32 bits"))?
                .into(),
            SINGLE => f32::from_le_bytes(self.take()?).into(),
            DOUBLE => f64::from_le_bytes(self.take()?),
            _ => return Err(garbled("a float of an unknown form")),
        };
        Ok((first >> 2, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_floats_come_back_bit_for_bit() {
        let numbers = [0, 1, 127, 128, 300, u64::MAX / 3, u64::MAX];
        let floats = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            0.1,
            8191.0,
            8192.0,
            -1e9,
            1e300,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
            3.0e9,
        ];
        let mut writer = Writer::default();
        for number in numbers {
            writer.number(number);
            writer.signed(number.cast_signed());
            writer.signed(number.cast_signed().wrapping_neg());
        }
        for (kind, value) in (0..).zip(floats) {
            writer.kind_and_float(kind, value);
        }
        let mut reader = Reader(&writer.0);
        for number in numbers {
            assert_eq!(reader.number().unwrap(), number);
            assert_eq!(reader.signed().unwrap(), number.cast_signed());
            let negative = number.cast_signed().wrapping_neg();
            assert_eq!(reader.signed().unwrap(), negative);
        }
        for (kind, value) in (0..).zip(floats) {
            let (found, read) = reader.kind_and_float().unwrap();
            assert_eq!((found, read.to_bits()), (kind, value.to_bits()));
        }
        assert!(reader.0.is_empty());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let mut writer = Writer::default();
        writer.text("maze");
        writer.kind_and_float(1, 0.1);
        for length in 0..writer.0.len() {
            let mut reader = Reader(&writer.0[..length]);
            let all = reader.label().and_then(|_| reader.kind_and_float());
            assert!(matches!(all, Err(Error::Session(_))), "{length}");
        }
        assert!(Reader(&[0xff; 20]).number().is_err());
    }
}
