//! What is handed to `execve`: the program found on the child's own PATH, its arguments and
//! its environment, all as C strings that exist before the fork. Variables that hold its own pid
//! are finished after it: only the child knows the pid for `LISTEN_PID` and `WATCHDOG_PID`.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::launch::SpawnError;
use crate::os_text::OsText;

/// Where a program without a slash is looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program image, ready to be executed.
#[derive(Debug)]
pub(super) struct Image {
    /// The file, absolute.
    pub(super) file: PathBuf,
    file_text: CString,
    // The strings the pointers below point to.
    _args: Vec<CString>,
    _env: Vec<CString>,
    arg_pointers: Vec<*const libc::c_char>,
    env_pointers: Vec<*const libc::c_char>,
    own_pids: Vec<PidEntry>,
}

/// Digits of the greatest pid, 4194304, with room to spare, and the NUL behind them.
const DIGITS: usize = 10;

/// A variable and room for a pid. The bytes are atomic since the child writes them through a
/// shared reference.
#[derive(Debug)]
struct PidEntry {
    bytes: Box<[AtomicU8]>,
    /// Where the digits begin.
    value: usize,
}

impl PidEntry {
    fn new(name: &str) -> Self {
        let text = name.bytes().chain([b'=']).chain([0; DIGITS + 1]);
        Self {
            bytes: text.map(AtomicU8::new).collect(),
            value: name.len() + 1,
        }
    }

    fn pointer(&self) -> *const libc::c_char {
        self.bytes.as_ptr().cast()
    }

    /// Async-signal-safe: it writes to memory that exists. The last byte stays 0.
    fn set(&self, pid: u32) {
        let mut divisor = 10_u32.pow(DIGITS as u32 - 1);
        let mut at = self.value;
        for _ in 0..DIGITS {
            let digit = (pid / divisor) % 10;
            if digit > 0 || at > self.value || divisor == 1 {
                self.bytes[at].store(b'0' + digit as u8, Ordering::Relaxed);
                at += 1;
            }
            divisor = (divisor / 10).max(1);
        }
    }
}

// SAFETY: the pointers point into the heap buffers beside them, which are never moved or dropped
// before the image is; the `CString`s are never changed, and what is changed is atomic.
unsafe impl Send for Image {}
// SAFETY: as above; nothing is ever written through them.
unsafe impl Sync for Image {}

impl Image {
    /// Finds the program and lays everything out.
    pub(super) fn new(
        program: &str,
        args: &[String],
        cwd: &Path,
        env: &BTreeMap<String, OsText>,
    ) -> Result<Self, SpawnError> {
        let path = env.get("PATH").map(|path| path.0.as_os_str());
        let file = find(program, cwd, path)?;
        let text = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| SpawnError::System {
                stage: "exec".to_owned(),
                error: "an argument or a variable contains a NUL byte".to_owned(),
            })
        };
        let file_text = text(file.as_os_str().as_bytes().to_vec())?;
        let args = std::iter::once(program)
            .chain(args.iter().map(String::as_str))
            .map(|arg| text(arg.as_bytes().to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        let env = env
            .iter()
            .map(|(key, value)| {
                let mut entry = key.clone().into_bytes();
                entry.push(b'=');
                entry.extend(value.0.clone().into_vec());
                text(entry)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let pointers = |texts: &[CString]| {
            texts
                .iter()
                .map(|text| text.as_ptr())
                .chain([std::ptr::null()])
                .collect()
        };
        Ok(Self {
            file,
            file_text,
            arg_pointers: pointers(&args),
            env_pointers: pointers(&env),
            _args: args,
            _env: env,
            own_pids: Vec::new(),
        })
    }

    /// Gets a variable with its own pid into its environment.
    pub(super) fn with_own_pid(mut self, variable: &str) -> Self {
        let entry = PidEntry::new(variable);
        // Before the null at the end.
        let end = self.env_pointers.len() - 1;
        self.env_pointers.insert(end, entry.pointer());
        self.own_pids.push(entry);
        self
    }

    /// Writes the pid of the process that calls. Async-signal-safe.
    pub(super) fn set_own_pids(&self) {
        for entry in &self.own_pids {
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            entry.set(pid.unsigned_abs());
        }
    }

    /// Becomes this program. Comes back only when that failed. Async-signal-safe.
    pub(super) fn execute(&self) -> std::io::Error {
        // SAFETY: the file is NUL-terminated, and both arrays are null-terminated arrays of
        // pointers to NUL-terminated strings that live as long as `self`.
        unsafe {
            libc::execve(
                self.file_text.as_ptr(),
                self.arg_pointers.as_ptr(),
                self.env_pointers.as_ptr(),
            );
        }
        std::io::Error::last_os_error()
    }

    /// Why executing failed, in words.
    pub(super) fn explain(&self, program: &str, error: &std::io::Error) -> SpawnError {
        let program = program.to_owned();
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => match interpreter(&self.file) {
                // The file was there a moment ago: its interpreter is what is missing.
                Some(interpreter) if self.file.exists() => SpawnError::NotFound {
                    program: interpreter,
                    hint: format!(", the interpreter in the first line of `{program}`"),
                },
                _ => SpawnError::NotFound {
                    program,
                    hint: String::new(),
                },
            },
            Some(libc::EACCES) => SpawnError::NotExecutable { program },
            Some(libc::ENOEXEC) => SpawnError::Format { program },
            _ => SpawnError::System {
                stage: "exec".to_owned(),
                error: super::spawn::plain(error),
            },
        }
    }
}

/// The program in the `#!` line of a script.
fn interpreter(file: &Path) -> Option<String> {
    use std::io::Read;
    let mut start = [0; 256];
    let count = std::fs::File::open(file).ok()?.read(&mut start).ok()?;
    let line = start[..count].strip_prefix(b"#!")?;
    let line = line.split(|b| *b == b'\n').next()?;
    let word = line
        .trim_ascii()
        .split(|b| b.is_ascii_whitespace())
        .next()?;
    Some(String::from_utf8_lossy(word).into_owned())
}

/// Where the program is, as a shell in `cwd` with this PATH would find it.
pub(crate) fn find(program: &str, cwd: &Path, path: Option<&OsStr>) -> Result<PathBuf, SpawnError> {
    let missing = |hint: &str| SpawnError::NotFound {
        program: program.to_owned(),
        hint: hint.to_owned(),
    };
    if program.is_empty() {
        return Err(missing(""));
    }
    if program.contains('/') {
        let file = cwd.join(program);
        return match look(&file) {
            Look::Program => Ok(file),
            Look::Forbidden => Err(SpawnError::NotExecutable {
                program: program.to_owned(),
            }),
            Look::Nothing => Err(missing("")),
            Look::Unknown(error) => Err(unseen(&error)),
        };
    }
    let (mut forbidden, mut unknown) = (None, None);
    for folder in std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH))) {
        // An empty entry means the working folder; a relative one is taken from there.
        let file = cwd.join(folder).join(program);
        match look(&file) {
            Look::Program => return Ok(file),
            Look::Forbidden => {
                forbidden.get_or_insert(file);
            }
            Look::Nothing => {}
            Look::Unknown(error) => unknown = Some(error),
        }
    }
    if let Some(error) = unknown {
        return Err(unseen(&error));
    }
    Err(forbidden.map_or_else(
        || missing(" on PATH"),
        |file| SpawnError::NotExecutable {
            program: file.display().to_string(),
        },
    ))
}

