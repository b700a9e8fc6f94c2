//! A host name cannot be resolved.
//!
//! Looks for resolver errors. Proof: the name has no address now either. Restarting does not
//! change a name, so it is left alone and a person is told.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "dns-failure",
    title: "a host name cannot be resolved",
    look,
    examples: &[
        Example {
            scene: r#"
                probed = true
                probe_failures = 2
                lines = [
                    "Error: getaddrinfo ENOTFOUND mail.internal",
                    "Error: getaddrinfo ENOTFOUND mail.internal",
                ]
                [[reach]]
                host = "mail.internal"
                answer = "unresolved"
            "#,
            says: &["mail.internal", "resolve", "DNS"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                error = "psycopg2.OperationalError: could not translate host name \"pg-main\" to address: Name or service not known"
            "#,
            says: &["pg-main"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("dns")?;
    let host = text::host(&said.line.text).or_else(|| text::host(&said.all));
    let shown = host.clone().unwrap_or_else(|| "it needs".to_owned());
    let tried = scene
        .reach
        .iter()
        .find(|one| Some(&one.host) == host.as_ref());
    let unresolved = tried.is_some_and(|one| one.answer == "unresolved");
    let resolved = tried.is_some_and(|one| !one.answer.is_empty() && one.answer != "unresolved");
    let now = if unresolved {
        " It has no address now either, asked from here."
    } else if resolved {
        " By now it has an address."
    } else {
        ""
    };
    let found = Found::new(format!(
        "`{}` cannot resolve the host name `{shown}` (DNS): name resolution fails, outside of the processes here.{now} {}{}",
        scene.name, quote(&said), again(&said),
    ))
    .line(said.weight(), &said.line)
    .proof_if(unresolved, 0.7, format!("dns:{shown}"), format!("{shown} does not resolve"))
    .against(resolved, 0.5, format!("{shown} resolves now"))
    .against(!said.deadly && said.line.age_s > FRESH_S, 0.6, "it has not complained for a while");
    let found = if unresolved {
        found
    } else {
        found.unless_well(scene)
    };
    Some(
        tell_if_lasting(found, scene, &said)
            .advise(
                "wait",
                "it is left running: a restart does not change a name",
            )
            .person(format!(
                "correct the name `{shown}`, or the resolver of this host"
            )),
    )
}
