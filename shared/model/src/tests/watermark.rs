use crate::manifest::StatValue;
use crate::names::Identifier;
use crate::time::UnixMillis;
use crate::types::SnowflakeType;
use crate::watermark::{Lookback, LowerEdge, Watermark, Window, can_be_cursor};

fn watermark(text: &str) -> Watermark {
    Watermark {
        cursor: Identifier::new("UPDATED_AT").unwrap(),
        cursor_type: SnowflakeType::TimestampNtz { scale: 9 },
        text: text.to_owned(),
    }
}

#[test]
fn the_text_of_a_bound_is_not_in_its_debug_form() {
    let window = Window::Between {
        from: watermark("customer secret 1"),
        edge: LowerEdge::Open,
        lookback: Lookback::Seconds(5),
        to: watermark("customer secret 2"),
    };
    let shown = format!("{window:?} {:#?}", watermark("customer secret 3"));
    assert!(shown.contains("UPDATED_AT") && !shown.contains("secret"), "{shown}");
}

#[test]
fn the_upper_bound_of_a_window_becomes_the_watermark() {
    let to = watermark("2");
    let lookback = Lookback::None;
    let between =
        Window::Between { from: watermark("1"), edge: LowerEdge::Closed, lookback, to: to.clone() };
    assert_eq!(between.upper(), Some(&to));
    assert_eq!(Window::UpTo { to: to.clone() }.upper(), Some(&to));
    assert_eq!((Window::Whole.upper(), Window::Nothing.upper()), (None, None));
}

#[test]
fn only_types_whose_text_names_one_value_in_one_order_are_cursors() {
    use SnowflakeType as T;
    for good in [
        T::Number { precision: 38, scale: 37 },
        T::Date,
        T::TimestampNtz { scale: 0 },
        T::TimestampLtz { scale: 9 },
        T::TimestampTz { scale: 9 },
    ] {
        assert!(can_be_cursor(&good), "{good}");
    }
    for bad in [T::Float, T::Decfloat, T::Text, T::Boolean, T::Binary, T::Variant] {
        assert!(!can_be_cursor(&bad), "{bad}");
    }
}

#[test]
fn times_are_written_as_rfc_3339_over_all_years_snowflake_has() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-2_203_891_200_001, "1900-02-28T23:59:59.999Z"),
        (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(UnixMillis(ms).to_string(), text);
    }
}

#[test]
fn the_ends_of_time_neither_overflow_nor_run_backwards() {
    let (first, last) = (UnixMillis(i64::MIN), UnixMillis(i64::MAX));
    assert_eq!(last.plus_ms(u64::MAX), last);
    assert_eq!(UnixMillis(5).plus_ms(7), UnixMillis(12));
    assert_eq!((first.since_ms(last), last.since_ms(first)), (0, i64::MAX as u64));
    assert_eq!(UnixMillis(12).since_ms(UnixMillis(5)), 7);
    assert!(first.to_string().starts_with('-') && last.to_string().ends_with('Z'));
}

#[test]
fn values_of_two_kinds_have_no_order() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let text = |text: &str| StatValue::Text(text.to_owned());
    assert_eq!(StatValue::Int(1).compare(&StatValue::Int(2)), Some(Less));
    assert_eq!(StatValue::Decimal(i128::MAX).compare(&StatValue::Decimal(0)), Some(Greater));
    assert_eq!(StatValue::Float(0.0).compare(&StatValue::Float(-0.0)), Some(Equal));
    assert_eq!(text("Z").compare(&text("a")), Some(Less));
    assert_eq!(text("z").compare(&text("ä")), Some(Less));
    assert_eq!(StatValue::Int(1).compare(&StatValue::Decimal(1)), None);
    assert_eq!(StatValue::Int(1).compare(&StatValue::Micros(1)), None);
}
