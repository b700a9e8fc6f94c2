//! Probes against real servers on this machine.

mod roles;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::*;
use crate::command::view::HealthStatus;
use crate::testing::spec_in as spec;

const DEADLINE: Duration = Duration::from_secs(90);

fn instance() -> InstanceId {
    InstanceId::new("api".parse().expect("a name"), 1)
}

struct Running {
    probes: Probes,
    events: mpsc::Receiver<ProbeEvent>,
    tasks: Tasks,
}

fn start(health: &str, env: &[(&str, String)]) -> Running {
    start_in(Path::new("/"), health, env)
}

fn start_in(cwd: &Path, health: &str, env: &[(&str, String)]) -> Running {
    start_as(Phase::Starting, cwd, health, env)
}

fn start_as(phase: Phase, cwd: &Path, health: &str, env: &[(&str, String)]) -> Running {
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(key, value)| ((*key).to_owned(), OsText::from(value.as_str())))
        .collect();
    let (sender, events) = mpsc::channel(64);
    let tasks = Tasks::new();
    let clock = Clock::system();
    let spec = spec(cwd, health);
    let subject = Subject {
        instance: &instance(),
        process: None,
        env: &env,
    };
    let probes = Probes::start(&spec, subject, phase, &clock, &tasks, sender);
    Running {
        probes: probes.expect("there are probes"),
        events,
        tasks,
    }
}

impl Running {
    /// The next event that is not an attempt.
    async fn news(&mut self) -> ProbeEvent {
        loop {
            let event = timeout(DEADLINE, self.events.recv()).await;
            match event.expect("in time").expect("probes go on") {
                ProbeEvent::Attempt { .. } => {}
                event => return event,
            }
        }
    }

    /// The error of the first attempt.
    async fn first_error(&mut self) -> String {
        let event = timeout(DEADLINE, self.events.recv()).await;
        assert_eq!(
            event.expect("in time"),
            Some(ProbeEvent::Attempt { passed: false })
        );
        self.probes.views()[0].error.clone().expect("it failed")
    }
}

/// Answers every request with what `answer` holds at that time.
async fn server(answer: watch::Receiver<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.borrow().clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        // A TLS greeting has no blank line to wait for.
                        Ok(n) if n > 0 && buffer[0] == 0x16 => break,
                        Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn serving(status: &str, body: &str) -> (watch::Sender<Vec<u8>>, u16) {
    let (sender, receiver) = watch::channel(answer(status, body));
    let port = server(receiver).await.port();
    (sender, port)
}

/// A port nobody listens on. It lies below those that the kernel hands out: one of these may be
/// an end of somebody's connection a moment later.
async fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 12_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + (begin + next) % 12_000).expect("it fits");
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
}

#[tokio::test]
async fn http_goes_up_down_and_up() {
    let (answers, port) = serving("200 OK", "fine").await;
    let mut run = start(
        "[health.http]\nurl = 'http://localhost:${PORT}/health'\ninterval = '2s'\ntimeout = '2s'\nretries = 2\non_fail = 'notify'",
        &[("PORT", port.to_string())],
    );
    assert_eq!(run.news().await, ProbeEvent::Ready);
    assert_eq!(run.probes.views()[0].status, HealthStatus::Pass);

    answers.send_replace(answer("503 Busy", "too much"));
    let missed = ProbeEvent::Missed {
        probe: "http".into(),
        error: "status 503".into(),
    };
    assert_eq!(run.news().await, missed);
    let failed = ProbeEvent::Failed {
        probe: "http".into(),
        error: "status 503".into(),
        failures: 2,
        on_fail: OnFail::Notify,
    };
    assert_eq!(run.news().await, failed);
    let view = run.probes.views().remove(0);
    assert_eq!((view.status, view.instance), (HealthStatus::Fail, 1));
    let last = view.attempts.last().expect("attempts");
    assert_eq!(last.output.as_deref(), Some("too much"));

    answers.send_replace(answer("200 OK", ""));
    let mut back = run.news().await;
    while matches!(back, ProbeEvent::Failed { .. }) {
        back = run.news().await;
    }
    assert!(
        matches!(back, ProbeEvent::Recovered { failures: 2.., .. }),
        "{back:?}"
    );
    assert_eq!(run.news().await, ProbeEvent::Ready);
    let Running { probes, tasks, .. } = run;
    drop(probes);
    assert!(tasks.shutdown(DEADLINE).await.is_empty());
}

