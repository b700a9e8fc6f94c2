//! Every template with every form of message.

use jiff::Timestamp;

use super::*;
use crate::notify::{Class, DigestLine, EventName, Notice};

pub(crate) fn message(process: &str) -> Outgoing {
    let ts: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let notice = Notice::new("n1", EventName::Crash, process, "exit code 3 after 2m", ts)
        .detail("exit_code", 3)
        .detail(
            "last_lines",
            vec!["<b>panic</b> `x` *y*", "@here https://evil.example"],
        );
    Outgoing {
        id: "n1.1".into(),
        channel: "a".into(),
        notice: Notice {
            host: "h1".into(),
            incident: Some("n7".into()),
            ..notice
        },
        class: Class::Crash,
        resolves: false,
        suppressed: 7,
        lines: Vec::new(),
        unnamed: 0,
        escalated_after_s: None,
        opens_thread: true,
        via: Vec::new(),
        only: Vec::new(),
    }
}

#[tokio::test]
async fn each_template_says_what_happened_and_escapes_it() {
    let templates = Templates::default();
    for name in Templates::names() {
        let text = templates.render(name, &message("<api>")).await;
        let what = if name == "email.subject" {
            "crash"
        } else {
            "exit code 3"
        };
        assert!(text.contains(what), "{name}: {text}");
        assert!(
            name == "email.subject" || text.contains("(+7 suppressed)"),
            "{name}: {text}"
        );
        let marked = matches!(name, "telegram" | "email.html");
        assert_eq!(text.contains("&lt;api&gt;"), marked, "{name}: {text}");
        assert!(!(marked && text.contains("<b>panic")), "{name}: {text}");
        let one_line = matches!(name, "sms" | "pagerduty" | "email.subject");
        assert!(!one_line || !text.contains('\n'), "{name}: {text}");

        let mut digest = message("");
        digest.notice.event = EventName::Digest;
        digest.notice.message = "12 events of 2 processes".into();
        digest.lines = vec![DigestLine {
            process: "<web>".into(),
            events: [(EventName::Crash, 3)].into(),
        }];
        digest.unnamed = 4;
        let text = templates.render(name, &digest).await;
        assert!(text.contains("12 events of 2 processes"), "{name}: {text}");
        let lists = !one_line;
        assert_eq!(text.contains("3 × crash"), lists, "{name}: {text}");
        assert_eq!(text.contains("4 more"), lists, "{name}: {text}");
    }
}

#[tokio::test]
async fn ones_own_template_is_used_and_a_wrong_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telegram.tera");
    let templates = Templates::new(folder.path());
    std::fs::write(&path, "<u>{{ process }}</u> {{ event }}\n").unwrap();
    let text = templates.render("telegram", &message("a<b")).await;
    assert_eq!(text, "<u>a&lt;b</u> crash");
    for wrong in ["{{ nothing }}", "{% if %}", "  "] {
        std::fs::write(&path, wrong).unwrap();
        let text = templates.render("telegram", &message("api")).await;
        assert!(text.contains("exit code 3"), "{wrong}: {text}");
    }
}
