//! A certificate that it checks is expired or not trusted.
//!
//! Looks for verification errors of TLS libraries. Whose certificate it is, the address in the
//! message says; proof is the date in the certificate itself, where it can be read. Restarting does not renew it, and the check is never switched off.

use jiff::Timestamp;

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "tls-expired",
    title: "a certificate is expired or not trusted",
    look,
    examples: &[
        Example {
            scene: r#"
            probed = true
            probe_failures = 2
            lines = [
                "poll of hub.example:8443 failed: unable to get local issuer certificate",
                "poll of hub.example:8443 failed: unable to get local issuer certificate",
            ]
            reach = [{ host = "hub.example", port = 8443, answer = "open" }]
            certificates = [{ of = "hub.example:8443", not_before = "1969-01-01T00:00:00Z", not_after = "1969-12-01T00:00:00Z" }]
        "#,
            says: &["hub.example:8443", "expired", "1969-12-01"],
        },
        Example {
            scene: r#"
            lines = [
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
            ]
        "#,
            says: &["certificate", "expired"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("certificate")?;
    let both = format!("{}\n{}", said.line.text, said.all).to_lowercase();
    // The date in the certificate, in the light of the clock of this machine.
    let dated = scene
        .certificates
        .iter()
        .find_map(|one| {
            if one.not_after < scene.now {
                Some((one, format!("it ran out on {}", day(one.not_after)), true))
            } else if one.not_before > scene.now {
                Some((
                    one,
                    format!("it is valid from {} on", day(one.not_before)),
                    true,
                ))
            } else {
                None
            }
        })
        .or_else(|| {
            let one = scene.certificates.first()?;
            Some((
                one,
                format!("it is valid until {}", day(one.not_after)),
                false,
            ))
        });
    let over = dated.as_ref().is_some_and(|(_, _, over)| *over);
    let expired = over
        || both.contains("expired")
        || both.contains("validity check failed")
        || both.contains("no longer valid")
        || both.contains("not yet valid");
    let own_name = both.contains("self-signed")
        || both.contains("self signed")
        || both.contains("unable to get local issuer")
        || both.contains("unknown authority");
    let what = if expired {
        "is expired (no longer valid)"
    } else if own_name {
        "is not trusted (self-signed, or its issuer is unknown)"
    } else {
        "fails its check"
    };
    let upstream = dated
        .as_ref()
        .map(|(one, ..)| one.of.clone())
        .or_else(|| {
            scene
                .reach
                .iter()
                .find(|one| one.port > 0)
                .map(|one| format!("{}:{}", one.host, one.port))
        })
        .or_else(|| {
            text::addresses(&said.all)
                .into_iter()
                .next()
                .map(|(host, port)| format!("{host}:{port}"))
        });
    let whose = upstream.as_ref().map_or_else(
        || "the upstream server it calls".to_owned(),
        |address| format!("the upstream {address}"),
    );
    let date = dated.as_ref().map_or_else(String::new, |(one, words, _)| {
        format!(" Read from {}: {words}.", one.of)
    });
    let found = Found::new(format!(
        "The TLS certificate of {whose} {what}, so `{}` refuses to talk to it.{date} {}{} A restart does not renew a certificate.",
        scene.name, quote(&said), again(&said),
    ))
    .line(said.weight().max(0.6), &said.line)
    .proof_if(
        over,
        0.8,
        dated.as_ref().map_or_else(String::new, |(one, ..)| format!("certificate:{}", one.of)),
        date.trim().to_owned(),
    )
    .proof_if(expired && said.times >= 2, 0.5, said.line.id.clone(), format!("{} times in {}", said.times, span(said.since_s)))
    .proof_if(!scene.probe_error.is_empty(), 0.2, format!("probe:{}", scene.name), scene.probe_error.clone())
    .against(!said.deadly && said.line.age_s > 30.0, 0.6, "it has not complained for a while")
    .against(said.line.was_handled(), 0.6, "it says itself that it was dealt with");
    Some(
        tell_if_lasting(found, scene, &said)
            .person(format!(
                "renew the certificate of {whose}; never switch the check off"
            ))
            .advise(
                "wait",
                "it is left running and recovers once the certificate is renewed",
            ),
    )
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
