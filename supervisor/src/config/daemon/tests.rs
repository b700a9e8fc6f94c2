//! What `config.toml` may say, and what is told when it is wrong.

use super::*;

pub(super) fn load(text: &str, env: &[(&str, &str)]) -> Result<DaemonConfig, Vec<(usize, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let env = env
        .iter()
        .map(|(key, value)| ((*key).to_owned(), OsText::from(*value)))
        .collect();
    DaemonConfig::load_with(&file, &env)
        .map(|(config, _)| config)
        .map_err(|error| {
            let problems = error.problems().iter();
            problems.map(|p| (p.line, p.message.clone())).collect()
        })
}

#[test]
fn a_missing_or_empty_file_means_defaults() {
    let gone = Path::new("/no/such/config.toml");
    let (config, _) = DaemonConfig::load_with(gone, &BTreeMap::new()).unwrap();
    assert_eq!(config, DaemonConfig::default());
    assert_eq!(load("", &[]), Ok(DaemonConfig::default()));
    assert!(!config.agent.enabled && config.brain.enabled);
}

#[test]
fn keys_are_read_and_the_environment_wins_for_autonomy() {
    let text = r#"
        [daemon]
        log_level = "debug"
        [agent]
        enabled = true
        autonomy = "semi"
        poll_interval = "${POLL:-1s}"
        bounds = { max_instances = 8, max_memory_factor = 1.5 }
        [brain.playbooks.cpu-spike]
        cooldown = "1m"
        params = { pct = 80.0, hold = "30s" }
        [logs]
        raw_max_size = "1MB"
        [x-mine]
        anything = "${goes}"
    "#;
    let config = load(text, &[("MHOST_AUTONOMY", "Autonomous")]).unwrap();
    assert_eq!(config.daemon.log_level, LogLevel::Debug);
    assert_eq!(config.agent.autonomy, AutonomyLimit::Autonomous);
    assert_eq!(config.agent.poll_interval, Duration::from_secs(1));
    assert_eq!(config.agent.bounds.max_instances, Some(8));
    let playbook = &config.brain.playbooks["cpu-spike"];
    assert_eq!(playbook.cooldown, Some(Duration::from_secs(60)));
    assert_eq!(playbook.params["pct"], 80.0);
    assert_eq!(config.logs.raw_max_size, ByteSize::mib(1));
}

#[test]
fn an_address_and_a_path_look_like_one() {
    let good = "[metrics]\nenabled = true\nbind = \"::\"\npath = \"/a/b-c\"\nhistory = \"3d\"\ninterval = \"2s\"\n";
    let config = load(good, &[]).unwrap();
    assert_eq!(config.metrics.history, Duration::from_secs(3 * 24 * 3_600));
    assert_eq!(config.metrics.interval, Duration::from_secs(2));
    let bad = "[metrics]\nbind = \"localhost\"\nport = 0\npath = \"metrics\"\ninterval = \"2m\"\n";
    let lines: Vec<usize> = load(bad, &[]).unwrap_err().iter().map(|p| p.0).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
}

#[test]
fn the_chain_names_brains_that_exist() {
    let brains = |text: &str| {
        let problems = load(text, &[]).unwrap_err().into_iter();
        problems
            .map(|(_, message)| message)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert!(brains("[brain]\nchain = [\"model\", \"causes\"]").contains("asked last"));
    assert!(brains("[brain]\nchain = [\"mine\"]").contains("no brain"));
    assert!(brains("[brain]\nchain = [\"memory\", \"memory\"]").contains("twice"));
    assert!(brains("[brain.external.mine]\ntimeout = \"1s\"").contains("one of the two"));
    let both = "[brain.external.mine]\ncommand = [\"x\"]\nurl = \"http://x\"";
    assert!(brains(both).contains("one of the two"));
    let well = "[brain]\nchain = [\"mine\"]\n[brain.external.mine]\nurl = \"http://x/\"";
    assert_eq!(load(well, &[]).unwrap().brain.chain, ["mine"]);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "[daemon]\nlog_levle = 1\nshutdown_timeout = 5\n[agent]\nautonomy = \"full\"\nbounds = { max_memory_factor = 0.5 }\nquiet_hours = \"night\"\n[dashboard]\nport = 1\n";
    let lines: Vec<usize> = load(text, &[]).unwrap_err().iter().map(|p| p.0).collect();
    assert_eq!(lines, [2, 3, 5, 6, 7, 8]);
    let error = load("", &[("MHOST_AUTONOMY", "max")]).unwrap_err();
    assert_eq!(error[0].1, "MHOST_AUTONOMY cannot be `max`");
}

#[test]
fn every_secret_of_the_settings_is_known() {
    let config = load(
        r#"
        [ai]
        provider = "groq"
        api_key = "${KEY}"
        fallback = ["ollama"]
        [ai.providers.ollama]
        api_key = "key-of-ollama"
        base_url = "https://me:pass-of-proxy@models.example/v1"
        [sinks.graylog]
        type = "gelf"
        transport = "http"
        url = "https://logs.example/gelf"
        headers = { "X-Key" = "key-of-graylog" }
        [brain]
        chain = ["playbooks", "mine"]
        [brain.external.mine]
        url = "https://me:pass-of-brain@brain.example"
        "#,
        &[("KEY", "key-of-groq")],
    )
    .unwrap();
    let mut known: Vec<String> = config
        .secrets()
        .iter()
        .map(|secret| secret.expose().to_owned())
        .collect();
    known.sort();
    let wanted = [
        "key-of-graylog",
        "key-of-groq",
        "key-of-ollama",
        "pass-of-brain",
        "pass-of-proxy",
    ];
    assert_eq!(known, wanted);
}
