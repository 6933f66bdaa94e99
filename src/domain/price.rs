//! What tokens cost.

use std::fmt;

/// Characters of a currency.
const MAX_CURRENCY: usize = 8;
/// Signs that stand for one.
const SIGNS: &str = "$€£¥₹₩₺₽";
/// The highest price, in whole units.
const MAX_PRICE: u64 = 1_000_000;
/// A whole unit.
const MICRO: u64 = 1_000_000;

/// The price of a million tokens: a number, and the currency if somebody named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// In millionths.
    micros: u64,
    pub currency: String,
}

impl Price {
    /// Reads a text such as `0.60 EUR`; `Some(None)`: it is empty.
    pub fn parse(text: &str) -> Option<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Some(None);
        }
        let (number, currency) = text.split_once(' ').map_or((text, ""), |(number, currency)| (number, currency.trim()));
        let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let is_currency =
            currency.chars().count() <= MAX_CURRENCY && currency.chars().all(|letter| letter.is_alphabetic() || SIGNS.contains(letter));
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 6 || !is_currency {
            return None;
        }
        let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
        let whole: u64 = whole.parse().ok().filter(|whole| *whole <= MAX_PRICE)?;
        Some(Some(Price { micros: whole * MICRO + fraction, currency: currency.to_owned() }))
    }

    /// What so many tokens cost, in hundredths of the currency, rounded.
    pub fn of(&self, tokens: u64) -> u64 {
        let cents = (u128::from(tokens) * u128::from(self.micros) / 1_000_000 + 5_000) / 10_000;
        u64::try_from(cents).unwrap_or(u64::MAX)
    }
}

/// As it is read.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.micros % MICRO);
        let fraction = fraction.trim_end_matches('0');
        write!(f, "{}", self.micros / MICRO)?;
        if !fraction.is_empty() {
            write!(f, ".{fraction:0<2}")?;
        }
        if self.currency.is_empty() { Ok(()) } else { write!(f, " {}", self.currency) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_reads_as_it_is_written() {
        for (text, expected) in
            [("0.60 EUR", "0.60 EUR"), (" 2 ", "2"), ("0,15", "0.15"), ("0.123456 $", "0.123456 $"), ("1000000 €", "1000000 €")]
        {
            assert_eq!(Price::parse(text).unwrap().unwrap().to_string(), expected);
        }
        assert_eq!(Price::parse("  "), Some(None));
        for wrong in
            ["-1", "1.", ".5", "1.1234567", "1e3", "EUR", "1000001", "1 two words", "1 \u{202e}\n", "1 waytoolong", "99999999999999999999"]
        {
            assert_eq!(Price::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_cost_by_the_million() {
        let cents = |price: &str, tokens: u64| Price::parse(price).unwrap().unwrap().of(tokens);
        assert_eq!((cents("0.60", 1_000_000), cents("0.60", 10_000), cents("0.60", 8_000), cents("3", 1_250_000)), (60, 1, 0, 375));
        assert_eq!(cents("1000000", u64::MAX), u64::MAX);
    }
}