#[tokio::test]
async fn http_says_why_not() {
    let (_answers, port) = serving("302 Found", "moved").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let silent_port = silent.local_addr().expect("has an address").port();
    let closed = free_port().await;
    // Time for a resolver that asks servers which do not answer.
    let long = "interval = '80s'\ntimeout = '80s'";
    for (url, more, error) in [
        (format!("http://127.0.0.1:{port}/"), "", "status 302"),
        (format!("http://localhost:{closed}/"), "", "refused"),
        (
            format!("http://127.0.0.1:{silent_port}/"),
            "timeout = '100ms'",
            "timeout",
        ),
        (format!("https://127.0.0.1:{port}/"), "", "tls: "),
        (
            format!("https://127.0.0.1:{port}/"),
            "insecure = true",
            "tls: ",
        ),
        ("http://no-such-host.invalid/".to_owned(), "", "dns: "),
        (
            "http://localhost:${NONE}/".to_owned(),
            "",
            "url: the port is empty",
        ),
        ("ftp://localhost/".to_owned(), "", "url: "),
        (
            format!("http://127.0.0.1:{port}/"),
            "expected_code = '3xx'\nbody_contains = 'gone'",
            "body does not contain `gone`",
        ),
    ] {
        let limit = if error == "timeout" { "" } else { long };
        let mut run = start(
            &format!("[health.http]\nurl = '{url}'\n{more}\n{limit}"),
            &[],
        );
        let found = run.first_error().await;
        assert!(found.starts_with(error), "{url} {more}: {found}");
        assert!(!found.contains("//127"), "{found}");
    }
}

#[tokio::test]
async fn http_searches_the_start_of_a_body_without_an_end() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend_from_slice(&vec![b'.'; 60_000]);
    endless.extend_from_slice(b"here");
    endless.extend_from_slice(&vec![b'.'; 200_000]);
    endless.extend_from_slice(b"there");
    let (_answers, receiver) = watch::channel(endless);
    let port = server(receiver).await.port();
    let probe = |text: &str| {
        format!("[health.http]\nurl = 'http://127.0.0.1:{port}'\nbody_contains = '{text}'")
    };
    assert_eq!(start(&probe("here"), &[]).news().await, ProbeEvent::Ready);
    let error = start(&probe("there"), &[]).first_error().await;
    assert!(error.starts_with("body does not contain"), "{error}");
}

#[tokio::test]
async fn tcp_tries_both_families() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(bind).await else {
            continue; // no IPv6 here
        };
        let port = listener.local_addr().expect("has an address").port();
        let mut run = start(
            "[health.tcp]\nport = '${PORT}'",
            &[("PORT", port.to_string())],
        );
        assert_eq!(run.news().await, ProbeEvent::Ready, "{bind}");
    }
    let closed = free_port().await;
    for (health, error) in [
        (format!("[health.tcp]\nport = {closed}"), "refused"),
        (
            "[health.tcp]\nport = '${NONE}'".to_owned(),
            "`` is not a port",
        ),
        (
            "[health.tcp]\nhost = 'no-such-host.invalid'\nport = 1\n\
             interval = '80s'\ntimeout = '80s'"
                .to_owned(),
            "dns: ",
        ),
    ] {
        let found = start(&health, &[]).first_error().await;
        assert!(found.starts_with(error), "{health}: {found}");
    }
}

#[tokio::test]
async fn ready_needs_all_probes_and_none_waits_for_another() {
    let (_answers, port) = serving("200 OK", "").await;
    let later = free_port().await;
    let mut run = start(
        &format!(
            "[health.http]\nurl = 'http://localhost:{port}'\n[health.tcp]\nport = {later}\ninterval = '2s'"
        ),
        &[],
    );
    let passed = |view: &HealthView| view.status == HealthStatus::Pass;
    let wait = async {
        loop {
            let event = run.events.recv().await.expect("probes go on");
            assert_ne!(event, ProbeEvent::Ready);
            if run.probes.views().iter().any(passed) {
                return;
            }
        }
    };
    timeout(DEADLINE, wait)
        .await
        .expect("the http probe passes");
    let _listener = TcpListener::bind(("127.0.0.1", later))
        .await
        .expect("binds");
    assert_eq!(run.news().await, ProbeEvent::Ready);
    assert!(run.probes.views().iter().all(passed));
}

