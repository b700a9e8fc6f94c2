//! What each platform is sent, checked field by field: one that it does not know fails.

use std::collections::BTreeMap;

use chat::notify::{
    Ntfy, Opsgenie, PagerDuty, Region, Severity, Slack, Sms, Target, Teams, Telegram,
};
use serde::Deserialize;
use serde_json::Value;

use crate::server::Server;
use crate::{all, crash, digest, recovery, send};

/// No more characters than that.
fn within(text: &str, most: usize) {
    let count = text.chars().count();
    assert!((1..=most).contains(&count), "{count} of {most}: {text}");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    routing_key: String,
    event_action: String,
    dedup_key: String,
    payload: Option<Payload>,
    #[serde(default)]
    links: Vec<Href>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    summary: String,
    source: String,
    severity: String,
    timestamp: jiff::Timestamp,
    component: Option<String>,
    class: String,
    custom_details: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Href {
    href: String,
    #[serde(rename = "text")]
    _text: String,
}

#[tokio::test]
async fn pagerduty_resolves_the_alert_that_it_opened() {
    let server = Server::start().await;
    let target = || {
        Target::PagerDuty(PagerDuty {
            routing_key: "R0123456789".into(),
            severity_map: [(Severity::Warning, "error".to_owned())].into(),
            base_url: Some(server.url.clone()),
        })
    };
    let mut keys = Vec::new();
    for message in all() {
        send(target(), &message).await.unwrap();
        let seen = server.one();
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("POST", "/v2/enqueue")
        );
        let event: Event = serde_json::from_value(seen.json()).unwrap();
        assert_eq!(event.routing_key, "R0123456789");
        within(&event.dedup_key, 255);
        assert_eq!(event.payload.is_none(), message.resolves);
        assert_eq!(
            event.event_action,
            if message.resolves {
                "resolve"
            } else {
                "trigger"
            }
        );
        if let Some(payload) = event.payload {
            within(&payload.summary, 1_024);
            within(&payload.source, 1_024);
            assert_eq!(payload.severity, "critical");
            assert_eq!(payload.timestamp, message.notice.ts);
            assert_eq!(
                payload.component.is_none(),
                message.notice.process.is_empty()
            );
            within(&payload.class, 100);
            assert!(!payload.custom_details.is_empty());
            assert!(
                event
                    .links
                    .iter()
                    .all(|link| link.href.starts_with("https://"))
            );
        }
        keys.push(event.dedup_key);
    }
    assert_eq!(keys[0], "mhost-h1-api-crash");
    assert_eq!(
        keys[0], keys[1],
        "the same key for the failure and for its end"
    );
    let mut message = crash();
    message.notice.severity = Severity::Warning;
    send(target(), &message).await.unwrap();
    assert_eq!(server.one().json()["payload"]["severity"], "error");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    message: String,
    alias: String,
    description: String,
    responders: Vec<Value>,
    tags: Vec<String>,
    details: BTreeMap<String, String>,
    entity: Option<String>,
    source: String,
    priority: String,
}

#[tokio::test]
async fn opsgenie_closes_the_alert_that_it_opened() {
    let server = Server::start().await;
    let target = || {
        Target::Opsgenie(Opsgenie {
            api_key: "genie-0123456789".into(),
            region: Region::Eu,
            responders: vec!["ops".into(), "user:ana@example.com".into()],
            priority_map: BTreeMap::new(),
            base_url: Some(format!("{}/in", server.url)),
        })
    };
    for message in all() {
        send(target(), &message).await.unwrap();
        let seen = server.one();
        assert_eq!(seen.header("authorization"), "GenieKey genie-0123456789");
        if message.resolves {
            let path = "/in/v2/alerts/mhost-h1-api-crash/close?identifierType=alias";
            assert_eq!(seen.path, path);
            let body = seen.json();
            let known = ["source", "note", "user"];
            assert!(
                body.as_object()
                    .unwrap()
                    .keys()
                    .all(|key| known.contains(&key.as_str()))
            );
            continue;
        }
        assert_eq!(seen.path, "/in/v2/alerts");
        let alert: Alert = serde_json::from_value(seen.json()).unwrap();
        within(&alert.message, 130);
        within(&alert.alias, 512);
        within(&alert.description, 15_000);
        within(&alert.source, 100);
        assert!(alert.tags.len() <= 20);
        alert.tags.iter().for_each(|tag| within(tag, 50));
        let details: usize = alert.details.iter().map(|(a, b)| a.len() + b.len()).sum();
        assert!(details <= 80_000);
        assert_eq!(alert.entity.is_none(), message.notice.process.is_empty());
        assert_eq!(alert.priority, "P1");
        assert_eq!(
            alert.responders,
            [
                serde_json::json!({"type": "team", "name": "ops"}),
                serde_json::json!({"type": "user", "username": "ana@example.com"})
            ]
        );
    }
}

