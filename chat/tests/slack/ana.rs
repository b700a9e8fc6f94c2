//! Ana, in her private chat with the bot, and the contract of all adapters.

use async_trait::async_trait;
use chat::slack::{Settings, Signed, Slack};
use chat::{Channel, MessageRef, Place};
use serde_json::json;

use crate::conformance::{Counterpart, Shown, conforms};
use crate::platform::{GONE, OPS, Platform, SIGNING, Way};
use crate::{described, settings, until};

/// Ana's id, and that of her private chat with the bot.
pub(crate) const ANA: &str = "U0ANA";
pub(crate) const PRIVATE: &str = "D0ANA";

struct Ana {
    platform: Platform,
    is_signed: bool,
}

impl Ana {
    /// A signed request is answered at once in these tests, so that all keep their order.
    async fn settle(&self) {
        if self.is_signed {
            until("the request is answered", || {
                self.platform.unacknowledged() == 0
            })
            .await;
        }
    }
}

#[async_trait]
impl Counterpart for Ana {
    fn place(&self) -> Place {
        Place::chat(chat::Platform::Slack, ANA)
    }

    fn user(&self) -> String {
        ANA.to_owned()
    }

    fn gone(&self) -> Place {
        Place::chat(chat::Platform::Slack, GONE)
    }

    async fn write(&self, text: &str) {
        // Nobody can begin a message with a slash on Slack, but before a blank they can.
        self.platform
            .writes(PRIVATE, ANA, &format!(" {text}"), json!({}));
        self.settle().await;
    }

    async fn press(&self, message: &MessageRef, payload: &str) {
        let shown = self.platform.shown();
        let under = shown.iter().find(|one| one.ts == message.id).unwrap();
        self.platform.presses(under, ANA, payload);
        self.settle().await;
    }

    async fn shown(&self) -> Vec<Shown> {
        let shown = self.platform.shown().into_iter();
        let here = shown.filter(|one| one.channel == PRIVATE);
        here.map(|one| Shown {
            id: one.ts,
            text: one.text,
            buttons: one.buttons,
            files: one.files,
            live: one.live,
        })
        .collect()
    }

    async fn answers(&self) -> Vec<String> {
        let whispers = self.platform.whispers().into_iter();
        let hers = whispers.filter(|(who, _)| who == ANA);
        hers.map(|(_, text)| text).collect()
    }

    async fn remove(&self, message: &MessageRef) {
        self.platform.removes(&message.id);
    }

    async fn menu(&self) -> Option<Vec<String>> {
        None
    }

    async fn redeliver(&self) -> bool {
        if !self.is_signed {
            self.platform.redeliver();
        }
        !self.is_signed
    }
}

#[tokio::test]
async fn it_conforms_by_socket_mode() {
    let platform = Platform::start().await;
    let bot = Slack::new(&settings(&platform)).unwrap();
    let ana = Ana {
        platform,
        is_signed: false,
    };
    conforms(&bot, &ana).await;
    until("all is acknowledged", || ana.platform.unacknowledged() == 0).await;
    assert_eq!(ana.platform.faults(), [""; 0]);
    assert_eq!(ana.platform.connections(), 1);
    described::check(&ana.platform.calls());
    ana.platform.writes(OPS, ANA, "<@U0BOT> status", json!({}));
    described::check_events(&ana.platform.events());
    drop(bot);
    until("a bot that is dropped is gone", || {
        ana.platform.lines() == 0
    })
    .await;
}

#[tokio::test]
async fn it_conforms_by_signed_requests() {
    let platform = Platform::start().await;
    let bot = Slack::new(&Settings {
        app_token: None,
        signed: Some(Signed {
            secret: SIGNING.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
        }),
        latest: std::time::Duration::ZERO,
        ..settings(&platform)
    })
    .unwrap();
    bot.connect().await.unwrap();
    let address = bot.listens_at().await.unwrap();
    platform.by(Way::Signed(format!("http://{address}/slack")));
    let ana = Ana {
        platform,
        is_signed: true,
    };
    conforms(&bot, &ana).await;
    assert_eq!(ana.platform.faults(), [""; 0]);
    assert_eq!(ana.platform.connections(), 0);
    described::check(&ana.platform.calls());
}
