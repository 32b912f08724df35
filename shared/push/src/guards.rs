//! Keeps a rewrite from emptying a target because something upstream went wrong.

use snowferry_model::push::{ColumnVerdict, PushMode, PushPlan, Verdict};

use crate::job::{DEFAULT_MAX_SHRINK_PERCENT, Rules};

/// Returns why these many rows must not replace the target's, if so.
pub(crate) fn guard(plan: &PushPlan, rows: u64, rules: Rules) -> Option<ColumnVerdict> {
    if plan.mode != PushMode::Rewrite {
        return None;
    }
    let before = plan.target_rows.unwrap_or(0);
    if rows == 0 && !rules.allow_empty {
        return Some(refuse(
            rows,
            before,
            "the query has no rows; a rewrite would empty the table".to_owned(),
            "set `allow_empty: true` if that is meant",
        ));
    }
    let percent = rules.max_shrink_percent.unwrap_or(DEFAULT_MAX_SHRINK_PERCENT);
    let keep = u128::from(before) * u128::from(100_u8.saturating_sub(percent));
    if rows > 0 && u128::from(rows) * 100 < keep {
        return Some(refuse(
            rows,
            before,
            format!("a rewrite would take away more than {percent} % of the rows"),
            "set `max_shrink_percent` to what may go in one run",
        ));
    }
    None
}

fn refuse(rows: u64, before: u64, reason: String, repair: &str) -> ColumnVerdict {
    ColumnVerdict {
        column: String::new(),
        ours: format!("{rows} rows"),
        theirs: format!("{before} rows"),
        verdict: Verdict::Refused,
        reason,
        repair: Some(repair.to_owned()),
    }
}