#[tokio::test]
async fn sms_is_one_short_line_for_each_number() {
    let later = (503, vec![], "busy".to_owned());
    let server = Server::answering([(201, vec![], String::new()), later]).await;
    let sms = Sms {
        account_sid: "AC00".into(),
        auth_token: "tw-secret-token".into(),
        from: Some("+100".into()),
        messaging_service_sid: None,
        to: vec!["+201".into(), "+202".into()],
        base_url: Some(server.url.clone()),
    };
    let sender = crate::to(Target::Sms(sms));
    // The second number was not told. It alone is told with the next try.
    let failed = sender.send(&crash()).await.unwrap_err();
    assert_eq!(failed.to_string(), "status 503: busy");
    sender.send(&crash()).await.unwrap();
    let seen = server.taken();
    let bodies: Vec<String> = seen
        .iter()
        .map(|one| String::from_utf8(one.body.clone()).unwrap())
        .collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies[0].starts_with("To=%2B201&Body=CRITICAL+api%3A2+crash+on+h1%3A+ESCALATED"));
    assert!(bodies[0].ends_with("&From=%2B100"));
    assert!(bodies[1].starts_with("To=%2B202&") && bodies[2].starts_with("To=%2B202&"));
    for one in &seen {
        assert_eq!(one.path, "/2010-04-01/Accounts/AC00/Messages.json");
        assert_eq!(
            one.header("authorization"),
            "Basic QUMwMDp0dy1zZWNyZXQtdG9rZW4="
        );
        assert_eq!(
            one.header("content-type"),
            "application/x-www-form-urlencoded"
        );
    }
    sender.send(&crate::endless()).await.unwrap();
    for one in server.taken() {
        let url = format!("http://x/?{}", String::from_utf8(one.body).unwrap());
        let url: reqwest::Url = url.parse().unwrap();
        let text = url
            .query_pairs()
            .find(|(name, _)| name == "Body")
            .unwrap()
            .1
            .into_owned();
        within(&text, 320);
        assert!(!text.contains('\n'));
    }
}

/// Blocks of Slack, with their limits.
fn slack_block(block: &Value) {
    let only = |known: &[&str]| {
        let keys = block.as_object().unwrap().keys();
        keys.for_each(|key| assert!(known.contains(&key.as_str()), "{key}"));
    };
    let plain = |text: &Value, most: usize| {
        let keys: Vec<&String> = text.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["type", "text", "emoji"]);
        assert_eq!(text["type"], "plain_text");
        within(text["text"].as_str().unwrap(), most);
    };
    match block["type"].as_str().unwrap() {
        "header" => {
            only(&["type", "text"]);
            plain(&block["text"], 150);
        }
        "section" => {
            only(&["type", "text", "fields"]);
            if !block["text"].is_null() {
                plain(&block["text"], 3_000);
            }
            let fields = block["fields"].as_array();
            assert!(fields.is_none_or(|fields| (1..=10).contains(&fields.len())));
            fields
                .into_iter()
                .flatten()
                .for_each(|field| plain(field, 2_000));
        }
        "rich_text" => {
            only(&["type", "elements"]);
            for part in block["elements"].as_array().unwrap() {
                assert_eq!(part["type"], "rich_text_preformatted");
                for run in part["elements"].as_array().unwrap() {
                    assert_eq!(run.as_object().unwrap().len(), 2);
                    assert_eq!(run["type"], "text");
                    within(run["text"].as_str().unwrap(), 3_000);
                }
            }
        }
        "context" => {
            only(&["type", "elements"]);
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=10).contains(&elements.len()));
            for element in elements {
                if element["type"] == "mrkdwn" {
                    assert_eq!(element["verbatim"], true);
                    let text = element["text"].as_str().unwrap();
                    assert_eq!(text.matches(['<', '>', '|']).count(), 3, "{text}");
                } else {
                    plain(element, 3_000);
                }
            }
        }
        other => panic!("{other} is no block"),
    }
}

#[tokio::test]
async fn slack_gets_blocks_in_which_nothing_is_markup() {
    let server = Server::start().await;
    for message in all() {
        let target = Target::Slack(Slack {
            webhook_url: "https://hooks.slack.example/services/T0/B0/secretsecretsecret".into(),
            bot_token: None,
            channel: Some("#ops".into()),
            base_url: Some(server.url.clone()),
        });
        assert_eq!(send(target, &message).await.unwrap(), "status 200");
        let seen = server.one();
        assert_eq!(seen.path, "/services/T0/B0/secretsecretsecret");
        let body = seen.json();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["attachments", "channel"]);
        let attachment = &body["attachments"][0];
        let keys: Vec<&String> = attachment.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["color", "fallback", "blocks"]);
        let colour = if message.resolves {
            "#2EB67D"
        } else {
            "#E01E5A"
        };
        assert_eq!(attachment["color"], colour);
        let blocks = attachment["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        blocks.iter().for_each(slack_block);
    }
}

