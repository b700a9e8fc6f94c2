//! Sockets that are opened, shared, refused and closed, without a program.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::*;

fn name(text: &str) -> ProcessName {
    text.parse().expect("a name")
}

fn listens(texts: &[&str]) -> Vec<Listen> {
    serde_json::from_value(serde_json::json!(texts)).expect("addresses")
}

fn port(sockets: &Sockets, process: &str) -> u16 {
    match &sockets.listening(&name(process))[0].bound {
        ListenAddress::Tcp(address) => address.port(),
        ListenAddress::Unix(path) => panic!("{} is no port", path.display()),
    }
}

#[test]
fn the_same_socket_is_there_for_every_run_until_it_is_closed() {
    let sockets = Sockets::default();
    let wanted = listens(&["tcp://127.0.0.1:0"]);
    let first = sockets.open(&name("same"), &wanted, &[]).expect("opens");
    let again = sockets.open(&name("same"), &wanted, &[]).expect("is open");
    assert!(Arc::ptr_eq(&first[0], &again[0]));
    let port = port(&sockets, "same");
    assert_ne!(port, 0);
    TcpStream::connect(("127.0.0.1", port)).expect("waits to be accepted");
    sockets.close(&name("same"));
    drop((first, again));
    assert!(sockets.listening(&name("same")).is_empty());
    // Another test may fork just now and hold a copy until its exec.
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn two_ports_that_the_system_chooses_are_two() {
    let sockets = Sockets::default();
    let wanted = listens(&["tcp://127.0.0.1:0", "tcp://127.0.0.1:0"]);
    let first = sockets.open(&name("two"), &wanted, &[]).expect("opens");
    let again = sockets.open(&name("two"), &wanted, &[]).expect("is open");
    assert!(!Arc::ptr_eq(&first[0], &first[1]));
    assert!(Arc::ptr_eq(&first[0], &again[0]) && Arc::ptr_eq(&first[1], &again[1]));
    sockets.close(&name("two"));
}

#[test]
fn one_that_cannot_be_opened_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = folder.path().join("first.sock");
    let blocker = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let taken = blocker.local_addr().expect("bound").port();
    let sockets = Sockets::default();
    let wanted = listens(&[
        &format!("unix://{}", path.display()),
        &format!("tcp://127.0.0.1:{taken}"),
    ]);
    let error = sockets
        .open(&name("half"), &wanted, &[])
        .expect_err("is taken")
        .to_string();
    let own = std::process::id();
    let begin =
        format!("cannot listen on tcp://127.0.0.1:{taken}: address already in use: pid {own} (");
    assert!(error.starts_with(&begin), "{error}");
    assert!(!path.exists(), "what was opened for it is gone");
    assert!(sockets.listening(&name("half")).is_empty());
}

#[test]
fn an_address_of_another_process_is_told_by_its_name() {
    let sockets = Sockets::default();
    let _one = sockets
        .open(&name("one"), &listens(&["tcp://127.0.0.1:0"]), &[])
        .expect("opens");
    let wanted = listens(&[&format!("tcp://127.0.0.1:{}", port(&sockets, "one"))]);
    let error = sockets
        .open(&name("other"), &wanted, &[])
        .expect_err("is taken");
    assert!(
        error
            .to_string()
            .ends_with(": mhost listens on it for `one`"),
        "{error}"
    );
    sockets.close(&name("one"));
}

#[test]
fn a_changed_definition_closes_what_it_no_longer_names() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = |name: &str| folder.path().join(name);
    let address = |name: &str| format!("unix://{}", path(name).display());
    let sockets = Sockets::default();
    let open = |texts: &[&str]| {
        sockets
            .open(&name("app"), &listens(texts), &[])
            .expect("opens")
    };
    let first = open(&[&address("a"), &address("b")]);
    let second = open(&[&address("c"), &address("b")]);
    assert!(Arc::ptr_eq(&first[1], &second[1]));
    assert!(!path("a").exists() && path("b").exists() && path("c").exists());
    open(&[]);
    assert!(!path("b").exists() && !path("c").exists());
}

#[test]
fn a_socket_file_has_its_rights_and_only_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = folder.path().join("a.sock");
    let mode = || path.metadata().expect("is there").permissions().mode() & 0o777;
    // A file without a listener, as a program that was killed leaves it.
    drop(UnixListener::bind(&path).expect("binds"));
    let sockets = Sockets::default();
    let mut wanted = listens(&[&format!("unix://{}", path.display())]);
    let held = sockets.open(&name("file"), &wanted, &[]).expect("opens");
    assert_eq!(mode(), 0o660);
    UnixStream::connect(&path).expect("waits to be accepted");
    wanted[0].mode = Some(SocketMode(0o666));
    let _same = sockets.open(&name("file"), &wanted, &[]).expect("is open");
    assert_eq!(mode(), 0o666);

    let other = Sockets::default();
    let error = other.open(&name("thief"), &wanted, &[]).expect_err("lives");
    let own = format!("address already in use: pid {} (", std::process::id());
    assert!(error.to_string().contains(&own), "{error}");
    sockets.close(&name("file"));
    drop(held);
    assert!(!path.exists());

    std::fs::write(&path, "precious").expect("writes");
    let error = other
        .open(&name("thief"), &wanted, &[])
        .expect_err("a file");
    assert!(error.to_string().ends_with("it is not a socket"), "{error}");
    assert_eq!(std::fs::read(&path).expect("is there"), b"precious");
}

#[test]
fn what_a_program_left_unblocking_waits_again() {
    let sockets = Sockets::default();
    let wanted = listens(&["tcp://127.0.0.1:0"]);
    let open = sockets.open(&name("flags"), &wanted, &[]).expect("opens");
    rustix::io::ioctl_fionbio(&*open[0], true).expect("sets");
    make_blocking(&open);
    let flags = rustix::fs::fcntl_getfl(&*open[0]).expect("reads");
    assert!(!flags.contains(OFlags::NONBLOCK));
    sockets.close(&name("flags"));
}
