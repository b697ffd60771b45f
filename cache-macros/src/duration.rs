//! Durations as users write them: whole seconds, or text such as `"1h30m"`.

/// Ten years: an entry that is meant to live longer is not a cache entry, and sums of larger numbers could overflow.
const LONGEST_MS: u64 = 3650 * 24 * 60 * 60 * 1000;

/// From the largest down, as they must follow one another.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// `"90s"`, `"5m"`, `"1h30m"`, `"250ms"`, in milliseconds; or what is wrong.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "a duration in quotes has a unit: write `\"{text}s\"`, or {text} without quotes for seconds"
        ));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut allowed = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, after) = after.split_at(letters);
        let (Ok(number), Some(index)) = (
            number.parse::<u64>(),
            allowed.iter().position(|(name, _)| *name == unit),
        ) else {
            return Err(malformed(text));
        };
        total = number
            .checked_mul(allowed[index].1)
            .and_then(|ms| ms.checked_add(total))
            .ok_or_else(too_long)?;
        allowed = &allowed[index + 1..];
        rest = after;
    }
    if text.is_empty() {
        Err(malformed(text))
    } else {
        bounded(total)
    }
}

/// Whole seconds, in milliseconds.
pub(crate) fn from_seconds(seconds: u64) -> Result<u64, String> {
    bounded(seconds.saturating_mul(1000))
}

fn bounded(ms: u64) -> Result<u64, String> {
    if ms > LONGEST_MS {
        Err(too_long())
    } else {
        Ok(ms)
    }
}

fn too_long() -> String {
    "a duration can be at most ten years, `\"3650d\"`".to_owned()
}

fn malformed(text: &str) -> String {
    format!(
        "`{text}` is not a duration: write seconds, or text such as `\"90s\"`, `\"5m\"`, `\"1h30m\"` or `\"250ms\"`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_from_the_largest_down() {
        assert_eq!(parse("90s"), Ok(90_000));
        assert_eq!(parse("5m"), Ok(300_000));
        assert_eq!(parse("1h30m"), Ok(5_400_000));
        assert_eq!(parse("1s250ms"), Ok(1250));
        assert_eq!(parse("2d"), Ok(172_800_000));
        assert_eq!(parse("0s"), Ok(0));
        assert_eq!(from_seconds(300), Ok(300_000));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "5x",
            "5 m",
            "m5",
            "30m1h",
            "1m1m",
            "1.5h",
            "-5s",
            "99999999999999999999s",
            "5S",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("3651d").is_err());
        assert!(parse("18446744073709551615d").is_err());
        assert!(from_seconds(u64::MAX).is_err());
    }
}
