//! Statements about stages, their files and file formats.
//!
//! PUT and GET move no bytes here: their answer tells the client where to (`transfer`).

pub(crate) mod list;
pub(crate) mod location;
pub(crate) mod settings;
pub(crate) mod transfer;

use super::error::{compile, object_exists};
use super::plan::Planning;
use super::rows::Rows;
use super::tokens::Tokens;
use crate::catalog::{IfExists, Qualified, quoted_if_needed};
use crate::engine::SqlError;
use crate::stages::{Encryption, External, FileFormat, MasterKey, Settings, Stage};
use list::Wanted;
use location::{Location, missing, places};
use settings::{invalid_value, options, settings as read_settings, text, unknown_property};

/// A statement about stages.
#[derive(Debug)]
pub(crate) enum StageCommand {
    CreateStage { name: Vec<String>, if_exists: IfExists, temporary: bool, settings: Settings },
    CreateFormat { name: Vec<String>, if_exists: IfExists, temporary: bool, settings: Settings },
    DropStage { name: Vec<String>, if_exists: bool },
    DropFormat { name: Vec<String>, if_exists: bool },
    ShowStages(Wanted),
    ShowFormats(Wanted),
    DescribeStage(Vec<String>),
    List { location: Location, pattern: Option<String> },
    Remove { location: Location, pattern: Option<String> },
}

/// Reads a statement about stages; `None` for every other.
pub(crate) fn parse(mut tokens: Tokens) -> Result<Option<StageCommand>, SqlError> {
    let tokens = &mut tokens;
    let command = if tokens.eat("CREATE") {
        create(tokens)?
    } else if tokens.eat("DROP STAGE") {
        let if_exists = tokens.eat("IF EXISTS");
        Some(StageCommand::DropStage { name: tokens.name()?, if_exists })
    } else if tokens.eat("DROP FILE FORMAT") {
        let if_exists = tokens.eat("IF EXISTS");
        Some(StageCommand::DropFormat { name: tokens.name()?, if_exists })
    } else if tokens.eat("SHOW STAGES") {
        Some(StageCommand::ShowStages(wanted(tokens)?))
    } else if tokens.eat("SHOW FILE FORMATS") {
        Some(StageCommand::ShowFormats(wanted(tokens)?))
    } else if tokens.eat("DESCRIBE STAGE") || tokens.eat("DESC STAGE") {
        Some(StageCommand::DescribeStage(tokens.name()?))
    } else if tokens.eat("LIST") || tokens.eat("LS") {
        let (location, pattern) = files(tokens)?;
        Some(StageCommand::List { location, pattern })
    } else if tokens.eat("REMOVE") || tokens.eat("RM") {
        let (location, pattern) = files(tokens)?;
        Some(StageCommand::Remove { location, pattern })
    } else {
        None
    };
    if command.is_some() {
        tokens.end()?;
    }
    Ok(command)
}

fn create(tokens: &mut Tokens) -> Result<Option<StageCommand>, SqlError> {
    let replace = tokens.eat("OR REPLACE");
    let temporary = tokens.eat("TEMPORARY") || tokens.eat("TEMP");
    let of_stage = tokens.eat("STAGE");
    if !of_stage && !tokens.eat("FILE FORMAT") {
        return Ok(None);
    }
    let if_exists = match (tokens.eat("IF NOT EXISTS"), replace) {
        (true, _) => IfExists::Keep,
        (false, true) => IfExists::Replace,
        (false, false) => IfExists::Fail,
    };
    let name = tokens.name()?;
    let settings = read_settings(tokens)?;
    Ok(Some(if of_stage {
        StageCommand::CreateStage { name, if_exists, temporary, settings }
    } else {
        StageCommand::CreateFormat { name, if_exists, temporary, settings }
    }))
}

fn wanted(tokens: &mut Tokens) -> Result<Wanted, SqlError> {
    let mut wanted = Wanted::default();
    loop {
        if tokens.eat("LIKE") {
            wanted.like = Some(tokens.string()?);
        } else if tokens.eat("IN") {
            tokens.eat("SCHEMA");
            wanted.schema = Some(tokens.name()?);
        } else {
            return Ok(wanted);
        }
    }
}

fn files(tokens: &mut Tokens) -> Result<(Location, Option<String>), SqlError> {
    let location = Location::parse(&tokens.unbroken()?)?;
    let settings = read_settings(tokens)?;
    if let Some(name) = settings.keys().find(|name| *name != "PATTERN") {
        return Err(unknown_property(name));
    }
    Ok((location, text(&settings, "PATTERN")?.map(ToOwned::to_owned)))
}

