//! `mhost ai prompts`: the words that a model is asked with, and one's own in their place.
//!
//! Local: files are read and written here, and no daemon is needed.

use std::io::Write;
use std::path::{Path, PathBuf};

use brain::prompts::{Prompts as All, Purpose};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::{clean_block, clean_line};

/// Show the words that a model is asked with, and use your own
///
/// A file <name>.txt in the folder prompts of the home folder takes the place of the system
/// part of a prompt; system.txt stands before all of them. They are read at each call.
#[derive(Debug, Args)]
pub(crate) struct Prompts {
    #[command(subcommand)]
    command: PromptsCommand,
}

#[derive(Debug, Subcommand)]
enum PromptsCommand {
    /// List all prompts and where each is from
    List,
    /// Show a prompt: its system part, a line %%, its user part
    Show {
        /// The prompt, as in the list
        name: String,
        /// Fill it in with its example
        #[arg(long)]
        example: bool,
    },
    /// Write the system part of a prompt to your folder, to be edited
    Export {
        /// The prompt, as in the list
        name: String,
    },
    /// Try your own files with the examples
    Test {
        /// The prompt, as in the list; all when none is named
        name: Option<String>,
    },
}

impl Prompts {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let folder = ctx.paths()?.prompts();
        let prompts = All::new(&folder);
        match self.command {
            PromptsCommand::List => list(ctx, &prompts),
            PromptsCommand::Show { name, example } => show(ctx, &prompts, find(&name)?, example),
            PromptsCommand::Export { name } => export(ctx, &folder, find(&name)?),
            PromptsCommand::Test { name } => {
                let which = match &name {
                    Some(name) => vec![find(name)?],
                    None => Purpose::ALL.to_vec(),
                };
                test(ctx, &prompts, &which)
            }
        }
    }
}

fn find(name: &str) -> Result<Purpose, CliError> {
    name.parse().map_err(|error| {
        let error: brain::prompts::UnknownPurpose = error;
        CliError::new(Exit::NotFound, error.to_string())
            .with_help("see what there is: mhost ai prompts list")
    })
}

fn list(ctx: &Context, prompts: &All) -> Result<Exit, CliError> {
    if ctx.output.is_json() {
        let rows = Purpose::ALL.iter().map(
            |one| json!({ "name": one.name(), "about": one.about(), "file": prompts.file(*one), "problems": prompts.problems(*one) }),
        );
        let rows: Vec<_> = rows.collect();
        ctx.output.json(&json!({
            "prompts": rows,
            "before_all": prompts.file_of_all(),
            "unused": prompts.unused(),
        }))?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("FROM", 0),
        Column::new("ABOUT", 1).at_least(20),
    ]);
    for one in Purpose::ALL {
        let from = match prompts.file(*one) {
            Some(_) if prompts.problems(*one).is_empty() => Cell::toned("your file", Tone::Good),
            Some(_) => Cell::toned("your file, not used", Tone::Bad),
            None => Cell::from("built-in"),
        };
        table.row([Cell::from(one.name()), from, Cell::from(one.about())]);
    }
    ctx.output.table(&table)?;
    if let Some(file) = prompts.file_of_all() {
        ctx.output
            .note(&format!("{} stands before all of them.", file.display()));
    }
    for file in prompts.unused() {
        ctx.output.warn(&misnamed(&file));
    }
    if Purpose::ALL
        .iter()
        .any(|one| !prompts.problems(*one).is_empty())
    {
        ctx.output
            .warn("what is wrong with a file that is not used: mhost ai prompts test");
    }
    Ok(Exit::Success)
}

fn misnamed(file: &Path) -> String {
    format!(
        "{} is not used: a prompt is named as in `mhost ai prompts list`, with .txt",
        clean_line(&file.to_string_lossy())
    )
}

fn show(ctx: &Context, prompts: &All, purpose: Purpose, example: bool) -> Result<Exit, CliError> {
    let (system, user, files, warnings) = if example {
        let prompt = prompts.render(purpose, &purpose.example());
        (prompt.system, prompt.user, prompt.files, prompt.warnings)
    } else {
        let (system, user) = purpose.parts();
        match prompts.file(purpose) {
            Some(file) => (read(&file)?, user.to_owned(), vec![file], Vec::new()),
            None => (system.to_owned(), user.to_owned(), Vec::new(), Vec::new()),
        }
    };
    for one in &warnings {
        ctx.output.warn(one);
    }
    if ctx.output.is_json() {
        ctx.output.json(
            &json!({ "name": purpose.name(), "system": system, "user": user,
            "files": files, "warnings": warnings }),
        )?;
        return Ok(Exit::Success);
    }
    let text = format!("{}\n%%\n{}", system.trim_end(), user.trim_end());
    ctx.output.line(&clean_block(&text))?;
    Ok(Exit::Success)
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|error| {
        CliError::failure(format!("{} could not be read: {error}", file.display()))
    })
}

/// Writes a file that changes nothing yet. One that is there stays as it is.
fn export(ctx: &Context, folder: &Path, purpose: Purpose) -> Result<Exit, CliError> {
    let file = folder.join(format!("{purpose}.txt"));
    write(&file, purpose.parts().0)?;
    if ctx.output.is_json() {
        ctx.output
            .json(&json!({ "name": purpose.name(), "file": file }))?;
        return Ok(Exit::Success);
    }
    ctx.output.done(&file.display().to_string())?;
    ctx.output.note(&format!(
        "It is in force now, with the built-in words. Edit it, then: mhost ai prompts test {purpose}"
    ));
    Ok(Exit::Success)
}

fn write(file: &PathBuf, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CliError::config(format!("{} exists already", file.display()))
                .with_help("edit that file, or remove it first")
        }
        _ => CliError::failure(format!("{} could not be written: {error}", file.display())),
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut written = std::fs::File::create_new(file).map_err(failed)?;
    written
        .write_all(format!("{}\n", text.trim_end()).as_bytes())
        .map_err(failed)
}

fn test(ctx: &Context, prompts: &All, which: &[Purpose]) -> Result<Exit, CliError> {
    let mut problems: Vec<String> = Vec::new();
    for purpose in which {
        for one in prompts.problems(*purpose) {
            if !problems.contains(&one) {
                problems.push(one);
            }
        }
    }
    if which.len() == Purpose::ALL.len() {
        problems.extend(prompts.unused().iter().map(|file| misnamed(file)));
    }
    let own = which.iter().filter(|one| prompts.file(**one).is_some());
    let own = own.count() + usize::from(prompts.file_of_all().is_some());
    let exit = if problems.is_empty() {
        Exit::Success
    } else {
        Exit::Config
    };
    if ctx.output.is_json() {
        ctx.output
            .json(&json!({ "tried": which.len(), "own": own, "problems": problems }))?;
        return Ok(exit);
    }
    for one in &problems {
        ctx.output.fail(one);
    }
    if problems.is_empty() {
        let text = match own {
            0 => "there are no files of yours; the built-in prompts are used".to_owned(),
            1 => "1 file of yours is used".to_owned(),
            own => format!("{own} files of yours are used"),
        };
        ctx.output.done(&text)?;
    } else {
        ctx.output
            .help("the built-in prompt is used instead; names that can be used: app, facts, question, schema");
    }
    Ok(exit)
}
