//! What is wrong with a bot is said when its settings are read.

use super::super::tests::load;

#[test]
fn a_bot_on_slack_has_a_way_in() {
    let slack = |rest: &str| load(&format!("[bot.slack]\nbot_token = \"xoxb-1\"\n{rest}"), &[]);
    let wrong = |rest: &str| slack(rest).unwrap_err().remove(0);
    let (line, said) = wrong("");
    assert!(line == 1 && said.contains("no way"), "{line}: {said}");
    assert!(
        wrong("signing_secret = \"8f742231b10e\"")
            .1
            .contains("no `listen`")
    );
    assert!(
        wrong("listen = \"127.0.0.1:3001\"")
            .1
            .contains("no `signing_secret`")
    );
    let (line, said) = wrong("app_token = \"xapp-1\"\nlisten = \"3001\"");
    assert!(
        line == 4 && said.contains("not an address with a port"),
        "{line}: {said}"
    );
    let config = slack("app_token = \"xapp-1\"").unwrap();
    let both = slack("signing_secret = \"8f742231b10e\"\nlisten = \"[::1]:3001\"").unwrap();
    let listen = both.bot.unwrap().slack.unwrap().listen.unwrap();
    assert_eq!(listen, "[::1]:3001".parse().unwrap());
    let secrets: Vec<String> = config
        .secrets()
        .iter()
        .map(|secret| secret.expose().to_owned())
        .collect();
    assert_eq!(secrets, ["xoxb-1", "xapp-1"]);
}
