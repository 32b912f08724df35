//! The life of a push: what is asked for, what is remembered, and what is sent.
//!
//! A push writes the rows of a query on our database into one table of a customer. Like a pull it
//! is a row of numbered slices: [`PushState`] says how many were applied and which one is in work,
//! [`PushPlan`] fixes everything about that one before a row is read, [`PushManifest`] lists its
//! parts once they are all there. **Invariant:** after the plan is stored nothing about a slice is
//! decided again; a repeat sends the same rows in the same form, or stops.

mod column;
mod manifest;
mod run;
mod state;
mod target;
mod verdict;

pub use column::{Constant, ConstantValue, PushColumn, WireForm};
pub use manifest::{PUSH_MANIFEST_VERSION, PushManifest, PushPart};
pub use run::{PUSH_RUN_VERSION, PushFigures, PushOutcome, PushRunRecord};
pub use state::{
    Delivery, PUSH_PLAN_VERSION, PUSH_STATE_VERSION, PushKey, PushMode, PushName, PushPlan,
    PushSlice, PushState,
};
pub use target::{Privilege, TargetColumn, TargetDescription};
pub use verdict::{ColumnVerdict, Verdict, refused};
