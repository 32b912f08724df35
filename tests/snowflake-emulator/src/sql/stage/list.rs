//! LIST, REMOVE, SHOW STAGES, SHOW FILE FORMATS and DESCRIBE STAGE.

use chrono::{DateTime, Utc};
use regex::Regex;

use super::super::error::unsupported;
use super::super::functions::like_matches;
use super::super::plan::Planning;
use super::super::rows::{Rows, optional};
use super::super::value::Value;
use super::location::{Found, Location, missing, places, storage_failed};
use crate::catalog::Qualified;
use crate::engine::SqlError;
use crate::stages::{Place, Setting, Stage, StagedFile};
use crate::types::SnowType;

const TEXT: SnowType = SnowType::TEXT;
const NUMBER: SnowType = SnowType::Number { precision: 38, scale: 0 };
const MOMENT: SnowType = SnowType::TimestampLtz { scale: 3 };

/// A PATTERN, which must match the whole path.
pub(crate) fn pattern(text: &str) -> Result<Regex, SqlError> {
    Regex::new(&format!("^(?:{text})$")).map_err(|error| {
        let message = format!("Invalid regular expression: '{text}', {error}");
        SqlError { code: "100048", sql_state: "2201B", message }
    })
}

/// The files of an internal location.
fn files(
    planning: &Planning<'_>,
    location: &Location,
    wanted: Option<&str>,
) -> Result<(Found, Vec<StagedFile>), SqlError> {
    let found = location.find(planning)?;
    if found.stage.external.is_some() {
        return Err(unsupported("LIST and REMOVE of an external stage"));
    }
    let wanted = wanted.map(pattern).transpose()?;
    let stages = &planning.catalog.stages;
    let mut files =
        stages.files(found.stage.id, &found.path).map_err(|error| storage_failed(&error))?;
    files.retain(|file| wanted.as_ref().is_none_or(|wanted| wanted.is_match(&file.path)));
    Ok((found, files))
}

/// LIST.
pub(crate) fn list(
    planning: &Planning<'_>,
    location: &Location,
    wanted: Option<&str>,
) -> Result<Rows, SqlError> {
    let (found, files) = files(planning, location, wanted)?;
    let mut rows =
        Rows::new(vec![("name", TEXT), ("size", NUMBER), ("md5", TEXT), ("last_modified", TEXT)]);
    for file in files {
        let modified = DateTime::<Utc>::from(file.modified);
        rows.push(vec![
            Value::text(format!("{}{}", found.shown, file.path)),
            Value::integer(file.size_bytes),
            Value::text(file.md5),
            Value::text(modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        ]);
    }
    Ok(rows)
}

/// REMOVE.
pub(crate) fn remove(
    planning: &Planning<'_>,
    location: &Location,
    wanted: Option<&str>,
) -> Result<Rows, SqlError> {
    let (found, files) = files(planning, location, wanted)?;
    let mut rows = Rows::new(vec![("name", TEXT), ("result", TEXT)]);
    for file in files {
        let removed = planning.catalog.stages.remove(found.stage.id, &file.path);
        if removed.map_err(|error| storage_failed(&error))? {
            let name = format!("{}{}", found.shown, file.path);
            rows.push(vec![Value::text(name), Value::text("removed")]);
        }
    }
    Ok(rows)
}

/// Which schema a SHOW looks into, and which names it wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub like: Option<String>,
    /// The schema's name; the current one when absent.
    pub schema: Option<Vec<String>>,
}

impl Wanted {
    fn name(&self, name: &str) -> bool {
        self.like.as_ref().is_none_or(|pattern| {
            like_matches(&name.to_lowercase(), &pattern.to_lowercase(), Some('\\'))
        })
    }

    fn schema(&self, planning: &Planning<'_>) -> Result<Qualified, SqlError> {
        let mut parts = self.schema.clone().unwrap_or_default();
        parts.push("X".to_owned());
        Qualified::resolve(&parts, planning.session)
    }
}

/// The name of what lies in a schema, for its own session.
fn visible(place: &Place, schema: i128, session: u64) -> Option<&str> {
    match place {
        Place::Schema { schema_ns, name } if *schema_ns == schema => Some(name),
        Place::Session { session_id, schema_ns, name }
            if *schema_ns == schema && *session_id == session =>
        {
            Some(name)
        }
        _ => None,
    }
}

fn moment(nanos: i128) -> Value {
    Value::Ltz(nanos)
}

fn role(planning: &Planning<'_>) -> Value {
    optional(planning.session.role.as_deref())
}