/// Elements of an Adaptive Card 1.4.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdaptiveCard {
    #[serde(rename = "$schema")]
    _schema: String,
    #[serde(rename = "type")]
    kind: String,
    version: String,
    body: Vec<RichTextBlock>,
    #[serde(default)]
    actions: Vec<OpenUrl>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RichTextBlock {
    #[serde(rename = "type")]
    kind: String,
    inlines: Vec<TextRun>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TextRun {
    #[serde(rename = "type")]
    kind: String,
    text: String,
    size: Option<String>,
    weight: Option<String>,
    color: Option<String>,
    is_subtle: Option<bool>,
    font_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenUrl {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    url: String,
}

#[tokio::test]
async fn teams_gets_an_adaptive_card() {
    let server = Server::start().await;
    for message in all() {
        let target = Target::Teams(Teams {
            webhook_url: "https://teams.example/workflows/x?sig=secret".into(),
            base_url: Some(server.url.clone()),
        });
        send(target, &message).await.unwrap();
        let seen = server.one();
        assert_eq!(seen.path, "/workflows/x?sig=secret");
        let body = seen.json();
        // Larger ones are refused.
        assert!(seen.body.len() <= 28 << 10, "{}", seen.body.len());
        assert_eq!(body.as_object().unwrap().len(), 2);
        assert_eq!(body["type"], "message");
        let attachment = &body["attachments"][0];
        assert_eq!(attachment.as_object().unwrap().len(), 2);
        assert_eq!(
            attachment["contentType"],
            "application/vnd.microsoft.card.adaptive"
        );
        let card: AdaptiveCard = serde_json::from_value(attachment["content"].clone()).unwrap();
        assert_eq!(
            (card.kind.as_str(), card.version.as_str()),
            ("AdaptiveCard", "1.4")
        );
        for block in card.body {
            assert_eq!(block.kind, "RichTextBlock");
            for run in block.inlines {
                assert_eq!(run.kind, "TextRun");
                within(&run.text, 5_000);
                let is = |value: &Option<String>, known: &[&str]| {
                    value
                        .as_ref()
                        .is_none_or(|one| known.contains(&one.as_str()))
                };
                assert!(is(&run.size, &["Large", "Small"]) && is(&run.weight, &["Bolder"]));
                assert!(is(&run.color, &["Attention", "Warning", "Good"]));
                assert!(is(&run.font_type, &["Monospace"]) && run.is_subtle.unwrap_or(true));
            }
        }
        for action in card.actions {
            assert_eq!(action.kind, "Action.OpenUrl");
            within(&action.title, 60);
            assert!(action.url.starts_with("https://"));
        }
    }
}

#[tokio::test]
async fn ntfy_gets_ascii_headers_and_plain_text() {
    let server = Server::start().await;
    let target = || {
        Target::Ntfy(Ntfy {
            url: server.url.clone(),
            topic: "my topic".into(),
            token: Some("tk_0123456789".into()),
        })
    };
    for message in all() {
        send(target(), &message).await.unwrap();
        let seen = server.one();
        assert_eq!(seen.path, "/my%20topic");
        assert_eq!(seen.header("authorization"), "Bearer tk_0123456789");
        assert!(seen.body.len() <= 4_096);
        assert_eq!(
            seen.header("priority"),
            if message.resolves { "3" } else { "5" }
        );
        within(seen.header("title"), 1_000);
    }
    let mut message = crash();
    message.notice.process = "café\r\nX-Evil: 1".into();
    send(target(), &message).await.unwrap();
    let seen = server.one();
    assert!(seen.headers.get("x-evil").is_none());
    let title = seen.header("title");
    assert!(
        title.starts_with("=?UTF-8?Q?caf=C3=A9=20X=2DEvil=3A=201"),
        "{title}"
    );
}

#[tokio::test]
async fn a_digest_and_a_recovery_read_well_in_telegram() {
    let server = Server::start().await;
    let target = || {
        Target::Telegram(Telegram {
            bot_token: "123:abc".into(),
            chat_id: "-100".into(),
            thread_id: Some(7),
            silent: true,
            base_url: Some(server.url.clone()),
        })
    };
    send(target(), &recovery()).await.unwrap();
    let text = server.one().json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("✅ <b>api:2 recovered</b>\nup for a minute; it took 5m in all\n"));
    send(target(), &digest()).await.unwrap();
    let text = server.one().json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("• <b>app-0 &lt;*&gt;</b>: 4 × crash, errored\n"),
        "{text}"
    );
    assert!(text.contains("… and 200 more"), "{text}");
}
