//! A certificate that it checks is expired or not trusted.
//!
//! Looks for verification errors of TLS libraries. Whose certificate it is, the address in the
//! message says. Restarting does not renew it, and the check is never switched off.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "tls-expired",
    title: "a certificate is expired or not trusted",
    look,
    examples: &[Example {
        scene: r#"
            lines = [
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
                "WARN fetch failed: x509: certificate has expired or is not yet valid: current time is after 2024-01-01",
            ]
        "#,
        says: &["certificate", "expired"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("certificate")?;
    let both = format!("{}\n{}", said.line.text, said.all).to_lowercase();
    let expired = both.contains("expired")
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
    let upstream = scene
        .reach
        .iter()
        .find(|one| one.port > 0)
        .map(|one| format!("{}:{}", one.host, one.port))
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
    let found = Found::new(format!(
        "The TLS certificate of {whose} {what}, so `{}` refuses to talk to it. {}{} A restart does not renew a certificate.",
        scene.name, quote(&said), again(&said),
    ))
    .line(said.weight().max(0.6), &said.line)
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
