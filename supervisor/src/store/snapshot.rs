//! `processes/<name>.json`: the state of each process as a file of its own.
//!
//! Written by rename after a change, from what the database says. Nobody reads them while
//! the database is well; when it was lost, they bring back definitions and states, so that
//! running children are adopted and not started twice. Events are not kept here.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use tracing::warn;

use super::{Batch, ProcessRow, StoreError};
use crate::ids::InstanceId;
use crate::spec::GroupSpec;
use crate::state::Saved;

/// `+` is in no process name, so no process has this file.
const GROUPS: &str = "+groups";

#[derive(Deserialize)]
struct Snapshot {
    process: ProcessRow,
    instances: BTreeMap<u16, Saved>,
}

#[derive(Deserialize)]
struct Groups {
    groups: BTreeMap<String, GroupSpec>,
}

/// What a file is to say; nothing means that it goes.
#[derive(Debug)]
pub(super) struct Page {
    name: String,
    text: Option<String>,
}

/// The folder of snapshots.
#[derive(Debug, Clone)]
pub(super) struct Snapshots {
    folder: PathBuf,
}

impl Snapshots {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of one process as the database has it.
    pub(super) fn process(db: &Connection, name: &str) -> Result<Page, StoreError> {
        let page = |text| Page {
            name: name.to_owned(),
            text,
        };
        let row: Option<String> = db
            .prepare_cached("SELECT row FROM processes WHERE name = ?")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let Some(row) = row else {
            return Ok(page(None));
        };
        let mut statement =
            db.prepare_cached("SELECT idx, saved FROM instances WHERE process = ? ORDER BY idx")?;
        let instances = statement
            .query_map(params![name], |row| {
                let (index, saved): (u16, String) = (row.get(0)?, row.get(1)?);
                Ok(format!("\"{index}\":{saved}"))
            })?
            .collect::<Result<Vec<_>, _>>()?
            .join(",");
        let text = format!("{{\"version\":1,\"process\":{row},\"instances\":{{{instances}}}}}\n");
        Ok(page(Some(text)))
    }

    /// The file of all groups.
    pub(super) fn groups(db: &Connection) -> Result<Page, StoreError> {
        let mut statement = db.prepare_cached("SELECT name, spec FROM groups ORDER BY name")?;
        let groups = statement
            .query_map([], |row| {
                let (name, spec): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(format!("{}:{spec}", serde_json::Value::String(name)))
            })?
            .collect::<Result<Vec<_>, _>>()?
            .join(",");
        Ok(Page {
            name: GROUPS.to_owned(),
            text: Some(format!("{{\"version\":1,\"groups\":{{{groups}}}}}\n")),
        })
    }

    /// All that the files say, as one batch. A file that cannot be read is passed over.
    pub(super) fn read(&self) -> Batch {
        let mut batch = Batch::default();
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return batch;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            if let Err(error) = read_into(&path, &mut batch) {
                warn!(path = %path.display(), %error, "A process snapshot cannot be read.");
            }
        }
        batch.processes.sort_by_key(|row| row.position);
        batch
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Writes or removes a file.
    pub(super) fn write(&self, page: &Page) {
        let Page { name, text } = page;
        let done = match text {
            Some(text) => self.replace(name, text),
            None => match fs::remove_file(self.file(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        if let Err(error) = done {
            warn!(process = name, %error, "A process snapshot could not be written.");
        }
    }

    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let temporary = self.folder.join(format!("+{name}.tmp"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, self.file(name))
    }
}

fn read_into(path: &Path, batch: &mut Batch) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    if path.file_stem().is_some_and(|stem| stem == GROUPS) {
        let groups: Groups = serde_json::from_str(&text)?;
        batch.groups.extend(groups.groups.into_values());
        return Ok(());
    }
    let Snapshot { process, instances } = serde_json::from_str(&text)?;
    let name = process.spec.name.clone();
    batch.processes.push(process);
    batch.instances.extend(
        instances
            .into_iter()
            .map(|(index, saved)| (InstanceId::new(name.clone(), index), saved)),
    );
    Ok(())
}