/// SHOW STAGES.
pub(crate) fn show_stages(planning: &Planning<'_>, wanted: &Wanted) -> Result<Rows, SqlError> {
    let at = wanted.schema(planning)?;
    let schema_ns = planning.snapshot.schema_ns(&at)?;
    let session = planning.session.session_id;
    let names = [
        "created_on",
        "name",
        "database_name",
        "schema_name",
        "url",
        "has_credentials",
        "has_encryption_key",
        "owner",
        "comment",
        "region",
        "type",
        "cloud",
        "notification_channel",
        "storage_integration",
        "endpoint",
        "owner_role_type",
        "directory_enabled",
    ];
    let columns = names.into_iter().enumerate();
    let mut rows = Rows::new(
        columns.map(|(index, name)| (name, if index == 0 { MOMENT } else { TEXT })).collect(),
    );
    for (place, stage) in planning.catalog.stages.list(|_| true) {
        let Some(name) = visible(&place, schema_ns, session).filter(|name| wanted.name(name))
        else {
            continue;
        };
        let external = stage.external.as_ref();
        let yes_no = |yes: bool| Value::text(if yes { "Y" } else { "N" });
        rows.push(vec![
            moment(stage.created_ns),
            Value::text(name),
            Value::text(&at.database),
            Value::text(&at.schema),
            Value::text(external.map_or("", |external| &external.url)),
            yes_no(external.is_some_and(|external| !external.credentials.is_empty())),
            Value::text("N"),
            role(planning),
            Value::text(stage.comment.clone().unwrap_or_default()),
            Value::Null,
            Value::text(kind(&stage)),
            optional(external.map(|_| "AWS")),
            Value::Null,
            optional(external.and_then(|external| external.integration.as_deref())),
            Value::Null,
            Value::text("ROLE"),
            Value::text("N"),
        ]);
    }
    Ok(rows)
}

fn kind(stage: &Stage) -> String {
    let place = if stage.external.is_some() { "EXTERNAL" } else { "INTERNAL" };
    if stage.temporary { format!("{place} TEMPORARY") } else { place.to_owned() }
}

/// SHOW FILE FORMATS.
pub(crate) fn show_formats(planning: &Planning<'_>, wanted: &Wanted) -> Result<Rows, SqlError> {
    let at = wanted.schema(planning)?;
    let schema_ns = planning.snapshot.schema_ns(&at)?;
    let session = planning.session.session_id;
    let mut rows = Rows::new(vec![
        ("created_on", MOMENT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("type", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("format_options", TEXT),
        ("owner_role_type", TEXT),
    ]);
    for (place, format) in planning.catalog.stages.formats(|_| true) {
        let Some(name) = visible(&place, schema_ns, session).filter(|name| wanted.name(name))
        else {
            continue;
        };
        let options: serde_json::Map<String, serde_json::Value> = format
            .options
            .iter()
            .map(|(name, value)| (name.clone(), setting_json(value)))
            .collect();
        let kind = match format.options.get("TYPE") {
            Some(Setting::Text(kind)) => kind.to_uppercase(),
            _ => "CSV".to_owned(),
        };
        rows.push(vec![
            moment(format.created_ns),
            Value::text(name),
            Value::text(&at.database),
            Value::text(&at.schema),
            Value::text(kind),
            role(planning),
            Value::text(format.comment.clone().unwrap_or_default()),
            Value::text(serde_json::Value::Object(options).to_string()),
            Value::text("ROLE"),
        ]);
    }
    Ok(rows)
}

fn setting_json(setting: &Setting) -> serde_json::Value {
    match setting {
        Setting::Text(text) => text.clone().into(),
        Setting::List(list) => list.clone().into(),
        Setting::Options(options) => serde_json::Value::Object(
            options.iter().map(|(name, value)| (name.clone(), setting_json(value))).collect(),
        ),
    }
}

/// DESCRIBE STAGE.
pub(crate) fn describe(planning: &Planning<'_>, name: &[String]) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    let stages = &planning.catalog.stages;
    let [temporary, permanent] = places(planning, &at)?;
    let stage = stages.find(&temporary).or_else(|| stages.find(&permanent));
    let stage = stage.ok_or_else(|| missing("Stage", &at))?;
    let mut rows = Rows::new(vec![
        ("parent_property", TEXT),
        ("property", TEXT),
        ("property_type", TEXT),
        ("property_value", TEXT),
        ("property_default", TEXT),
    ]);
    let mut push = |parent: &str, name: &str, value: String, default: &str| {
        rows.push([parent, name, "String", &value, default].into_iter().map(Value::text).collect());
    };
    for (name, value) in &stage.format {
        let shown = match value {
            Setting::Text(text) => text.clone(),
            other => setting_json(other).to_string(),
        };
        push("STAGE_FILE_FORMAT", name, shown, "");
    }
    if let Some(external) = &stage.external {
        push("STAGE_LOCATION", "URL", format!("[{:?}]", external.url), "");
        push(
            "STAGE_INTEGRATION",
            "STORAGE_INTEGRATION",
            external.integration.clone().unwrap_or_default(),
            "",
        );
        let key = external.credentials.get("AWS_KEY_ID").cloned().unwrap_or_default();
        push("STAGE_CREDENTIALS", "AWS_KEY_ID", key, "");
    }
    push("DIRECTORY", "ENABLE", "false".to_owned(), "false");
    Ok(rows)
}
