//! RFC 5424 to a real rsyslogd over UDP, TCP and TLS, field by field; and to a socket file.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use supervisor::Stream;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::counterparts::skipped;
use crate::rig::{PATIENCE, Rig, until};

/// A line of rsyslogd's template.
const TEMPLATE: &str = r#"template(name="fields" type="string" string="%pri%\t%protocol-version%\t%timestamp:::date-rfc3339%\t%hostname%\t%app-name%\t%procid%\t%msgid%\t%structured-data%\t%msg%\n")"#;

/// A running rsyslogd. It ends with the test.
struct Rsyslogd {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rsyslogd {
    /// `None` when it is not installed, or has no such module.
    fn start(folder: tempfile::TempDir, modules: &[&str], inputs: &str) -> Option<Self> {
        let program = ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"]
            .into_iter()
            .find(|program| Path::new(program).exists());
        let Some(program) = program else {
            skipped("there is no rsyslogd; apt-get install rsyslog");
            return None;
        };
        for module in modules {
            let here = [
                "/usr/lib/x86_64-linux-gnu/rsyslog",
                "/usr/lib/aarch64-linux-gnu/rsyslog",
                "/usr/lib64/rsyslog",
                "/usr/lib/rsyslog",
            ]
            .iter()
            .any(|lib| Path::new(lib).join(format!("{module}.so")).exists());
            if !here {
                skipped(&format!(
                    "rsyslogd has no {module}; apt-get install rsyslog-gnutls"
                ));
                return None;
            }
        }
        let home = folder.path().display();
        let config = format!(
            "global(workDirectory=\"{home}\" maxMessageSize=\"128k\" parser.escapeControlCharactersOnReceive=\"off\")\n{inputs}\n{TEMPLATE}\naction(type=\"omfile\" file=\"{home}/got\" template=\"fields\")\n"
        );
        let file = folder.path().join("rsyslog.conf");
        std::fs::write(&file, config).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the server is a real one")]
        let child = Command::new(program)
            .args(["-n", "-i"])
            .arg(folder.path().join("pid"))
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        Some(Self { child, folder })
    }

    fn got(&self) -> Vec<Vec<String>> {
        let text = std::fs::read(self.folder.path().join("got")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    async fn until(&self, lines: usize) -> Vec<Vec<String>> {
        let said = || std::fs::read_to_string(self.folder.path().join("said"));
        until(
            || self.got().len() >= lines,
            || format!("{:?} {:?}", self.got(), said()),
        )
        .await;
        self.got()
    }
}

/// A port that was free a moment ago, for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn assert_fields(got: &[String], stream: &str, instance: &str, text: &str) {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    assert_eq!(got.len(), 9, "{got:?}");
    // local3 is 19; without a level it is `info`, 6.
    assert_eq!((got[0].as_str(), got[1].as_str()), ("158", "1"));
    let time: jiff::Timestamp = got[2].parse().unwrap();
    assert!(time.as_millisecond() > 1_700_000_000_000);
    assert_eq!(got[3], host);
    assert_eq!(
        (got[4].as_str(), got[5].as_str(), got[6].as_str()),
        ("api", "4711", "-")
    );
    assert_eq!(
        got[7],
        format!(r#"[mhost@0 instance="{instance}" stream="{stream}" team="a \"b\" \]c"]"#)
    );
    // rsyslogd keeps the blank before the message.
    assert_eq!(got[8].trim_start(), text);
}

fn sink(transport: &str, port: u16, more: &str) -> String {
    format!(
        "[sinks.{transport}]\ntype = \"syslog\"\nhost = \"localhost\"\nport = {port}\ntransport = \"{transport}\"\nfacility = \"local3\"\nflush = \"50ms\"\nlabels = {{ team = 'a \"b\" ]c' }}\n{more}\n"
    )
}

#[tokio::test]
async fn rsyslogd_takes_tcp_and_udp() {
    for transport in ["tcp", "udp"] {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let input = format!(
            "module(load=\"im{transport}\")\ninput(type=\"im{transport}\" port=\"{port}\" address=\"127.0.0.1\")"
        );
        let Some(server) = Rsyslogd::start(folder, &[], &input) else {
            return;
        };
        if transport == "udp" {
            // A datagram to nobody is lost; the port is taken when it cannot be bound.
            let taken = || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err();
            until(taken, || "rsyslogd does not listen".to_owned()).await;
        }
        let rig = Rig::new(&sink(transport, port, ""));
        rig.ready(&[transport]).await;
        let mut out = rig.program("api", 2, Stream::Out).await;
        let texts = [
            "plain",
            "10 looks like a frame",
            "<13>1 - - - - - - inside",
            "é ünï \u{1f980} ]\"\\",
            "{\"level\":\"info\",\"msg\":\"json\"}",
        ];
        out.print(&format!("{}\n", texts.join("\n")));
        let got = server.until(texts.len()).await;
        for (got, text) in got.iter().zip(texts) {
            assert_fields(got, "out", "2", text);
        }
        let long = "w".repeat(40_000);
        out.print(&format!("{long}\n"));
        let got = server.until(texts.len() + 1).await;
        assert_fields(&got[texts.len()], "out", "2", &long);
        rig.until(transport, |sink| sink.sent == texts.len() as u64 + 1)
            .await;
    }
}

/// A server restart loses no line; one may come twice.
#[tokio::test]
async fn rsyslogd_may_restart() {
    let port = free_port();
    let input = format!(
        "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")"
    );
    let Some(mut server) = Rsyslogd::start(tempfile::tempdir().unwrap(), &[], &input) else {
        return;
    };
    let rig = Rig::new(&sink("tcp", port, ""));
    rig.ready(&["tcp"]).await;
    let mut out = rig.program("api", 0, Stream::Out).await;
    out.print("before\n");
    server.until(1).await;
    drop(server);
    out.print("while it is away\n");
    rig.until("tcp", |sink| sink.last_error.is_some()).await;
    server = Rsyslogd::start(tempfile::tempdir().unwrap(), &[], &input).unwrap();
    out.print("after\n");
    let texts = || -> Vec<String> {
        let got = server.got();
        got.iter()
            .map(|got| got[8].trim_start().to_owned())
            .collect()
    };
    let here = |text: &str| texts().iter().any(|got| got == text);
    until(
        || here("while it is away") && here("after"),
        || format!("{:?}", texts()),
    )
    .await;
}

/// An authority, and a key and certificate of it for `localhost`, in files.
fn certificates(folder: &Path) -> [PathBuf; 3] {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&files[0], authority.pem()).unwrap();
    std::fs::write(&files[1], certificate.pem()).unwrap();
    std::fs::write(&files[2], key.serialize_pem()).unwrap();
    files
}

#[tokio::test]
async fn rsyslogd_takes_tls_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, certificate, key] = certificates(folder.path());
    let port = free_port();
    let input = format!(
        "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\nmodule(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")",
        ca.display(),
        certificate.display(),
        key.display(),
    );
    let Some(server) = Rsyslogd::start(folder, &["lmnsd_gtls"], &input) else {
        return;
    };
    let known = sink("tls", port, &format!("ca_file = \"{}\"", ca.display()));
    let stranger = sink("tls", port, "").replace("sinks.tls", "sinks.stranger");
    let insecure = sink("tls", port, "tls_insecure = true\nprocesses = \"other\"")
        .replace("sinks.tls", "sinks.insecure");
    let rig = Rig::new(&[known, stranger, insecure].join("\n"));
    rig.ready(&["tls", "stranger", "insecure"]).await;
    let mut out = rig.program("api", 0, Stream::Err).await;
    out.print("secret words\n");
    let got = server.until(1).await;
    assert_fields(&got[0], "err", "0", "secret words");
    // It may have been refused before rsyslogd listened.
    let untrusted = |error: &String| error.starts_with("tls: invalid peer certificate");
    rig.until("stranger", |sink| {
        sink.last_error.as_ref().is_some_and(untrusted)
    })
    .await;
    let mut other = rig.program("other", 0, Stream::Out).await;
    other.print("by anybody\n");
    rig.until("insecure", |sink| sink.sent == 1).await;
    assert_eq!(rig.status("stranger").sent, 0);
    // The sink that knows the authority sends both programs' lines.
    assert_eq!(server.until(3).await.len(), 3);
}

