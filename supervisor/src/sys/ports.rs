//! Who listens on a TCP port.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The process that listens on `port` and its command line. `None` when nobody does, or when
/// it is not ours to see. Reads all of `/proc`: for messages about a port that is taken.
pub fn port_holder(port: u16) -> Option<(i32, String)> {
    let sockets: Vec<Vec<u8>> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, port))
        .map(|inode| format!("socket:[{inode}]").into_bytes())
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let mut pids: Vec<i32> = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    // A parent comes before the children that it passed the socket to.
    pids.sort_unstable();
    let holds = |pid: &i32| {
        std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                std::fs::read_link(entry.path()).is_ok_and(|to| {
                    sockets
                        .iter()
                        .any(|socket| socket == to.as_os_str().as_bytes())
                })
            })
        })
    };
    let pid = pids.into_iter().find(holds)?;
    Some((pid, command_line(pid)))
}

/// Inodes of the sockets that listen on `port`, from a table of `/proc/net`.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let of_line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (_, number) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        (u16::from_str_radix(number, 16) == Ok(port) && state == LISTEN).then_some(inode)
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

/// The words a process was started with; its name where it has none.
pub(super) fn command_line(pid: i32) -> String {
    let folder = Path::new("/proc").join(pid.to_string());
    let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&words).replace('\0', " ");
    if text.trim().is_empty() {
        let name = std::fs::read_to_string(folder.join("comm")).unwrap_or_default();
        return name.trim().to_owned();
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_itself() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let (pid, command) = port_holder(port).expect("somebody listens");
        assert_eq!(pid.unsigned_abs(), std::process::id());
        assert!(command.contains("supervisor"), "{command}");
        drop(listener);
        // A child that another test forks just now may hold it until its exec.
        while port_holder(port).is_some() {
            std::thread::yield_now();
        }
    }
}
