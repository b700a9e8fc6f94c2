//! Mail to a real server, `aiosmtpd` of PyPI, read back by Python's own mail library.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;

use chat::notify::{Email, MailTls, Outgoing, SendError, Target};
use serde_json::Value;

use crate::{all, command, crash, folder, recovery, to};

struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    port: u16,
    certificates: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(mode: &str) -> Option<Self> {
        let packages = folder("smtp")?;
        let certificates = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (cert, key) = (
            certificates.path().join("cert.pem"),
            certificates.path().join("key.pem"),
        );
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notify/mail.py");
        let mut child = command("python3")
            .args([script, mode])
            .args([&cert, &key])
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It tells of each connection that breaks off.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It must never wait for a full pipe: then it would not answer either.
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            said.map_while(Result::ok)
                .try_for_each(|line| told.send(line))
        });
        let first = lines.recv().unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        Some(Self {
            child,
            lines,
            port: u16::try_from(first["port"].as_u64().unwrap()).unwrap(),
            certificates,
        })
    }

    fn settings(&self, tls: MailTls) -> Email {
        Email {
            smtp_host: "localhost".into(),
            smtp_port: self.port,
            username: None,
            password: None,
            from: "mhost on h1 <mhost@h1.example>".into(),
            to: vec!["ana@example.com".into(), "Öps <ops@example.com>".into()],
            tls,
            ca_file: (tls != MailTls::None).then(|| self.certificates.path().join("cert.pem")),
        }
    }

    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.lines.recv().unwrap()).unwrap()
    }
}

async fn sent(server: &mut Server, settings: &Email, message: &Outgoing) -> Value {
    let sender = to(Target::Email(settings.clone()));
    assert_eq!(
        sender.send(message).await,
        Ok("status 250".to_owned()),
        "{:?}",
        settings.tls
    );
    server.mail()
}

#[tokio::test]
async fn a_readable_mail_arrives_in_the_clear_and_protected() {
    for (mode, tls) in [
        ("none", MailTls::None),
        ("starttls", MailTls::Starttls),
        ("tls", MailTls::Tls),
    ] {
        let Some(mut server) = Server::start(mode) else {
            return;
        };
        let settings = server.settings(tls);
        for message in all() {
            let mail = sent(&mut server, &settings, &message).await;
            assert_eq!(mail["tls"], tls != MailTls::None, "{mode}");
            assert_eq!(mail["type"], "multipart/alternative");
            assert_eq!(mail["defects"], serde_json::json!([]));
            assert_eq!(mail["from"], "mhost@h1.example");
            assert_eq!(mail["to"][1], "ops@example.com");
            assert!(mail["longest"].as_u64().unwrap() <= 998);
            let parts = mail["parts"].as_array().unwrap();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0]["type"], "text/plain");
            assert_eq!(parts[1]["type"], "text/html");
            assert_eq!(mail["headers"]["auto-submitted"], "auto-generated");
        }
        let mail = sent(&mut server, &settings, &crash()).await;
        assert_eq!(
            mail["headers"]["subject"],
            "[mhost h1] CRITICAL api:2 crash"
        );
        let text = mail["parts"][0]["text"].as_str().unwrap();
        assert!(text.contains("ESCALATED after 15m: exit code 3 after 2m (+7 suppressed)"));
        assert!(
            text.contains("exit code: 3") && text.contains("<b>panic</b>"),
            "{text}"
        );
        let html = mail["parts"][1]["text"].as_str().unwrap();
        assert!(
            html.contains("&lt;b&gt;panic&lt;/b&gt;") && !html.contains("<b>panic"),
            "{html}"
        );
        assert!(
            html.contains(r#"<a href="https://mhost.example/log?a=1&amp;b=2">"#),
            "{html}"
        );
    }
}

#[tokio::test]
async fn an_incident_is_one_thread_and_a_mail_that_is_sent_twice_is_one() {
    let Some(mut server) = Server::start("none") else {
        return;
    };
    let settings = server.settings(MailTls::None);
    let first = sent(&mut server, &settings, &crash()).await["headers"].take();
    let again = sent(&mut server, &settings, &crash()).await["headers"].take();
    assert_eq!(first["message-id"], "<incident-n7@h1.example>");
    assert_eq!(first["message-id"], again["message-id"]);
    let end = sent(&mut server, &settings, &recovery()).await["headers"].take();
    assert_eq!(end["message-id"], "<n1.20@h1.example>");
    assert_eq!(end["in-reply-to"], first["message-id"]);
    assert_eq!(end["references"], first["message-id"]);
    assert_eq!(end["subject"], "[mhost h1] OK api:2 recovered");
}

#[tokio::test]
async fn no_name_gets_into_the_headers() {
    let Some(mut server) = Server::start("none") else {
        return;
    };
    let settings = server.settings(MailTls::None);
    for evil in [
        "api\r\nBcc: evil@example.com",
        "api\nSubject: other\n\nbody",
        "api\r\n.\r\nMAIL FROM:<x@y>\r\n",
        "\u{2028}api\u{85}X-Evil: 1",
        "=?utf-8?q?=0D=0ABcc:_evil@example.com?=",
    ] {
        let mut message = crash();
        message.id = format!("{evil}.1");
        message.notice.process = evil.into();
        message.notice.host = evil.into();
        message.notice.incident = Some(evil.into());
        for first in [true, false] {
            message.opens_thread = first;
            let mail = sent(&mut server, &settings, &message).await;
            assert_eq!(mail["to"].as_array().unwrap().len(), 2, "{evil:?}");
            let headers = mail["headers"].as_object().unwrap();
            let known = [
                "from",
                "to",
                "subject",
                "message-id",
                "in-reply-to",
                "references",
                "date",
                "mime-version",
                "content-type",
                "auto-submitted",
                "content-transfer-encoding",
            ];
            let others = headers
                .keys()
                .filter(|name| !known.contains(&name.as_str()));
            assert_eq!(others.count(), 0, "{evil:?}: {headers:?}");
            let subject = headers["subject"].as_str().unwrap();
            assert!(subject.starts_with("[mhost ") && !subject.contains(['\r', '\n']));
            assert_eq!(mail["parts"].as_array().unwrap().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_login_works_a_wrong_one_is_final_and_nothing_is_sent_in_the_clear() {
    let Some(mut server) = Server::start("starttls") else {
        return;
    };
    let mut settings = server.settings(MailTls::Starttls);
    settings.username = Some("ana".into());
    settings.password = Some("hunter22-mail".into());
    let mail = sent(&mut server, &settings, &crash()).await;
    assert_eq!(mail["login"], "ana");
    settings.password = Some("wrong-password".into());
    let error = to(Target::Email(settings.clone()))
        .send(&crash())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Final(_)), "{error}");
    assert!(!error.to_string().contains("wrong-password"), "{error}");
    // An authority that nobody here knows.
    settings.ca_file = None;
    let error = to(Target::Email(settings))
        .send(&crash())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    // A server that cannot do STARTTLS gets nothing.
    let Some(plain) = Server::start("none") else {
        return;
    };
    let mut settings = plain.settings(MailTls::None);
    settings.tls = MailTls::Starttls;
    let error = to(Target::Email(settings))
        .send(&crash())
        .await
        .unwrap_err();
    assert!(!error.to_string().is_empty());
}