#[tokio::test]
async fn a_socket_file_gets_a_datagram_per_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let rig = Rig::new(&format!(
        "[sinks.local]\ntype = \"syslog\"\nhost = \"{}\"\nfacility = 3\nflush = \"50ms\"",
        path.display()
    ));
    rig.ready(&["local"]).await;
    let mut out = rig.program("api", 0, Stream::Out).await;
    out.print("one\ntwo\n");
    let mut buffer = vec![0; 65_536];
    for expected in ["one", "two"] {
        let length = timeout(PATIENCE, socket.recv(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        // daemon is 3, info is 6.
        assert!(
            text.starts_with("<30>1 ") && text.ends_with(&format!("] {expected}")),
            "{text}"
        );
    }
}

/// The socket of a real rsyslogd, set up as docs/sinks.md says.
#[tokio::test]
async fn rsyslogd_takes_its_socket_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let input = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\" useSpecialParser=\"off\" parseHostname=\"on\")",
        path.display()
    );
    let Some(server) = Rsyslogd::start(folder, &["imuxsock"], &input) else {
        return;
    };
    let settings = sink("unix", 1, "").replace("localhost", &path.display().to_string());
    let settings = settings.replace("port = 1\n", "");
    let rig = Rig::new(&settings);
    rig.ready(&["unix"]).await;
    let mut out = rig.program("api", 2, Stream::Err).await;
    out.print("through a file\n");
    assert_fields(&server.until(1).await[0], "err", "2", "through a file");
    rig.until("unix", |sink| sink.sent == 1).await;
}

/// A flood over UDP arrives: there are pauses in which the server can read.
#[tokio::test]
async fn a_flood_of_datagrams_has_pauses() {
    let port = free_port();
    let input = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"{port}\" address=\"127.0.0.1\")"
    );
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Rsyslogd::start(folder, &["imudp"], &input) else {
        return;
    };
    let listens = || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err();
    until(listens, || "rsyslogd does not listen".to_owned()).await;
    let rig = Rig::new(&sink("udp", port, ""));
    rig.ready(&["udp"]).await;
    let mut out = rig.program("api", 0, Stream::Out).await;
    for at in 0..3_000 {
        out.print(&format!("line {at}\n"));
    }
    let got = server.until(3_000).await;
    assert_eq!(got.len(), 3_000);
    assert_fields(&got[2_999], "out", "0", "line 2999");
}
