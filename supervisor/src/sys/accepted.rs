//! Who has accepted TCP connections that this process has opened to its own machine.
//!
//! The kernel is asked for each connection by netlink (`sock_diag(7)`). The tables under
//! `/proc/net` say the same, but beside a busy server they have tens of thousands of lines, and
//! reading them took longer than a connection lasts.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::launch::Connection;

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`: the question, and the kind of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// Numbers of `linux/socket.h`.
const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
/// A `nlmsghdr`, an `inet_diag_req_v2`, and where the answer has the inode: after its own header,
/// four bytes, the 48 of both addresses, and four words.
const HEADER: usize = 16;
const QUESTION: usize = HEADER + 56;
const INODE: usize = HEADER + 4 + 48 + 16;

/// The places of those that somebody has accepted, each with the inode of its other end.
///
/// # Errors
/// When the kernel cannot be asked.
pub(super) fn by_anybody(connections: &[Connection]) -> io::Result<Vec<(usize, u64)>> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut taken = Vec::new();
    for (place, connection) in connections.iter().enumerate() {
        // What waits to be accepted has no inode yet.
        if let Some(inode) = other_end(&kernel, connection)?.filter(|inode| *inode != 0) {
            taken.push((place, inode));
        }
    }
    Ok(taken)
}

/// The inodes of the sockets that a process has open.
///
/// # Errors
/// When it is not ours to see.
pub(super) fn sockets_of(pid: i32) -> io::Result<BTreeSet<u64>> {
    let inode = |entry: io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?;
        inode.strip_suffix(']')?.parse().ok()
    };
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))?;
    Ok(entries.filter_map(inode).collect())
}

/// The inode of the other end of a connection. `None` when it is gone.
fn other_end(kernel: &OwnedFd, connection: &Connection) -> io::Result<Option<u64>> {
    send(kernel, &question(connection), SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (length, _) = recv(kernel, &mut answer[..], RecvFlags::empty())?;
    let answer = &answer[..length.min(answer.len())];
    // Its second word begins with the kind; an error is another kind.
    let kind = answer.get(4..6).map(|kind| kind == BY_FAMILY.to_ne_bytes());
    let inode = answer.get(INODE..INODE + 4).filter(|_| kind == Some(true));
    let inode = inode.and_then(|inode| inode.try_into().ok());
    Ok(inode.map(|inode| u64::from(u32::from_ne_bytes(inode))))
}

/// Asks for the socket whose own address is the far one of this connection.
fn question(connection: &Connection) -> Vec<u8> {
    let is_v4 = connection.theirs.ip().to_canonical().is_ipv4();
    let mut bytes = Vec::with_capacity(QUESTION);
    let mut put = |part: &[u8]| bytes.extend_from_slice(part);
    put(&(QUESTION as u32).to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    // Number and sender: there is one question at a time.
    put(&[0; 8]);
    put(&[if is_v4 { INET } else { INET6 }, TCP, 0, 0]);
    // In any state.
    put(&u32::MAX.to_ne_bytes());
    put(&connection.theirs.port().to_be_bytes());
    put(&connection.ours.port().to_be_bytes());
    put(&address(connection.theirs));
    put(&address(connection.ours));
    // On any interface, and without the cookie of an earlier answer.
    put(&0_u32.to_ne_bytes());
    put(&[u8::MAX; 8]);
    bytes
}

/// An address in the sixteen bytes that have room for both kinds.
fn address(address: SocketAddr) -> [u8; 16] {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn taken(connections: &[Connection]) -> Vec<(usize, u64)> {
        by_anybody(connections).expect("the kernel answers")
    }

    #[test]
    fn a_connection_is_whose_who_accepts_it() {
        for host in ["127.0.0.1:0", "[::]:0"] {
            let listener = TcpListener::bind(host).expect("binds");
            let port = listener.local_addr().expect("bound").port();
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
            let connections = [Connection {
                ours: stream.local_addr().expect("an address"),
                theirs: stream.peer_addr().expect("an address"),
            }];
            assert_eq!(taken(&connections), [], "{host}");
            let accepted = listener.accept().expect("accepts");
            let found = taken(&connections);
            let [(0, inode)] = found[..] else {
                panic!("{host}: {found:?}");
            };
            let pid = rustix::process::getpid().as_raw_nonzero().get();
            assert!(sockets_of(pid).expect("it is ours").contains(&inode));
            drop(accepted);
            // A child that another test forks just now may hold it until its exec.
            while !taken(&connections).is_empty() {
                std::thread::yield_now();
            }
        }
    }
}
