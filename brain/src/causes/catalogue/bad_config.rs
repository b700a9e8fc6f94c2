//! A file that people write cannot be parsed.
//!
//! Looks for parse errors of the usual formats. Proof: a file in its folder that is no valid
//! JSON or TOML although its name says so. Against: the broken file is one that the program
//! writes itself (see `corrupt-cache`). It is somebody's edit and is not touched.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "bad-config",
    title: "a configuration file cannot be parsed",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 3
                error = "SyntaxError: Unexpected token } in JSON at position 40"
                [[broken]]
                path = "config/app.json"
                format = "JSON"
                error = "trailing comma at line 4 column 1"
                written_s = 500.0
            "#,
            says: &["config/app.json", "syntax", "line 4"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 2
                error = "yaml.scanner.ScannerError: mapping values are not allowed here in \"deploy.yaml\", line 7, column 9"
            "#,
            says: &["deploy.yaml", "syntax"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("parse")?;
    let broken = scene.broken.iter().find(|file| !is_state(&file.path));
    let named = [said.line.text.as_str(), said.all.as_str()]
        .into_iter()
        .flat_map(|words| text::paths(words).into_iter().chain(text::quoted(words)))
        .chain(scene.death().into_iter().flat_map(Dead::sources))
        .find(|path| is_config(path));
    let path = broken.map(|file| file.path.clone()).or(named);
    let shown = path.clone().map_or_else(
        || "a configuration file".to_owned(),
        |path| format!("the configuration file `{path}`"),
    );
    let fault = broken.map_or_else(String::new, |file| {
        format!(" The {} in it is invalid: {}.", file.format, file.error)
    });
    let state_only = broken.is_none() && scene.broken.iter().any(|file| is_state(&file.path));
    let names_state = broken.is_none()
        && path.is_none()
        && text::paths(&said.all).iter().any(|path| is_state(path));
    let place = scene.death().map_or_else(String::new, at);
    let found = Found::new(format!(
        "`{}` cannot parse {shown}: syntax error.{fault} {}{place}{}",
        scene.name,
        quote(&said),
        again(&said),
    ))
    .line(said.weight() * 0.85, &said.line)
    .proof_if(
        broken.is_some(),
        0.7,
        format!("file:{}", path.clone().unwrap_or_default()),
        fault.trim().to_owned(),
    )
    .proof_if(
        path.is_some() && broken.is_none(),
        0.3,
        said.line.id.clone(),
        shown.clone(),
    )
    .against(
        state_only || names_state,
        0.7,
        "the broken file is one that the program writes itself",
    )
    .unless_well(scene);
    let edited = broken.map_or_else(String::new, |file| {
        format!(" It was last written {} ago.", span(file.written_s))
    });
    Some(
        hold_if_looping(found, scene, &said, &format!("{shown} cannot be parsed")).person(format!(
            "correct {shown}; it is not changed by a machine.{edited}"
        )),
    )
}

fn is_config(path: &str) -> bool {
    const ENDINGS: [&str; 10] = [
        ".json",
        ".jsonc",
        ".toml",
        ".yaml",
        ".yml",
        ".ini",
        ".conf",
        ".cfg",
        ".xml",
        ".properties",
    ];
    ENDINGS.iter().any(|ending| path.ends_with(ending))
        && !is_state(path)
        && !path.contains("node_modules")
}
