//! One spelling for each JSON value, so that texts of two engines can be compared (docs/design.md, section 18).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Writes a sound text with its keys in order, the last of those that are there twice, without whitespace or needless escapes, and
/// with one spelling for equal numbers; every digit stays.
///
/// # Errors
/// What is no JSON. The depth of the text is that of its value, which [`admit`](super::limits::admit) bounds.
pub fn canonical(text: &str) -> Result<String, serde_json::Error> {
    let mut written = String::with_capacity(text.len());
    write(text, &mut written)?;
    Ok(written)
}

fn write(text: &str, to: &mut String) -> Result<(), serde_json::Error> {
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            list(to, ['{', '}'], fields, |(name, value), to| {
                *to += &serde_json::to_string(&name)?;
                to.push(':');
                write(value.get(), to)
            })
        }
        Some(b'[') => list(to, ['[', ']'], serde_json::from_str::<Vec<&RawValue>>(text)?, |value, to| write(value.get(), to)),
        Some(b'"') => {
            *to += &serde_json::to_string(&serde_json::from_str::<String>(text)?)?;
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') => {
            *to += &number(text);
            Ok(())
        }
        // Reads what is no JSON as such.
        _ => serde_json::from_str::<&RawValue>(text).map(|word| *to += word.get()),
    }
}

fn list<T>(
    to: &mut String,
    [open, close]: [char; 2],
    of: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut String) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    to.push(open);
    for (n, one) in of.into_iter().enumerate() {
        if n > 0 {
            to.push(',');
        }
        write(one, to)?;
    }
    to.push(close);
    Ok(())
}

/// A number as its digits without zeros at either end, and the power of ten behind them.
fn number(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return "0".into();
    }
    // An exponent beyond any that can be meant stays as it is spelled.
    let Ok(exponent) = exponent.parse::<i64>() else { return format!("{sign}{text}") };
    let power = exponent.saturating_sub_unsigned(fraction.len() as u64).saturating_add_unsigned((digits.len() - short.len()) as u64);
    format!("{sign}{short}e{power}")
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn equal_values_have_one_spelling() {
        let same = [
            [r#"{"b": 1, "a": [true, null]}"#, r#"{"a":[true,null],"b":1}"#],
            [r#"{"a":1,"a":2}"#, r#"{"a":2}"#],
            [r#""\u00fc\/""#, r#""ü/""#],
            ["100", "1e2"],
            ["0.10", "1E-1"],
            ["-0.0", "0"],
            ["12345678901234567890.500", "12345678901234567890.5"],
        ];
        for [one, other] in same {
            assert_eq!(canonical(one).unwrap(), canonical(other).unwrap(), "{one} and {other}");
        }
    }

    #[test]
    fn other_values_have_others() {
        for [one, other] in
            [["1", "-1"], ["10", "1"], ["12345678901234567890", "12345678901234567891"], ["\"1\"", "1"], ["[]", "{}"], ["0", "null"]]
        {
            assert_ne!(canonical(one).unwrap(), canonical(other).unwrap(), "{one} and {other}");
        }
        assert!(canonical("{").is_err() && canonical("nul").is_err() && canonical("").is_err());
    }
}
