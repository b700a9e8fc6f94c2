//! Mail: text and HTML in one message, and one thread per incident.
//!
//! The id of a mail is the id of the message, so that one that is sent twice is one mail in
//! most mailboxes. The first of an incident has the incident's own id, and all others answer
//! that one.

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::http::Http;
use super::{PATIENCE, SendError};
use crate::notify::templates::cut;
use crate::notify::templates::escape::line;
use crate::notify::{Email, MailTls, Outgoing, Templates};

/// A line of a header should not be longer than this.
const SUBJECT: usize = 200;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(super) struct Sender {
    from: Mailbox,
    to: Vec<Mailbox>,
    settings: Email,
    transport: tokio::sync::OnceCell<Transport>,
    http: Http,
    templates: Templates,
}

impl Sender {
    pub(super) fn new(settings: Email, templates: Templates) -> Result<Self, SendError> {
        let mailbox = |text: &String| {
            let wrong = |_| SendError::Final(format!("`{text}` is no mail address"));
            text.parse::<Mailbox>().map_err(wrong)
        };
        Ok(Self {
            from: mailbox(&settings.from)?,
            to: settings.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            transport: tokio::sync::OnceCell::new(),
            // Only for keeping the password out of what the server says.
            http: Http::new(settings.password.clone()),
            settings,
            templates,
        })
    }

    async fn mail(&self, message: &Outgoing) -> Result<Message, SendError> {
        let subject = self.templates.render("email.subject", message).await;
        let text = self.templates.render("email", message).await;
        let html = self.templates.render("email.html", message).await;
        let host = self.from.email.domain();
        let own = format!("<{}@{host}>", word(&message.id));
        let thread = message.notice.incident.as_deref();
        let thread = thread.map(|incident| format!("<incident-{}@{host}>", word(incident)));
        let mut mail = Message::builder()
            .from(self.from.clone())
            // A template of a person may hold line ends.
            .subject(cut(&undecoded(&line(&subject)), SUBJECT));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail = match &thread {
            Some(thread) if message.opens_thread => mail.message_id(Some(thread.clone())),
            Some(thread) => mail
                .message_id(Some(own))
                .in_reply_to(thread.clone())
                .references(thread.clone()),
            None => mail.message_id(Some(own)),
        };
        // Holiday answers to alerts help nobody.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail = mail.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
        let part = |kind, text: String| SinglePart::builder().header(kind).body(text);
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, text))
            .singlepart(part(ContentType::TEXT_HTML, html));
        let failed = |error: lettre::error::Error| SendError::Final(error.to_string());
        mail.multipart(both).map_err(failed)
    }

    async fn transport(&self) -> Result<Transport, SendError> {
        let Email {
            smtp_host: host,
            smtp_port: port,
            tls,
            ca_file,
            ..
        } = &self.settings;
        let mut builder = Transport::builder_dangerous(host.clone())
            .port(*port)
            .timeout(Some(PATIENCE));
        if *tls != MailTls::None {
            let mut parameters = TlsParameters::builder(host.clone());
            if let Some(file) = ca_file {
                let told = |error: String| {
                    SendError::Final(format!("ca_file: {}: {error}", file.display()))
                };
                let pem = tokio::fs::read(file)
                    .await
                    .map_err(|error| told(error.to_string()))?;
                let root = Certificate::from_pem(&pem)
                    .map_err(|_| told("it is not a PEM file".to_owned()))?;
                parameters = parameters
                    .certificate_store(CertificateStore::None)
                    .add_root_certificate(root);
            }
            let built = tokio::task::spawn_blocking(move || {
                let _ = rustls::crypto::ring::default_provider().install_default();
                parameters.build_rustls()
            });
            let parameters = built
                .await
                .map_err(|error| SendError::later(error.to_string()))?
                .map_err(|error| SendError::Final(format!("tls: {error}")))?;
            builder = builder.tls(match tls {
                MailTls::Tls => Tls::Wrapper(parameters),
                MailTls::Starttls | MailTls::None => Tls::Required(parameters),
            });
        }
        if let (Some(name), Some(password)) = (&self.settings.username, &self.settings.password) {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(name.clone(), password));
        }
        Ok(builder.build())
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let mail = self.mail(message).await?;
        let transport = self.transport.get_or_try_init(|| self.transport()).await?;
        let sent = tokio::time::timeout(PATIENCE, transport.send(mail)).await;
        let sent = sent.map_err(|_| SendError::later("no answer within 10 s"))?;
        match sent {
            Ok(answer) => Ok(format!("status {}", answer.code())),
            Err(error) => {
                let text = self.http.clean(&described(&error));
                Err(match error.is_permanent() {
                    true => SendError::Final(text),
                    false => SendError::later(text),
                })
            }
        }
    }
}

fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// What a reader would take for an encoded word is broken up.
fn undecoded(text: &str) -> String {
    text.replace("=?", "= ?")
}

/// What may stand in an id of a mail.
fn word(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => letter,
            _ => '_',
        })
        .take(120)
        .collect()
}