impl StageCommand {
    /// Whether it changes definitions, which ends an open transaction.
    pub(crate) fn is_ddl(&self) -> bool {
        matches!(
            self,
            Self::CreateStage { .. }
                | Self::CreateFormat { .. }
                | Self::DropStage { .. }
                | Self::DropFormat { .. }
        )
    }

    /// The kind of statement in the history.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::CreateStage { .. } | Self::CreateFormat { .. } => "CREATE",
            Self::DropStage { .. } | Self::DropFormat { .. } => "DROP",
            Self::ShowStages(_) | Self::ShowFormats(_) => "SHOW",
            Self::DescribeStage(_) => "DESCRIBE",
            Self::List { .. } => "LIST_FILES",
            Self::Remove { .. } => "REMOVE_FILES",
        }
    }

    /// Snowflake's number for the kind of statement.
    pub(crate) fn statement_type(&self) -> i64 {
        match self {
            Self::ShowStages(_) | Self::ShowFormats(_) => 0x4400,
            Self::DescribeStage(_) => 0x4500,
            Self::List { .. } => 0x4701,
            Self::Remove { .. } => 0x7103,
            _ => 0x6000,
        }
    }

    /// Does it.
    pub(crate) fn run(self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        match self {
            Self::CreateStage { name, if_exists, temporary, settings } => {
                create_stage(planning, &name, if_exists, temporary, &settings)
            }
            Self::CreateFormat { name, if_exists, temporary, settings } => {
                create_format(planning, &name, if_exists, temporary, settings)
            }
            Self::DropStage { name, if_exists } => {
                let stages = &planning.catalog.stages;
                dropped(planning, "Stage", &name, if_exists, |place| stages.drop_stage(place))
            }
            Self::DropFormat { name, if_exists } => {
                let stages = &planning.catalog.stages;
                dropped(planning, "File format", &name, if_exists, |place| {
                    stages.drop_format(place)
                })
            }
            Self::ShowStages(wanted) => list::show_stages(planning, &wanted),
            Self::ShowFormats(wanted) => list::show_formats(planning, &wanted),
            Self::DescribeStage(name) => list::describe(planning, &name),
            Self::List { location, pattern } => list::list(planning, &location, pattern.as_deref()),
            Self::Remove { location, pattern } => {
                list::remove(planning, &location, pattern.as_deref())
            }
        }
    }
}

/// Where a new object goes, or the answer when there is one already.
fn place_for(
    planning: &Planning<'_>,
    at: &Qualified,
    (if_exists, temporary): (IfExists, bool),
    exists: impl Fn(&crate::stages::Place) -> bool,
) -> Result<Result<crate::stages::Place, Rows>, SqlError> {
    let [own, permanent] = places(planning, at)?;
    let place = if temporary { own } else { permanent };
    match (exists(&place), if_exists) {
        (true, IfExists::Fail) => Err(object_exists(&at.name)),
        (true, IfExists::Keep) => {
            let text = format!("{} already exists, statement succeeded.", at.name);
            Ok(Err(Rows::status(text)))
        }
        _ => Ok(Ok(place)),
    }
}

fn create_stage(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: IfExists,
    temporary: bool,
    settings: &Settings,
) -> Result<Rows, SqlError> {
    let known = [
        "URL",
        "STORAGE_INTEGRATION",
        "CREDENTIALS",
        "ENCRYPTION",
        "FILE_FORMAT",
        "DIRECTORY",
        "COPY_OPTIONS",
        "COMMENT",
    ];
    if let Some(name) = settings.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_property(name));
    }
    let at = Qualified::resolve(name, planning.session)?;
    planning.authorize_in_schema(&at, Some("CREATE STAGE"))?;
    let stages = &planning.catalog.stages;
    let place = match place_for(planning, &at, (if_exists, temporary), |place| {
        stages.find(place).is_some()
    })? {
        Ok(place) => place,
        Err(answer) => return Ok(answer),
    };
    let encryption = match text(&options(settings, "ENCRYPTION")?, "TYPE")? {
        None | Some("SNOWFLAKE_FULL") => Encryption::SnowflakeFull,
        Some("SNOWFLAKE_SSE") => Encryption::SnowflakeSse,
        Some(other) => return Err(invalid_value("ENCRYPTION", other)),
    };
    let id = stages.next_id();
    let stage = Stage {
        id,
        external: external(settings)?,
        encryption,
        format: format_of(planning, settings)?,
        comment: text(settings, "COMMENT")?.map(ToOwned::to_owned),
        created_ns: planning.catalog.tick(),
        temporary,
        // Accounts have either size; here every second stage does, so that clients meet both.
        key: if id.is_multiple_of(2) { MasterKey::short() } else { MasterKey::long() },
    };
    stages.put(place, stage);
    Ok(Rows::status(format!("Stage area {} successfully created.", at.name)))
}

