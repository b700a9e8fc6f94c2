//! Short messages by Twilio: one line, to each number.

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::SendError;
use super::http::{Http, address, form};
use crate::notify::templates::cut;
use crate::notify::{Outgoing, Sms, Templates};

/// Two parts of a long message.
const MOST: usize = 320;

pub(super) struct Sender {
    settings: Sms,
    url: Url,
    http: Http,
    templates: Templates,
    /// Numbers that have a message already whose other numbers are tried again.
    taken: tokio::sync::Mutex<(String, Vec<String>)>,
}

impl Sender {
    pub(super) fn new(settings: Sms, templates: Templates) -> Result<Self, SendError> {
        let sid = &settings.account_sid;
        if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(SendError::Final(
                "`account_sid` is not one of Twilio".to_owned(),
            ));
        }
        let path = format!("https://api.twilio.com/2010-04-01/Accounts/{sid}/Messages.json");
        Ok(Self {
            url: address(&path, settings.base_url.as_deref())?,
            http: Http::new([settings.auth_token.clone()]),
            settings,
            templates,
            taken: tokio::sync::Mutex::default(),
        })
    }

    async fn one(&self, to: &str, text: &str) -> Result<String, SendError> {
        let mut pairs = vec![("To", to), ("Body", text)];
        match (&self.settings.messaging_service_sid, &self.settings.from) {
            (Some(service), _) => pairs.push(("MessagingServiceSid", service)),
            (None, Some(from)) => pairs.push(("From", from)),
            (None, None) => {}
        }
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
        let mut url = self.url.clone();
        // The client turns these into a header; they are not part of what is sent as address.
        let sid = &self.settings.account_sid;
        let login = url
            .set_username(sid)
            .and_then(|()| url.set_password(Some(self.settings.auth_token.expose())));
        login.map_err(|()| SendError::Final("the login cannot be sent".to_owned()))?;
        self.http
            .request(Method::POST, &url, headers, form(&pairs))
            .await
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let said = self.templates.render("sms", message).await;
        let said = cut(&said.split_whitespace().collect::<Vec<_>>().join(" "), MOST);
        let mut taken = self.taken.lock().await;
        if taken.0 != message.id {
            *taken = (message.id.clone(), Vec::new());
        }
        let mut told = String::new();
        let mut failed = None;
        for to in &self.settings.to {
            if taken.1.contains(to) {
                continue;
            }
            match self.one(to, &said).await {
                Ok(one) => {
                    told = one;
                    taken.1.push(to.clone());
                }
                // A number that is wrong must not keep the others from being told.
                Err(error @ SendError::Later { .. }) => failed = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(told),
        }
    }
}
