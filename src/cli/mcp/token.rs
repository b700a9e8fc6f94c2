//! The token of `mhost mcp --http`: made once, readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use supervisor::Paths;

use crate::cli::error::CliError;

/// Its name under the home folder.
const FILE: &str = "mcp.token";
/// Shortest token that is taken from a file.
const SHORTEST: usize = 32;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 4096;

/// A secret that is never shown.
pub(super) struct Token {
    secret: String,
    path: PathBuf,
}

impl Token {
    /// That of this home; makes one where there is none.
    pub(super) fn of(paths: &Paths) -> Result<Self, CliError> {
        let path = paths.home().join(FILE);
        let read = match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path),
            made => made,
        };
        let secret = read.map_err(|error| {
            CliError::config(format!("the token in {}: {error}", path.display()))
                .with_help(format!("have a new one made: rm {}", path.display()))
        })?;
        Ok(Self { secret, path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Is this it? Takes as long for a near miss as for any other.
    pub(super) fn is(&self, sent: &str) -> bool {
        self.secret.as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

fn make(path: &Path) -> io::Result<String> {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    let secret = format!("{}{}", half(), half());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{secret}\n").as_bytes())?;
    Ok(secret)
}

fn read(path: &Path) -> io::Result<String> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    if found.len() > LONGEST {
        return Err(io::Error::other(format!(
            "it is longer than {LONGEST} bytes"
        )));
    }
    if found.mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it (chmod 600)"));
    }
    let secret = fs::read_to_string(path)?.trim().to_owned();
    if secret.len() < SHORTEST {
        return Err(io::Error::other(format!(
            "it is shorter than {SHORTEST} characters"
        )));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path()).unwrap();
        let first = Token::of(&paths).unwrap();
        let mode = fs::metadata(first.path()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = Token::of(&paths).unwrap();
        assert!(again.is(&first.secret));
        assert!(!again.is(&first.secret[1..]) && !again.is(""));
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path()).unwrap();
        let path = Token::of(&paths).unwrap().path;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let told = |refused: Result<Token, CliError>| refused.err().unwrap().to_string();
        assert!(told(Token::of(&paths)).contains("others may read it"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(told(Token::of(&paths)).contains("shorter than 32"));
        fs::write(&path, "a".repeat(4097)).unwrap();
        assert!(told(Token::of(&paths)).contains("longer than 4096"));
    }
}
