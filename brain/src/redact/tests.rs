//! Every format has an example that must be found, and what is no secret must pass.

use supervisor::secret::Secret;

use super::*;

fn plain() -> Redactor {
    Redactor::new([], RedactOptions::default())
}

#[test]
fn every_format_finds_its_example() {
    let redactor = plain();
    let mut wrong = Vec::new();
    for format in FORMATS.iter() {
        let text = format!("before {} after", format.example);
        let hidden = redactor.with(Marks::default()).redact(&text);
        let mark = format!("{OPEN}{}#", format.kind);
        if !hidden.contains(&mark) || hidden.matches(OPEN).count() != 1 {
            wrong.push(format!("{}: {hidden}", format.kind));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kinds: std::collections::BTreeSet<&str> = FORMATS.iter().map(|one| one.kind).collect();
    assert!(kinds.len() >= 40, "{} kinds", kinds.len());
}

#[test]
fn the_same_secret_has_the_same_number_and_is_marked_once() {
    let redactor = Redactor::new(
        ["hunter22-of-ana", "p\"w/d & more"].map(Secret::from),
        RedactOptions::default(),
    );
    let key = ["AKI", "AIOSFODNN7EXAMPLE"].concat();
    let text = format!("key {key}, pass hunter22-of-ana; again {key} and hunter22-of-ana");
    let hidden = redactor.redact(&text);
    assert_eq!(
        hidden,
        "key «redacted:aws-key#1», pass «redacted:secret#2»; again «redacted:aws-key#1» and «redacted:secret#2»"
    );
    assert_eq!(redactor.redact(&hidden), hidden);
    for text in [
        "{\"x\":\"p\\\"w/d & more\"}",
        "x=p%22w%2Fd%20%26%20more",
        "x=p%22w%2fd+%26+more",
        "x=cCJ3L2QgJiBtb3Jl",
        "Y3JlZHM6aHVudGVyMjItb2YtYW5hIQ",
        "'hunter22''-of-ana'",
        "\"hunter22\" + \"-of-ana\"",
        "68756e74657232322d6f662d616e61",
    ] {
        let hidden = redactor.redact(text);
        assert!(hidden.contains("«redacted:secret#"), "{text}: {hidden}");
        assert!(
            !hidden.contains("hunter") && !hidden.contains("of-ana"),
            "{hidden}"
        );
        assert_eq!(redactor.redact(&hidden), hidden);
    }
}

#[test]
fn what_is_no_secret_passes() {
    let redactor = plain();
    for text in [
        "SyntaxError: Unexpected token } in JSON at position 17",
        "token expired; password incorrect; secret not found",
        "password: incorrect",
        "max_tokens=4096 prompt_tokens=1200",
        "commit 3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a by ana",
        "job 6f1c2b1e-8f0f-4b3f-9a51-0f4f5f6f7f8f failed",
        "at Object.<anonymous> (/srv/app/node_modules/express/lib/router/index.js:284:15)",
        "GET http://127.0.0.1:8080/api/v1/users?page=2&limit=100 200 12ms",
        "bearer authentication failed",
        "basic authentication is off",
        "postgres://db.internal:5432/app",
        "java.lang.IllegalStateException: Failed to load ApplicationContext",
        "DB_PASSWORD=*** API_KEY=***",
        "sha256:3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn addresses_go_when_asked_to() {
    let all = Redactor::new(
        [],
        RedactOptions {
            email: true,
            ipv4: true,
            ..RedactOptions::default()
        },
    );
    let text = "ana@example.com from 203.0.113.7 to 127.0.0.1, v1.2.3";
    assert_eq!(
        all.redact(text),
        "«redacted:email#1» from «redacted:ipv4#2» to 127.0.0.1, v1.2.3"
    );
    assert_eq!(plain().redact(text), text);
}

#[test]
fn a_mark_that_somebody_wrote_hides_nothing() {
    let redactor = Redactor::new([Secret::from("hunter22")], RedactOptions::default());
    let hidden = redactor.redact(
        "«redacted:hunter22» «redacted:secret#hunter22» password=«redacted:secret#1»x9Y8z7",
    );
    assert!(!hidden.contains("hunter22"), "{hidden}");
}

#[test]
fn values_of_json_go_by_their_names() {
    let mut value = serde_json::json!({"db_password": "plainword", "port": 80, "deep": [{"api_key": "abcdefg"}],
        "token": {"type": "string"}});
    plain().redact_json(&mut value);
    let text = value.to_string();
    assert!(
        !text.contains("plainword") && !text.contains("abcdefg"),
        "{text}"
    );
    assert!(text.contains("\"string\""), "{text}");
}

#[test]
fn the_next_conversation_shares_the_rules_and_has_its_own_numbers() {
    let known = || [Secret::from("hunter22"), Secret::from("sunflower-7")];
    let first = Redactor::new(known(), RedactOptions::default());
    assert_eq!(
        first.redact("hunter22 sunflower-7"),
        "«redacted:secret#1» «redacted:secret#2»"
    );
    let second = first.next(known(), RedactOptions::default());
    assert!(
        Arc::ptr_eq(&first.rules, &second.rules),
        "they are built once"
    );
    assert_eq!(second.redact("sunflower-7"), "«redacted:secret#1»");
    let more = known().into_iter().chain([Secret::from("tulip-of-1637")]);
    let third = second.next(more, RedactOptions::default());
    assert_eq!(third.redact("tulip-of-1637"), "«redacted:secret#1»");
}

/// A log that is written to be slow: each name begins a value that goes on to the end.
#[test]
fn a_value_without_an_end_is_one_find_and_not_one_for_each_name_in_it() {
    for evil in ["token:a.", "cookie: a; ", "-sk-aaaa", "password=x_"] {
        let text = evil.repeat(4_000);
        let redactor = plain();
        let mut found = Vec::new();
        redactor.scan(&text, true, &mut found);
        assert!(!found.is_empty(), "{evil}");
        assert!(found.len() <= 8, "{evil}: {} finds", found.len());
        assert!(redactor.redact(&text).len() < 200, "{evil}");
    }
}

#[test]
fn marks_without_an_end_hide_nothing() {
    let text = format!("{} {} hunter22 {CLOSE}", OPEN.repeat(3), "x ".repeat(60));
    let redactor = Redactor::new([Secret::from("hunter22")], RedactOptions::default());
    assert!(!redactor.redact(&text).contains("hunter22"));
}

/// Texts are cut before they get here: half a secret is one.
#[test]
fn a_known_value_is_found_in_a_text_that_was_made_harmless() {
    let known = ["blue<|moon river bank", "one ⟦two⟧  three"].map(Secret::from);
    let redactor = Redactor::new(known, RedactOptions::default());
    for text in [
        "key blue< |moon river bank",
        "key one [two]  three",
        "key one [two] three",
    ] {
        let hidden = redactor.redact(text);
        assert_eq!(
            hidden.split_once(OPEN).map(|all| all.0),
            Some("key "),
            "{hidden}"
        );
    }
}

#[test]
fn the_beginning_of_a_known_value_goes_where_a_text_was_cut() {
    let known = [Secret::from("sunflower-and-tulip")];
    let redactor = Redactor::new(known, RedactOptions::default());
    for cut in [
        "key sunflower-and…",
        "key sunflower-an",
        "key sunflower …",
        "key sunflower-and\nmore",
        "key sunflower\n(cut)\nmore",
    ] {
        let hidden = redactor.redact(cut);
        assert!(
            !hidden.contains("sunflow") && hidden.contains(OPEN),
            "{hidden}"
        );
    }
    for other in ["sunflower seeds", "Sunflower…", "sunflower-and-more…"] {
        assert_eq!(redactor.redact(other), other);
    }
}

/// The word that tells of a secret may stand anywhere in a name, as for `mhost env`.
#[test]
fn a_name_tells_of_a_secret_wherever_its_word_stands() {
    let redactor = plain();
    for (line, secret) in [
        ("SECRET_KEY_BASE=SwordFishMelon", "SwordFishMelon"),
        ("STRIPE_KEY=swordfishmelon", "swordfishmelon"),
        ("DB_PASSWORD_PROD=swordfish", "swordfish"),
        ("TOKEN_SIGNING=swordfish-melon", "swordfish-melon"),
        ("PASSWD_ADMIN=\"sword fish melon\"", "sword fish melon"),
        ("ENCRYPTION_KEY_V2='swordfish'", "swordfish"),
        ("CREDENTIALS_JSON=swordfish", "swordfish"),
        ("SECRET_FROM_FILE=swordfish", "swordfish"),
        ("password-prod: swordfish", "swordfish"),
        ("DB_PASSWORD_PROD: swordfish", "swordfish"),
        ("{\"DB_PASSWORD_PROD\":\"swordfish\",\"a\":1}", "swordfish"),
        ("{\\\"SECRET_KEY_BASE\\\":\\\"swordfish\\\"}", "swordfish"),
        ("secret_key_base = \"swordfish\"", "swordfish"),
        ("passwordProd='swordfish'", "swordfish"),
        ("token.signing=swordfish7", "swordfish7"),
        ("api_key_prod=swordfish7", "swordfish7"),
        ("stripe_key: 'swordfish7melon99x'", "swordfish7melon99x"),
        ("export MY_DSN_EU=swordfish; run", "swordfish"),
    ] {
        let line = format!("before {line} after");
        let hidden = redactor.redact(&line);
        assert!(
            !hidden.contains(secret) && hidden.contains(OPEN),
            "{line}: {hidden}"
        );
        assert_eq!(redactor.redact(&hidden), hidden);
    }
}

/// Names with such a word of which everybody may know the value.
#[test]
fn a_name_that_tells_of_something_else_hides_nothing() {
    let redactor = plain();
    for text in [
        "token_type=bearer, token_count=123456 token-ttl: 3600",
        "max_tokens=4096 MAX_TOKENS=4096 TOKEN_TTL=15m",
        "keyspace=users primary_key=order_id sort_key=created_at cache_key=users:12:profile",
        "idempotency_key=6f1c2b1e-8f0f-4b3f-9a51-0f4f5f6f7f8f",
        "partition_key=customer-00000012345 lock_key=job1234567890abcdef",
        "secret_name=my-app-tls token_endpoint=https://id.example/oauth/token",
        "password_reset: sent, password_policy=strong12",
        "token-service: listening on 8080",
        "secret-store: connected",
        "ERR_INVALID_TOKEN: signature of it",
        "JWT_TOKEN_EXPIRED: please",
        "INVALID_PASSWORD: please try again",
        "SECRET_KEY_BASE=*** STRIPE_KEY=${STRIPE_KEY} TOKEN_SIGNING=<redacted>",
        "SECRET_KEY_BASE is missing; STRIPE_KEY: required",
        "unexpected token: expected `}`",
        "FOREIGN KEY constraint failed: orders.user_id",
        "key: value, key=abc",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn secrets_of_commands_and_addresses_are_found() {
    let redactor = plain();
    for (line, secret) in [
        ("curl -s -u ana:swordfish https://db.example/", "swordfish"),
        (
            "curl --user 'ana:sword7fish' https://db.example/",
            "sword7fish",
        ),
        ("mysql -h db -pSwordFish orders", "SwordFish"),
        ("mysqldump -u root -p'SwordFish' orders", "SwordFish"),
        ("GET /hook?id=4&sig=a8f5k2j9m4n7 200", "a8f5k2j9m4n7"),
        (
            "hash $2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW of ana",
            "EixZaYVK1fsbw1ZfbX3OX",
        ),
    ] {
        let hidden = redactor.redact(line);
        assert!(!hidden.contains(secret), "{hidden}");
    }
    for text in [
        "docker run -u 1000:1000 image",
        "curl -s -X POST https://db.example:8080/",
        "mysql -u root -p orders",
        "mysql --protocol=tcp --port 3306",
        "GET /list?sig=name&page=2",
        "$2 is more than $6 and $5",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn a_known_value_is_found_in_large_letters_and_between_colours() {
    let known = [Secret::from("correct-horse-battery")];
    let redactor = Redactor::new(known, RedactOptions::default());
    for text in [
        "CORRECT-HORSE-BATTERY",
        "corr\u{1b}[31mect-horse\u{1b}[0m-battery",
    ] {
        let hidden = redactor.redact(text);
        assert_eq!(hidden, "«redacted:secret#1»");
    }
    assert!(redactor.redact("Correct-Horse-battery").contains("Horse"));
}

#[test]
fn what_a_pattern_has_left_of_a_token_is_hidden() {
    for text in [
        "npm_abcdefghijklmnopqrstuvwxyzABCDEFGH<n>x",
        "glpat-abcdefghij<*>",
        "AIzaSyD-<*>",
        "ghp_AbCdEfGh<*>",
    ] {
        let hidden = hide_shapes(&format!("key {text}, denied"));
        assert_eq!(hidden, "key «redacted:token», denied");
        assert_eq!(hide_shapes(&hidden), hidden);
    }
    let plain = "user <*> of <n> logged in from node-<*>:<*>";
    assert_eq!(hide_shapes(plain), plain);
}