#[tokio::test]
async fn no_probes_no_task() {
    let tasks = Tasks::new();
    let (sender, _events) = mpsc::channel(1);
    let spec = spec(Path::new("/"), "");
    let env = BTreeMap::new();
    let subject = Subject {
        instance: &instance(),
        process: None,
        env: &env,
    };
    let probes = Probes::start(
        &spec,
        subject,
        Phase::Starting,
        &Clock::system(),
        &tasks,
        sender,
    );
    assert!(probes.is_none());
}

#[tokio::test]
async fn dropping_ends_the_tasks() {
    let run = start("[health.tcp]\nport = 1", &[]);
    let Running {
        probes,
        mut events,
        tasks,
    } = run;
    drop(probes);
    let end = async { while events.recv().await.is_some() {} };
    timeout(DEADLINE, end).await.expect("the senders are gone");
    assert!(tasks.shutdown(DEADLINE).await.is_empty());
}

/// Answers one request per connection over TLS, with a certificate that nobody has signed.
fn tls_server() -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::io::{Read, Write};

    let pem = include_bytes!("tests/localhost.pem");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("default versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pem).expect("a certificate")],
            PrivateKeyDer::from_pem_slice(pem).expect("a key"),
        )
        .expect("they belong together");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(connection) = rustls::ServerConnection::new(config.clone()) else {
                return;
            };
            let mut tls = rustls::StreamOwned::new(connection, stream);
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(&answer("200 OK", "secret"));
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    port
}

#[tokio::test]
async fn https_checks_the_certificate_unless_told_not_to() {
    let port = tls_server();
    let probe = |more: &str| {
        format!(
            "[health.http]\nurl = 'https://localhost:{port}/'\nbody_contains = 'secret'\n{more}"
        )
    };
    let error = start(&probe(""), &[]).first_error().await;
    assert!(error.starts_with("tls: "), "{error}");
    assert_eq!(
        start(&probe("insecure = true"), &[]).news().await,
        ProbeEvent::Ready
    );
}

/// A PATH for the shell's commands.
fn path() -> (&'static str, String) {
    ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned())
}

#[tokio::test]
async fn scripts_run_in_folder_and_environment_of_the_process() {
    let folder = tempfile::tempdir().expect("a temp folder");
    std::fs::write(folder.path().join("here-1"), "").expect("writes");
    let health =
        "[health.script]\ncommand = 'test -f here-{instance} && test $PORT = ${PORT} && echo fine'";
    let env = [path(), ("PORT", "3001".to_owned())];
    let mut run = start_in(folder.path(), health, &env);
    assert_eq!(run.news().await, ProbeEvent::Ready);
    let view = run.probes.views().remove(0);
    assert_eq!(view.probe, "script");
    assert_eq!(view.attempts[0].output.as_deref(), Some("fine\n"));
}

#[tokio::test]
async fn scripts_say_why_not() {
    // Only the script that never ends may meet its limit, and has time to speak before.
    for (command, limit, error, output) in [
        ("echo broken >&2; exit 2", "60s", "exit 2", Some("broken\n")),
        ("kill -KILL $$$$", "60s", "killed by SIGKILL", None),
        (
            "echo slow; sleep 60 & sleep 60",
            "3s",
            "timeout",
            Some("slow\n"),
        ),
        (
            "no-such-program-anywhere 2>/dev/null",
            "60s",
            "exit 127",
            None,
        ),
    ] {
        let health = format!(
            "[health.script]\ncommand = '{command}'\ninterval = '70s'\ntimeout = '{limit}'"
        );
        let mut run = start(&health, &[path()]);
        assert_eq!(run.first_error().await, error, "{command}");
        let view = run.probes.views().remove(0);
        assert_eq!(view.attempts[0].output.as_deref(), output, "{command}");
    }
}

#[tokio::test]
async fn a_script_ends_with_its_probe() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let health = "[health.script]\ncommand = 'echo $$$$ > pid.new && mv pid.new pid; sleep 300'\ninterval = '400s'\ntimeout = '300s'";
    let run = start_in(folder.path(), health, &[path()]);
    let file = folder.path().join("pid");
    until(|| file.exists()).await;
    let pid = std::fs::read_to_string(&file).expect("reads");
    let stat = std::path::PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    drop(run.probes);
    // A zombie has ended too: collecting it is the sampler's work.
    until(|| std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "))).await;
}

async fn until(wanted: impl Fn() -> bool) {
    let poll = async {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, poll).await.expect("it comes in time");
}
