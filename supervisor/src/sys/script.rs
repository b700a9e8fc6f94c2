//! Runs a short command line to its end: script probes.
//!
//! The shell has a session of its own; when its time is over, or nobody waits for it any
//! longer, the whole group is killed. It is never left behind and never left uncollected.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::confine::Confinement;
use super::image::Image;
use super::spawn::{self, Plan};
use super::{kernel, reap, users};
use crate::launch::SpawnError;
use crate::os_text::OsText;
use crate::secret::EnvVars;
use crate::spec::{Limits, Sandbox};
use crate::state::{ExitStatus, ProcessRef};

/// As much of a script's output is kept.
const OUTPUT: usize = 512;

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptOutcome {
    /// Its exit, which is SIGKILL after a timeout.
    pub exit: ExitStatus,
    /// The first 512 bytes that it printed, standard output and error together.
    pub output: String,
    /// It was killed because its time was over.
    pub timed_out: bool,
}

/// A script with its surroundings.
#[derive(Debug, Clone)]
pub struct Script {
    /// Command line.
    pub command: String,
    /// Absolute working folder.
    pub cwd: PathBuf,
    /// The complete environment.
    pub env: EnvVars<OsText>,
    /// User to become.
    pub user: Option<String>,
    /// Group to become.
    pub group: Option<String>,
    /// What it is started without.
    pub sandbox: Sandbox,
    /// The run that it looks after, whose `/tmp` it sees.
    pub beside: Option<ProcessRef>,
}

/// Runs `/bin/sh -c <command>` and waits for it, at most `timeout`. Dropping the future
/// kills it.
///
/// # Errors
/// When it could not be started; a script that fails is not an error.
pub async fn run_script(script: &Script, timeout: Duration) -> Result<ScriptOutcome, SpawnError> {
    let going_down = |error: &dyn std::fmt::Display| SpawnError::System {
        stage: "fork".to_owned(),
        error: error.to_string(),
    };
    let script = script.clone();
    let start = move || Running::start(script);
    let mut running = tokio::task::spawn_blocking(start)
        .await
        .map_err(|error| going_down(&error))??;
    let mut output = Vec::new();
    let finished = tokio::time::timeout(timeout, running.wait(&mut output)).await;
    let timed_out = finished.is_err();
    if timed_out {
        running.kill();
        running.wait(&mut output).await;
    }
    output.truncate(OUTPUT);
    Ok(ScriptOutcome {
        exit: reap::collect(running.pidfd.get_ref().as_fd()).unwrap_or(ExitStatus::Unknown),
        output: String::from_utf8_lossy(&output).into_owned(),
        timed_out,
    })
}

#[derive(Debug)]
struct Running {
    pid: i32,
    pidfd: AsyncFd<OwnedFd>,
    output: pipe::Receiver,
}

