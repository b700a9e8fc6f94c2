//! One input kills it, and it takes that input again after each start.
//!
//! Looks for deaths by an exception where the last output names the same item each time. Items
//! behind it wait. A machine does not move anybody's data.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "poison-input",
    title: "one input kills it each time",
    look,
    examples: &[Example {
        scene: r#"
            state = "errored"
            online = 0
            [[deaths]]
            code = 1
            same = 1
            error = "ZeroDivisionError: division by zero"
            output = "handling inbox/batch-17.csv"
            [[deaths]]
            code = 1
            same = 2
            error = "ZeroDivisionError: division by zero"
            output = "handling inbox/batch-17.csv"
        "#,
        says: &["poison", "inbox/batch-17.csv", "ZeroDivisionError"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene.death().filter(|dead| {
        matches!(dead.kind, "exception" | "parse" | "unknown") && dead.signal != Some(15)
    })?;
    let items = |dead: &Dead| -> Vec<String> {
        let mut all = text::items(&dead.output);
        all.extend(
            dead.told()
                .into_iter()
                .flat_map(text::items)
                .filter(|item| item.contains('/')),
        );
        all
    };
    let own = items(dead);
    let item = own.first()?.clone();
    let before: Vec<&Dead> = scene.deaths.iter().rev().skip(1).take(5).collect();
    let same = before
        .iter()
        .filter(|other| items(other).contains(&item))
        .count();
    let other = before.len() - same;
    let times = same + 1;
    let found = Found::new(format!(
        "`{}` dies on one input, `{item}`: a poison message. After each start it takes the same input and crashes again ({times} times now): `{}`{}. What waits behind it is not worked on.",
        scene.name, quotable(&dead.error), at(dead),
    ))
    .proof(0.4, dead.error_id.clone(), dead.error.clone())
    .proof(0.2, dead.output_id.clone(), dead.output.clone())
    .proof_if(same >= 1, 0.75, dead.output_id.clone(), format!("{times} deaths in a row while it worked on {item}"))
    .proof_if(same >= 2, 0.5, dead.id.clone(), "each time the same")
    .against(same == 0, 0.3, "it died on it only once")
    .against(other > 0 && same == 0, 0.7, "it died on other inputs before")
    .unless_well(scene);
    let said = Said {
        line: Line {
            text: dead.error.clone(),
            ..Line::default()
        },
        times,
        since_s: 0.0,
        deadly: true,
        all: String::new(),
    };
    Some(
        hold_if_looping(found, scene, &said, &format!("it dies on {item} each time")).person(
            format!(
                "set {item} aside and look at it, then: mhost start {}",
                scene.name
            ),
        ),
    )
}
