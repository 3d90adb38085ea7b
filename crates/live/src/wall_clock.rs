//! The time of day, for people: in events, in the audit log and in status; and to number
//! what begins anew. No machine ever sees it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time of day now, in UTC, as RFC 3339 writes it, to the millisecond: `2026-11-21T09:05:07.250Z`.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let millisecond = now.nanosecond() / 1_000_000 * 1_000_000;
    let now = now.replace_nanosecond(millisecond).unwrap_or(now);
    // Only years beyond 9999 cannot be written.
    let text = now.format(&Rfc3339).unwrap_or_default();
    // RFC 3339 leaves out a fraction of zero; with it all times sort as texts.
    match text.find('.') {
        Some(point) => format!("{:0<width$}Z", text.trim_end_matches('Z'), width = point + 4),
        None => format!("{}.000Z", text.trim_end_matches('Z')),
    }
}

/// How many milliseconds have gone by since 1970, to number what begins anew: no two beginnings of one thing, one after the
/// other, have the same.
pub(crate) fn milliseconds() -> u64 {
    let nanoseconds = OffsetDateTime::now_utc().unix_timestamp_nanos();
    u64::try_from(nanoseconds / 1_000_000).unwrap_or(0)
}

/// A time that somebody wrote, in the form in which [`now`] writes it, so that the two compare as texts; a day
/// alone is its first instant. `None` if it is neither.
pub(crate) fn normal(written: &str) -> Option<String> {
    let whole = if written.len() == 10 { format!("{written}T00:00:00Z") } else { written.to_owned() };
    let time = OffsetDateTime::parse(&whole, &Rfc3339).ok()?.to_offset(time::UtcOffset::UTC);
    let (date, clock, millisecond) = (time.date(), time.time(), time.millisecond());
    let (hour, minute, second) = clock.as_hms();
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_one_way_and_sort_as_texts() {
        let now = now();
        assert_eq!(now.len(), "2026-11-21T09:05:07.250Z".len(), "{now}");
        assert_eq!(normal(&now).as_deref(), Some(&*now));
        assert_eq!(normal("2026-11-21").as_deref(), Some("2026-11-21T00:00:00.000Z"));
        assert_eq!(normal("2026-11-21T10:05:07.25+01:00").as_deref(), Some("2026-11-21T09:05:07.250Z"));
        assert_eq!(normal("yesterday"), None);
    }
}
