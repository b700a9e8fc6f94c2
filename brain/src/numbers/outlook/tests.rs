//! Cases whose end is known, and the edges of each sign.

use super::*;

/// Cases whose end is known: what was seen, and whether something happened within the hour.
fn cases() -> Vec<(&'static str, Signs, bool)> {
    let mb = 1_048_576.0;
    vec![
        (
            "a healthy server",
            Signs {
                score: Some(100.0),
                ..Signs::default()
            },
            false,
        ),
        (
            "one crash, fifty minutes ago",
            Signs {
                score: Some(99.0),
                score_per_hour: -1.0,
                crashes: 1,
                ..Signs::default()
            },
            false,
        ),
        (
            "the crash loop of the demo: five deaths in two seconds",
            Signs {
                score: Some(40.0),
                score_per_hour: -60.0,
                crashes: 5,
                crash_every_s: Some(0.5),
                ..Signs::default()
            },
            true,
        ),
        (
            "the leak of the demo: 8 MB a second, 10 MB to go",
            Signs {
                score: Some(85.0),
                rss_bytes: Some(54.0 * mb),
                limit_bytes: Some(64.0 * mb),
                growth_bytes_per_s: Some(8.0 * mb),
                to_limit_s: Some(1.3),
                ..Signs::default()
            },
            true,
        ),
        (
            "a slow leak, forty minutes to its limit",
            Signs {
                score: Some(93.0),
                score_per_hour: -7.0,
                rss_bytes: Some(400.0 * mb),
                limit_bytes: Some(512.0 * mb),
                growth_bytes_per_s: Some(112.0 * mb / 2_400.0),
                to_limit_s: Some(2_400.0),
                ..Signs::default()
            },
            true,
        ),
        (
            "a leak that needs nine hours",
            Signs {
                score: Some(97.0),
                rss_bytes: Some(200.0 * mb),
                limit_bytes: Some(512.0 * mb),
                growth_bytes_per_s: Some(312.0 * mb / 32_400.0),
                to_limit_s: Some(32_400.0),
                ..Signs::default()
            },
            false,
        ),
        (
            "probes that take twice as long under load",
            Signs {
                score: Some(95.0),
                latency_growth: Some(1.0),
                ..Signs::default()
            },
            false,
        ),
        (
            "probes four times as slow, and two crashes",
            Signs {
                score: Some(62.0),
                score_per_hour: -25.0,
                crashes: 2,
                crash_every_s: Some(900.0),
                latency_growth: Some(3.0),
                ..Signs::default()
            },
            true,
        ),
        (
            "the frozen server of the demo",
            Signs {
                score: Some(35.0),
                score_per_hour: -65.0,
                probe_failing: true,
                ..Signs::default()
            },
            true,
        ),
        (
            "a disk with 0.4 % left, and growing memory",
            Signs {
                score: Some(90.0),
                score_per_hour: -10.0,
                disk_free_percent: Some(0.4),
                disk_free_bytes: Some(100e6),
                disk: Some("/var".into()),
                ..Signs::default()
            },
            true,
        ),
        (
            "a disk at 4 %",
            Signs {
                score: Some(100.0),
                disk_free_percent: Some(4.0),
                disk_free_bytes: Some(1e9),
                ..Signs::default()
            },
            false,
        ),
    ]
}

#[test]
fn the_weights_fit_the_cases() {
    for (name, signs, happened) in cases() {
        let found = outlook(&signs);
        assert_eq!(found.risk >= 0.5, happened, "{name}: {found:?}");
        assert_eq!(found.level == "high", happened, "{name}: {found:?}");
    }
}

#[test]
fn more_of_a_sign_never_lowers_the_risk() {
    for (name, signs, _) in cases() {
        let risk = outlook(&signs).risk;
        let worse = [
            Signs {
                crashes: signs.crashes + 3,
                ..signs.clone()
            },
            Signs {
                probe_failing: true,
                ..signs.clone()
            },
            Signs {
                score_per_hour: signs.score_per_hour - 20.0,
                ..signs.clone()
            },
            Signs {
                disk_free_percent: Some(0.1),
                disk_free_bytes: Some(1e6),
                ..signs.clone()
            },
        ];
        for one in worse {
            assert!(outlook(&one).risk >= risk, "{name}");
        }
    }
}

#[test]
fn the_weightiest_reason_stands_first_and_the_time_is_the_nearest() {
    let signs = Signs {
        crashes: 1,
        rss_bytes: Some(9e8),
        limit_bytes: Some(1e9),
        growth_bytes_per_s: Some(1e5),
        to_limit_s: Some(1_000.0),
        ..Signs::default()
    };
    let found = outlook(&signs);
    assert!(
        found.reasons[0].contains("at its limit in 16m 40s"),
        "{found:?}"
    );
    assert_eq!(found.in_next_s, 1_000.0);
    let down = outlook(&Signs {
        down: Some("errored (held)".into()),
        ..Signs::default()
    });
    assert_eq!((down.risk, down.in_next_s), (1.0, 0.0));
    let quiet = outlook(&Signs::default());
    assert_eq!(quiet.reasons, ["nothing points to trouble"]);
}

#[test]
fn only_the_newest_life_of_a_copy_has_a_trend() {
    let sample = |second: i64, instance: u16, mb: u64| Sample {
        at: Timestamp::from_second(second).unwrap(),
        instance,
        cpu_percent: 1.0,
        rss_bytes: mb << 20,
        fds: 1,
        threads: 1,
        processes: 1,
        zombies: 0,
    };
    let mut samples: Vec<Sample> = (0..30)
        .map(|n| sample(n * 5, 0, 100 + n as u64 * 10))
        .collect();
    samples.extend((30..60).map(|n| sample(n * 5, 0, 100 + (n - 30) as u64)));
    samples.extend((0..60).map(|n| sample(n * 5, 1, 300)));
    let mut signs = Signs {
        limit_bytes: Some(200.0 * 1_048_576.0),
        ..Signs::default()
    };
    memory(&mut signs, &samples);
    // 1 MB in 5 s since its restart, 71 MB to go; the other copy does not grow.
    let left = signs.to_limit_s.unwrap();
    assert!((left - 355.0).abs() < 5.0, "{left}");
}