impl Running {
    fn start(script: Script) -> Result<Self, SpawnError> {
        let Script {
            command,
            cwd,
            mut env,
            user,
            group,
            sandbox,
            beside,
        } = script;
        let failed = |error: std::io::Error| SpawnError::System {
            stage: "pipe".to_owned(),
            error: spawn::plain(&error),
        };
        env.remove(super::guard_link::REAP_FD);
        let args = ["-c".to_owned(), command];
        let image = Image::new("/bin/sh", &args, &cwd, &env)?;
        let identity = users::identity(user.as_deref(), group.as_deref())?;
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| failed(error.into()))?;
        rustix::io::ioctl_fionbio(&reader, true).map_err(|error| failed(error.into()))?;
        let plan = Plan {
            program: "/bin/sh".to_owned(),
            image,
            cwd,
            stdout: writer.try_clone().map_err(failed)?,
            stderr: writer,
            limits: Limits::default(),
            identity,
            confinement: Confinement::beside(sandbox, beside.as_ref())?,
            cgroup: None,
            sockets: Vec::new(),
        };
        let output = pipe::Receiver::from_owned_fd(reader).map_err(failed)?;
        let (pid, pidfd) = spawn::start(plan)?.release();
        match kernel::watch(pidfd) {
            Ok(pidfd) => Ok(Self { pid, pidfd, output }),
            Err(error) => {
                let _ = kernel::signal_group_number(pid, libc::SIGKILL);
                reap::disown(pid);
                Err(failed(error))
            }
        }
    }

    /// Reads output until the shell has exited. What it left behind is not waited for.
    async fn wait(&mut self, kept: &mut Vec<u8>) {
        let mut open = true;
        let mut chunk = [0; 4096];
        while !kernel::has_exited(self.pidfd.get_ref()) {
            tokio::select! {
                biased;
                read = self.output.read(&mut chunk), if open => match read {
                    Ok(count) if count > 0 => keep(kept, &chunk[..count]),
                    _ => open = false,
                },
                ended = kernel::until_exited(&self.pidfd) => match ended {
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
        }
        while let Ok(count) = self.output.try_read(&mut chunk)
            && count > 0
            && kept.len() < OUTPUT
        {
            keep(kept, &chunk[..count]);
        }
    }

    fn kill(&self) {
        // Our own child, which nobody else collects: the number is its group for sure.
        let _ = kernel::signal_group_number(self.pid, libc::SIGKILL);
    }
}

fn keep(kept: &mut Vec<u8>, new: &[u8]) {
    let room = OUTPUT.saturating_sub(kept.len());
    kept.extend_from_slice(&new[..new.len().min(room)]);
}

impl Drop for Running {
    fn drop(&mut self) {
        let pidfd = self.pidfd.get_ref().as_fd();
        if reap::peek(pidfd).is_none() && !kernel::has_exited(pidfd) {
            self.kill();
            // It dies at once; whoever collects strays finds it if it takes longer.
            reap::collect(pidfd);
        }
        reap::disown(self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str, timeout: Duration) -> ScriptOutcome {
        run_script(&script(command), timeout).await.expect("starts")
    }

    fn script(command: &str) -> Script {
        Script {
            command: command.to_owned(),
            cwd: "/".into(),
            env: [("PATH".to_owned(), OsText::from("/usr/bin:/bin"))]
                .into_iter()
                .collect(),
            user: None,
            group: None,
            sandbox: Sandbox::default(),
            beside: None,
        }
    }

    #[tokio::test]
    async fn it_runs_as_who_it_is_told() {
        let as_user = |user: &str| Script {
            user: Some(user.to_owned()),
            ..script("id -u; id -g")
        };
        let long = Duration::from_secs(60);
        let refused = run_script(&as_user("nobody-here"), long).await;
        let refused = refused.expect_err("there is no such user");
        assert_eq!(
            refused.to_string(),
            "cannot run as `nobody-here`: no such user"
        );
        if !rustix::process::geteuid().is_root() {
            let line = b"skipped: only root may run a script as somebody else\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line);
            return;
        }
        let script = Script {
            group: Some("4711".to_owned()),
            ..as_user("4712")
        };
        let outcome = run_script(&script, long).await.expect("starts");
        assert_eq!(outcome.output, "4712\n4711\n");
    }

    #[tokio::test]
    async fn output_and_exit_are_told() {
        let long = Duration::from_secs(60);
        let outcome = run("echo out; echo err >&2; exit 3", long).await;
        assert_eq!(outcome.exit, ExitStatus::Code(3));
        assert_eq!(outcome.output, "out\nerr\n");
        assert!(!outcome.timed_out);
        let outcome = run("head -c 300000 /dev/zero | tr '\\0' x", long).await;
        assert_eq!(
            (outcome.exit, outcome.output.len()),
            (ExitStatus::Code(0), OUTPUT)
        );
        let outcome = run("kill -TERM $$", long).await;
        assert_eq!(outcome.exit, ExitStatus::Signal(15));
        // A child that keeps the pipe open is not waited for.
        let outcome = run("sleep 3 & exit 0", long).await;
        assert_eq!(outcome.exit, ExitStatus::Code(0));
    }

    #[tokio::test]
    async fn a_slow_script_is_killed_with_its_children() {
        // Time enough to say who it is, also on a busy machine.
        let outcome = run("echo $$; sleep 100 & sleep 100", Duration::from_secs(3)).await;
        assert!(outcome.timed_out);
        assert_eq!(outcome.exit, ExitStatus::Signal(9));
        let group: i32 = outcome.output.trim().parse().expect("a pid");
        let left = |stat: &super::super::proc_scan::Stat| stat.group == group && !stat.is_zombie();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while super::super::proc_scan::all().values().any(left) {
            assert!(tokio::time::Instant::now() < deadline, "children are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
