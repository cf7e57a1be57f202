//! What a plain YAML scalar means, as the Go YAML library behind compose reads it: YAML 1.2's
//! core schema plus 1.1's octals, binary numbers, underscores and timestamps; `yes` and `on` are
//! strings.

use super::node::Value;

/// A truth value in an option or a variable, as Go's `strconv.ParseBool` reads it.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Resolves an unquoted scalar without an explicit tag.
pub(super) fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if first == b'.' {
        return float(text).map_or_else(|| Value::Str(text.into()), Value::Float);
    }
    if !(first.is_ascii_digit() || first == b'+' || first == b'-') {
        return Value::Str(text.into());
    }
    if is_timestamp(text) {
        return Value::Timestamp(text.into());
    }
    let plain = text.replace('_', "");
    integer(&plain)
        .or_else(|| float(&plain).map(Value::Float))
        .unwrap_or_else(|| Value::Str(text.into()))
}

/// Decimal, `0x`, `0o`, `0b` and the bare-zero octal of YAML 1.1.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Value::Int);
    }
    Some(i64::try_from(magnitude).map_or(Value::Uint(magnitude), Value::Int))
}

/// `[-+]? ( .digits | digits [. digits?] ) ( e [-+]? digits )?`
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    let exponent_ok = exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if !mantissa_ok || !exponent_ok {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The four layouts the Go library tries: a date alone, a date and a time after `T` or `t` with a
/// zone, and a date and a time after spaces without one. The day must exist.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || !digits(year) {
        return false;
    }
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (day, rest) = rest.split_at(length);
    let (Some(month), Some(day)) = (one_or_two_digits(month), one_or_two_digits(day)) else {
        return false;
    };
    let leap = year.parse().is_ok_and(|year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    });
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    if !(1..=days).contains(&day) {
        return false;
    }
    if let Some(time) = rest.strip_prefix(['T', 't']) {
        time_of_day(time).is_some_and(is_zone)
    } else {
        // Go's layout takes any number of spaces for one.
        rest.is_empty()
            || rest.starts_with(' ') && time_of_day(rest.trim_start_matches(' ')) == Some("")
    }
}

/// What follows `1:2:3`, `01:02:03.4` or `01:02:03,4`.
fn time_of_day(text: &str) -> Option<&str> {
    let mut rest = text;
    for (bound, end) in [(24, ":"), (60, ":"), (60, "")] {
        let length = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        one_or_two_digits(&rest[..length]).filter(|number| *number < bound)?;
        rest = rest[length..].strip_prefix(end)?;
    }
    let fraction = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
    Some(if length == 0 { rest } else { &fraction[length..] })
}

/// `Z`, or hours and minutes such as `+01:00`.
fn is_zone(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>, most: u32| {
        text.get(range).and_then(one_or_two_digits).is_some_and(|number| number <= most)
    };
    text == "Z"
        || text.len() == 6
            && text.starts_with(['+', '-'])
            && text.as_bytes()[3] == b':'
            && text.bytes().filter(u8::is_ascii_digit).count() == 4
            && number(1..3, 24)
            && number(4..6, 60)
}

fn one_or_two_digits(text: &str) -> Option<u32> {
    let valid = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every pair was printed by compose 2.40.3 as a build argument.
    #[test]
    fn prints_scalars_as_compose_does() {
        for (text, printed) in [
            ("1", "1"),
            ("1.50", "1.5"),
            ("true", "true"),
            ("0x10", "16"),
            ("0o17", "15"),
            ("017", "15"),
            ("08", "8"),
            ("1_000", "1000"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("1000000.0", "1e+06"),
            ("999999.5", "999999.5"),
            ("123456789.5", "1.234567895e+08"),
            ("1e-7", "1e-07"),
            ("0.0001", "0.0001"),
            (".5", "0.5"),
            ("+5", "5"),
            ("-0b11", "-3"),
            ("1.0", "1"),
            (".inf", "+Inf"),
            (".nan", "NaN"),
            ("yes", "yes"),
            ("190:20", "190:20"),
            ("12345678901234567890", "12345678901234567890"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
        ] {
            assert_eq!(resolve_plain(text).scalar_text().unwrap(), printed, "{text}");
        }
    }

    #[test]
    fn reads_dates_as_timestamps() {
        for text in [
            "2001-12-14",
            "2000-2-29",
            "2001-1-2T15:04:05Z",
            "2001-1-2t5:4:5.25+24:60",
            "2001-01-02   15:04:05,5",
        ] {
            assert!(matches!(resolve_plain(text), Value::Timestamp(_)), "{text}");
        }
        for text in [
            "2001-13-14",
            "2001-2-29",
            "2001-12",
            "2001-12-14-1",
            "2001-12-14 noon",
            "2001-01-01T10:00:00",
            "2001-01-01 10:00:00Z",
            "2001-01-01 10:00:00.",
            "2001-01-01T10:00:00+1:00",
            "2001-01-01T25:00:00Z",
        ] {
            assert!(matches!(resolve_plain(text), Value::Str(_)), "{text}");
        }
    }
}