enum Look {
    Program,
    Forbidden,
    Nothing,
    /// The system did not say: that may be another time.
    Unknown(std::io::Error),
}

fn unseen(error: &std::io::Error) -> SpawnError {
    SpawnError::System {
        stage: "looking for the program".to_owned(),
        error: super::spawn::plain(error),
    }
}

fn look(file: &Path) -> Look {
    let looked = std::fs::metadata(file).and_then(|found| {
        if found.is_file() {
            rustix::fs::access(file, rustix::fs::Access::EXEC_OK)?;
        }
        Ok(found.is_file())
    });
    match looked {
        Ok(true) => Look::Program,
        Ok(false) => Look::Forbidden,
        Err(error) => said(error),
    }
}

/// What an error says of a program.
fn said(error: std::io::Error) -> Look {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Look::Forbidden,
        Some(libc::EIO | libc::EINTR | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
            Look::Unknown(error)
        }
        _ => Look::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pid_is_written_in_place() {
        for pid in [1, 10, 4_194_304, u32::MAX] {
            let entry = PidEntry::new("LISTEN_PID");
            entry.set(pid);
            let bytes: Vec<u8> = entry
                .bytes
                .iter()
                .map(|b| b.load(Ordering::Relaxed))
                .collect();
            let text = std::ffi::CStr::from_bytes_until_nul(&bytes).expect("ends");
            assert_eq!(text.to_str(), Ok(&*format!("LISTEN_PID={pid}")));
        }
    }

    #[test]
    fn looks_like_a_shell_does() {
        let folder = tempfile::tempdir().expect("temp folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("bin")).expect("makes");
        for (name, mode) in [("bin/tool", 0o755), ("plain", 0o644)] {
            std::fs::write(at(name), "x").expect("writes");
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode))
                .expect("sets");
        }
        let find = |program: &str, path: &str| find(program, folder.path(), Some(OsStr::new(path)));
        assert_eq!(find("tool", "/nowhere:bin"), Ok(at("bin/tool")));
        assert_eq!(find("./bin/tool", ""), Ok(at("./bin/tool")));
        let text = |program, path| find(program, path).expect_err("fails").to_string();
        assert_eq!(text("tool", "/nowhere"), "program `tool` not found on PATH");
        assert_eq!(text("./gone", "bin"), "program `./gone` not found");
        assert_eq!(text("./plain", "bin"), "no permission to execute `./plain`");
        assert_eq!(text("./bin", "bin"), "no permission to execute `./bin`");
        assert_eq!(text("", "bin"), "program `` not found");
    }

    /// A disk that does not answer is no reason to give a program up.
    #[test]
    fn what_the_system_does_not_say_is_not_called_missing() {
        let error = |number| std::io::Error::from_raw_os_error(number);
        for number in [libc::EIO, libc::ENOMEM] {
            assert!(matches!(said(error(number)), Look::Unknown(_)));
        }
        assert!(matches!(said(error(libc::ENOENT)), Look::Nothing));
        assert!(matches!(said(error(libc::EACCES)), Look::Forbidden));
        assert!(!unseen(&error(libc::EIO)).counts_for_breaker());
    }
}
