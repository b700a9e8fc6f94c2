//! What a config file is loaded with: an environment, a folder, and what a command line says.

use std::path::PathBuf;

use crate::os_text::OsText;
use crate::secret::EnvVars;

/// Who loads, and from where.
#[derive(Debug, Clone, Default)]
pub struct LoadContext {
    /// The caller's environment. `MHOST_*` is used for `${…}` but not handed to processes.
    pub env: EnvVars<OsText>,
    /// The caller's folder.
    pub cwd: PathBuf,
    /// `--env` flags: they win over everything.
    pub flags: EnvVars<String>,
    /// `--env-file` flags, relative to `cwd`: they replace the `env_file` of every process.
    pub env_files: Vec<PathBuf>,
    /// The text is a stranger's: it can have no other file read, by `${file:…}` or as an env
    /// file, since complaints quote what stands there.
    pub sealed: bool,
}

impl LoadContext {
    /// The surroundings of this process.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn current() -> std::io::Result<Self> {
        Ok(Self::within(std::env::current_dir()?))
    }

    /// The environment of this process, in a folder that may be another.
    pub fn within(cwd: PathBuf) -> Self {
        // A variable whose name is not UTF-8 cannot be named in any of our files.
        let env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, OsText(value))))
            .collect();
        Self {
            env,
            cwd,
            ..Self::default()
        }
    }

    /// For the text of a stranger: of our environment it gets `PATH` alone, and no file is
    /// read for it.
    pub fn sealed(cwd: PathBuf) -> Self {
        let path = std::env::var_os("PATH").map(|path| ("PATH".to_owned(), OsText(path)));
        Self {
            env: path.into_iter().collect(),
            cwd,
            sealed: true,
            ..Self::default()
        }
    }
}
