//! An environment variable that it requires is not set.
//!
//! Looks for the ways languages say so. Proof: neither its definition nor its env files set
//! it. Against: they do, or it is well. A value is never guessed.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "missing-env",
    title: "an environment variable is missing",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                env_keys = ["PORT"]
                [[deaths]]
                code = 1
                same = 4
                error = "KeyError: 'STRIPE_KEY'"
            "#,
            says: &["STRIPE_KEY", "not set"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                error = "run.sh: line 4: QUEUE_URL: unbound variable"
            "#,
            says: &["QUEUE_URL"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("environment")?;
    let is_set = |name: &String| {
        let mut files = scene.env_files.iter();
        scene.env_keys.contains(name)
            || files.any(|file| file.values.iter().any(|(key, _)| key == name))
    };
    // A text may name several; those that are set are not it.
    let mut names = text::variables(&said.line.text);
    if names.is_empty() {
        names = text::variables(&said.all);
    }
    if names.is_empty()
        && let Some(dead) = scene.death()
    {
        let mut source = std::iter::once(&dead.source).chain(&dead.before);
        names.extend(source.find_map(|line| text::read_variable(line)));
    }
    let set = !names.is_empty() && names.iter().all(is_set);
    if !set {
        names.retain(|name| !is_set(name));
    }
    let name = match &names[..] {
        [] => "that it names".to_owned(),
        names => names.join(", "),
    };
    let no_file = scene.env_files.iter().find(|file| !file.exists);
    let file = no_file.map_or_else(String::new, |file| {
        format!(" Its env file {} does not exist.", file.path)
    });
    let found = Found::new(format!(
        "`{}` needs the environment variable {name}, which is missing (not set): neither its definition nor an env file sets it.{file} {}{}",
        scene.name,
        quote(&said),
        again(&said),
    ))
    .line(said.weight(), &said.line)
    .against(names.is_empty(), 0.3, "which one it is cannot be told")
    .proof_if(!set && !names.is_empty(), 0.5, scene.fact("env"), format!("{name} is not in its definition"))
    .proof_if(no_file.is_some(), 0.4, scene.fact("env_file"), file.trim().to_owned())
    .against(set, 0.5, format!("{name} is set; its value may be empty or wrong"))
    .unless_well(scene);
    Some(
        hold_if_looping(
            found,
            scene,
            &said,
            &format!("the variable {name} is not set"),
        )
        .person(format!(
            "set it: {name} under [process.{}.env], or in its env file",
            scene.name
        )),
    )
}
