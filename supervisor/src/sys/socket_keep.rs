//! How sockets of programs outlive the daemon: it hands copies to its guard, which hands them
//! to the next one.
//!
//! ```text
//!   daemon ──keep <process> <address> + descriptor──► guard
//!          ──free <process> <address>──────────────►
//!   next daemon ◄──kept <process> <address> + descriptor──
//! ```
//!
//! The descriptors travel as `SCM_RIGHTS` on the link, one for each line and in the same order.
//! A guard of an older version has a pipe for a link and keeps nothing; nothing else changes
//! then. Which sockets there are is decided by [`super::sockets`].

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors in one message. The kernel takes 253; their lines must stay below the 32 KiB
/// that it moves in one piece.
const AT_ONCE: usize = 64;

/// How long a message may wait for a guard that does not read.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What a former daemon left with the guard and nobody has taken yet.
static HANDED: Mutex<BTreeMap<String, OwnedFd>> = Mutex::new(BTreeMap::new());

/// What the guard is to keep for this daemon: a new guard gets all of it.
static KEPT: Mutex<BTreeMap<String, Arc<OwnedFd>>> = Mutex::new(BTreeMap::new());

fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pair of ends for a link, neither of which ever waits.
pub(super) fn link() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// Sends a line and what belongs to it; waits a moment for a reader that is behind.
pub(super) fn send(link: BorrowedFd<'_>, line: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<()> {
    let once = || match with {
        // The link of an older guard is a pipe.
        [] => rustix::io::write(link, line),
        with => {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(with));
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            sendmsg(link, &[IoSlice::new(line)], &mut control, flags)
        }
    };
    match once() {
        Err(Errno::AGAIN) => {
            let mut fds = [PollFd::new(&link, PollFlags::OUT)];
            let _ = poll(&mut fds, Some(&PATIENCE));
            once()?;
        }
        sent => {
            sent?;
        }
    }
    Ok(())
}

/// Reads what has come: bytes, and descriptors in their order. One that this process had no
/// room for is a `None`.
pub(super) fn receive(
    link: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut VecDeque<Option<OwnedFd>>,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = match recvmsg(link, &mut [IoSliceMut::new(bytes)], &mut control, flags) {
        // An older daemon has a pipe for a link.
        Err(Errno::NOTSOCK) => return rustix::io::read(link, bytes),
        got => got?,
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed.map(Some));
        }
    }
    if got.flags.contains(ReturnFlags::CTRUNC) {
        descriptors.push_back(None);
    }
    Ok(got.bytes)
}

/// The daemon's end: takes what the guard has laid into a new link before it started us.
pub(super) fn take_over(link: BorrowedFd<'_>) {
    let (mut bytes, mut descriptors) = (vec![0; 64 << 10], VecDeque::new());
    let mut text = Vec::new();
    while let Ok(count) = receive(link, &mut bytes, &mut descriptors) {
        if count == 0 {
            break;
        }
        text.extend_from_slice(&bytes[..count]);
    }
    let mut handed = lock(&HANDED);
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(key) = line.strip_prefix(b"kept ")
            && let Some(socket) = descriptors.pop_front()
            && let (Ok(key), Some(socket)) = (std::str::from_utf8(key), socket)
        {
            handed.insert(key.to_owned(), socket);
        }
    }
}

/// The guard's end: lays all it keeps into a new link.
pub(super) fn hand_over(link: BorrowedFd<'_>, kept: &BTreeMap<Vec<u8>, OwnedFd>) {
    let all: Vec<_> = kept.iter().collect();
    for some in all.chunks(AT_ONCE) {
        let mut lines = Vec::new();
        for (key, _) in some {
            lines.extend_from_slice(&[b"kept ", key.as_slice(), b"\n"].concat());
        }
        let sockets: Vec<BorrowedFd<'_>> = some.iter().map(|(_, socket)| socket.as_fd()).collect();
        // A daemon that does not get one opens it anew, if it can.
        let _ = send(link, &lines, &sockets);
    }
}

/// What a former daemon left for this address.
pub(super) fn take(key: &str) -> Option<OwnedFd> {
    lock(&HANDED).remove(key)
}

/// What a former daemon left and nobody took, whose keys are of this kind.
pub(super) fn untaken(is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let handed = lock(&HANDED);
    handed
        .keys()
        .filter(|key| is_wanted(key))
        .cloned()
        .collect()
}

/// Has the guard keep a socket until it is told otherwise.
pub(super) fn keep(key: &str, socket: &Arc<OwnedFd>) {
    lock(&KEPT).insert(key.to_owned(), Arc::clone(socket));
    super::guard_link::tell_current(|link| {
        let _ = send_kept(link, key, socket);
    });
}

/// Lets the guard close a socket.
pub(super) fn free(key: &str) {
    lock(&KEPT).remove(key);
    super::guard_link::tell_current(|link| {
        let _ = send(link, format!("free {key}\n").as_bytes(), &[]);
    });
}

/// Gives a new guard all that the former one had.
pub(super) fn hand_all(link: BorrowedFd<'_>) {
    for (key, socket) in lock(&KEPT).iter() {
        let _ = send_kept(link, key, socket);
    }
}

fn send_kept(link: BorrowedFd<'_>, key: &str, socket: &OwnedFd) -> io::Result<()> {
    send(link, format!("keep {key}\n").as_bytes(), &[socket.as_fd()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_with_their_lines() {
        let (one, other) = link().expect("opens");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        send(one.as_fd(), b"up\n", &[]).expect("sends");
        send(one.as_fd(), b"keep a\n", &[listener.as_fd()]).expect("sends");
        let (mut bytes, mut descriptors) = ([0; 4096], VecDeque::new());
        let mut text = Vec::new();
        while let Ok(count) = receive(other.as_fd(), &mut bytes, &mut descriptors) {
            text.extend_from_slice(&bytes[..count]);
        }
        assert_eq!(text, b"up\nkeep a\n");
        let socket = descriptors.pop_front().flatten().expect("came");
        let copy = std::net::TcpListener::from(socket);
        assert_eq!(copy.local_addr().expect("bound").port(), port);
        assert!(descriptors.is_empty());
    }

    #[test]
    fn a_link_that_is_a_pipe_carries_lines_only() {
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).expect("opens");
        let null = std::fs::File::open("/dev/null").expect("opens");
        assert!(send(writer.as_fd(), b"keep a\n", &[null.as_fd()]).is_err());
        send(writer.as_fd(), b"up\n", &[]).expect("sends");
        let (mut bytes, mut descriptors) = ([0; 16], VecDeque::new());
        let count = receive(reader.as_fd(), &mut bytes, &mut descriptors).expect("reads");
        assert_eq!(&bytes[..count], b"up\n");
    }

    #[test]
    fn many_are_handed_over_in_pieces() {
        let (guard, daemon) = link().expect("opens");
        let null = std::fs::File::open("/dev/null").expect("opens");
        let name = |n: usize| format!("handed-{n:03} tcp://127.0.0.1:{n}");
        let kept: BTreeMap<Vec<u8>, OwnedFd> = (0..150)
            .map(|n| {
                (
                    name(n).into_bytes(),
                    null.try_clone().expect("clones").into(),
                )
            })
            .collect();
        hand_over(guard.as_fd(), &kept);
        take_over(daemon.as_fd());
        for n in 0..150 {
            assert!(take(&name(n)).is_some(), "{n}");
            assert!(take(&name(n)).is_none(), "{n}");
        }
    }
}
