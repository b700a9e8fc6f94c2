//! A file that the program writes itself is cut off or damaged.
//!
//! Looks for parse and checksum errors. Proof: a broken file whose place or name says that it
//! is written by programs (cache, index, state), or that was written since the last good
//! start, or that ends in the middle. A machine does not know what may be thrown away.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "corrupt-cache",
    title: "a cache or state file is corrupt",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 2
                error = "json.decoder.JSONDecodeError: Expecting value: line 1 column 9 (char 8)"
                [[broken]]
                path = "var/state/offsets.json"
                format = "JSON"
                error = "EOF while parsing a list at line 1 column 18"
                cut_off = true
                written_s = 20.0
            "#,
            says: &["var/state/offsets.json", "corrupt", "cut off"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 2
                error = "sqlite3.DatabaseError: database disk image is malformed: cache/search.db"
            "#,
            says: &["cache/search.db", "corrupt"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("parse")?;
    let broken = scene
        .broken
        .iter()
        .max_by_key(|file| (is_state(&file.path), file.cut_off));
    let named = text::paths(&said.all)
        .into_iter()
        .chain(text::paths(&said.line.text))
        .chain(scene.death().into_iter().flat_map(Dead::sources))
        .find(|path| is_state(path));
    let path = broken.map(|file| file.path.clone()).or(named)?;
    let state = is_state(&path);
    let cut_off = broken.is_some_and(|file| file.cut_off);
    let how = match broken {
        Some(file) if file.cut_off => {
            format!(" It is cut off (truncated, half written): {}.", file.error)
        }
        Some(file) => format!(" Its {} is invalid: {}.", file.format, file.error),
        None => String::new(),
    };
    let fresh = broken.is_some_and(|file| file.written_s < 600.0);
    let place = scene.death().map_or_else(String::new, at);
    let kind = if state {
        "the cache or state file"
    } else {
        "the file"
    };
    let found = Found::new(format!(
        "`{}` cannot read {kind} `{path}`: it is corrupt.{how} {}{place}{}",
        scene.name,
        quote(&said),
        again(&said),
    ))
    .line(said.weight() * 0.6, &said.line)
    .proof_if(
        state,
        0.6,
        format!("file:{path}"),
        format!("{path} is written by programs, by its place or name"),
    )
    .proof_if(cut_off, 0.4, format!("file:{path}"), how.trim().to_owned())
    .proof_if(
        scene.was_online,
        0.25,
        scene.fact("was-online"),
        "it ran before with the same definition",
    )
    .proof_if(
        fresh && scene.was_online,
        0.2,
        format!("file:{path}"),
        "it was written not long ago",
    )
    .against(
        !state && !cut_off,
        0.6,
        "the file looks like one that people write",
    )
    .against(
        !state,
        0.3,
        "its place does not say that it can be made again",
    )
    .unless_well(scene);
    Some(
        hold_if_looping(found, scene, &said, &format!("{path} is corrupt"))
            .person(format!("if {path} can be built again, move it aside and start: mv {path} {path}.bad && mhost start {}", scene.name)),
    )
}
