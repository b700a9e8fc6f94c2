//! Hears when something in a folder is removed, replaced or made, as the system tells it.
//!
//! What it means is looked up by whoever waits; what is written to files wakes nobody.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// Reports of one folder.
#[derive(Debug)]
pub struct FolderWatch {
    reports: AsyncFd<OwnedFd>,
}

impl FolderWatch {
    /// Watches this folder. Needs the runtime's context.
    ///
    /// # Errors
    /// When it is not there, or the system has no watches left.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let reports = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let watch = Self {
            reports: super::kernel::watch(reports)?,
        };
        watch.renew(folder)?;
        Ok(watch)
    }

    /// Watches what is at this path now, which may be another folder than before.
    ///
    /// # Errors
    /// As [`FolderWatch::open`].
    pub fn renew(&self, folder: &Path) -> io::Result<()> {
        let what = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(self.reports.get_ref(), folder, what)?;
        Ok(())
    }

    /// Waits for a change. Cancel safe.
    ///
    /// # Errors
    /// When no more can be heard.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.reports.readable().await?;
            let mut any = false;
            // Larger than the longest report, which has a name of 255 bytes in it.
            let mut reports = [0_u8; 1024];
            loop {
                match rustix::io::read(self.reports.get_ref(), &mut reports) {
                    Ok(_) => any = true,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            ready.clear_ready();
            if any {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_file_that_goes_or_comes_is_heard_of_and_one_that_is_written_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mhost.sock");
        std::fs::write(&file, "").expect("writes");
        let watch = FolderWatch::open(folder.path()).expect("watches");
        let long = Duration::from_secs(60);
        let heard = async || tokio::time::timeout(long, watch.changed()).await;
        std::fs::write(&file, "more").expect("writes");
        let quiet = tokio::time::timeout(Duration::from_millis(50), watch.changed()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        std::fs::remove_file(&file).expect("removes");
        heard().await.expect("is heard").expect("reads");
        // The whole folder, and another in its place.
        std::fs::remove_dir(folder.path()).expect("removes");
        heard().await.expect("is heard").expect("reads");
        std::fs::create_dir(folder.path()).expect("makes");
        watch.renew(folder.path()).expect("watches");
        std::fs::write(&file, "").expect("writes");
        heard().await.expect("is heard").expect("reads");
    }
}