/// The external location that options name, if they name one.
pub(crate) fn external(settings: &Settings) -> Result<Option<External>, SqlError> {
    let credentials = options(settings, "CREDENTIALS")?;
    let integration = text(settings, "STORAGE_INTEGRATION")?.map(ToOwned::to_owned);
    let Some(url) = text(settings, "URL")? else {
        if credentials.is_empty() && integration.is_none() {
            return Ok(None);
        }
        return Err(compile("001008", "22023", "an internal stage takes no credentials"));
    };
    external_of(url, &credentials, integration).map(Some)
}

/// An external location.
pub(crate) fn external_of(
    url: &str,
    credentials: &Settings,
    integration: Option<String>,
) -> Result<External, SqlError> {
    if !url.starts_with("s3://") {
        return Err(compile("001008", "22023", format!("invalid URL prefix found in: '{url}'")));
    }
    let known = ["AWS_KEY_ID", "AWS_SECRET_KEY", "AWS_TOKEN"];
    let mut plain = std::collections::BTreeMap::new();
    for name in credentials.keys() {
        if !known.contains(&name.as_str()) {
            return Err(unknown_property(name));
        }
        plain.extend(text(credentials, name)?.map(|value| (name.clone(), value.to_owned())));
    }
    Ok(External { url: url.to_owned(), credentials: plain, integration })
}

/// The options of `FILE_FORMAT = (…)` or of the format that it names.
pub(crate) fn format_of(
    planning: &Planning<'_>,
    settings: &Settings,
) -> Result<Settings, SqlError> {
    use crate::stages::Setting;
    let mut format = match settings.get("FILE_FORMAT") {
        None => return Ok(Settings::new()),
        Some(Setting::Text(name)) => return named_format(planning, name),
        Some(Setting::Options(options)) => options.clone(),
        Some(Setting::List(list)) if list.is_empty() => return Ok(Settings::new()),
        Some(Setting::List(_)) => return Err(invalid_value("FILE_FORMAT", "(…)")),
    };
    match format.remove("FORMAT_NAME") {
        None => Ok(format),
        Some(Setting::Text(name)) if format.is_empty() => named_format(planning, &name),
        Some(_) => Err(invalid_value("FORMAT_NAME", "(…)")),
    }
}

/// The options of a named file format.
pub(crate) fn named_format(planning: &Planning<'_>, name: &str) -> Result<Settings, SqlError> {
    let parts = super::tokens::split(name)?.into_iter().next();
    let parts = parts.ok_or_else(|| invalid_value("FORMAT_NAME", name))?.name()?;
    let at = Qualified::resolve(&parts, planning.session)?;
    let [own, permanent] = places(planning, &at)?;
    let stages = &planning.catalog.stages;
    let found = stages.format(&own).or_else(|| stages.format(&permanent));
    found.map(|format| format.options.clone()).ok_or_else(|| missing("File format", &at))
}

fn create_format(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: IfExists,
    temporary: bool,
    mut settings: Settings,
) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    planning.authorize_in_schema(&at, Some("CREATE FILE FORMAT"))?;
    let stages = &planning.catalog.stages;
    let place = match place_for(planning, &at, (if_exists, temporary), |place| {
        stages.format(place).is_some()
    })? {
        Ok(place) => place,
        Err(answer) => return Ok(answer),
    };
    let comment = text(&settings, "COMMENT")?.map(ToOwned::to_owned);
    settings.remove("COMMENT");
    let format = FileFormat { options: settings, comment, created_ns: planning.catalog.tick() };
    stages.put_format(place, format);
    Ok(Rows::status(format!("File format {} successfully created.", at.name)))
}

fn dropped(
    planning: &Planning<'_>,
    kind: &str,
    name: &[String],
    if_exists: bool,
    drop: impl Fn(&crate::stages::Place) -> bool,
) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    planning.authorize_in_schema(&at, None)?;
    let [own, permanent] = places(planning, &at)?;
    let shown = quoted_if_needed(&at.name);
    match (drop(&own) || drop(&permanent), if_exists) {
        (true, _) => Ok(Rows::status(format!("{shown} successfully dropped."))),
        (false, true) => Ok(Rows::status(format!(
            "Drop statement executed successfully ({shown} already dropped)."
        ))),
        (false, false) => Err(missing(kind, &at)),
    }
}
