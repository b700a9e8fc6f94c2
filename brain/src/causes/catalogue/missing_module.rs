//! A module, package or shared library is not there.
//!
//! Looks for the import errors of runtimes and of the dynamic loader. Proof: it dies of it at
//! every start. Against: it is well. Only an install helps, so it is held and a person is told.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "missing-module",
    title: "a module or library is missing",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 3
                error = "Error: Cannot find module 'left-pad'"
                words = ["Error: Cannot find module 'left-pad'", "Require stack:", "- /srv/index.js"]
            "#,
            says: &["left-pad", "not installed", "npm install"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 127
                error = "/srv/bin/tool: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory"
            "#,
            says: &["libpq.so.5"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("module")?;
    let name = text::module(&said.line.text)
        .or_else(|| text::module(&said.all))
        .or_else(|| text::quoted(&said.line.text).into_iter().next());
    let shown = name.clone().unwrap_or_else(|| "a module".to_owned());
    let library = shown.contains(".so");
    let what = if library { "shared library" } else { "module" };
    let found = Found::new(format!(
        "`{}` cannot run because the {what} `{shown}` is missing: it is not installed where it runs (missing dependency). {}{} {}",
        scene.name,
        quote(&said),
        again(&said),
        remedy(&said.all, &said.line.text, &shown),
    ))
    .line(said.weight(), &said.line)
    .proof_if(said.deadly && said.times >= 2, 0.5, death_id(scene), format!("{} deaths in a row like this", said.times))
    .proof_if(said.deadly && !scene.was_online, 0.2, scene.fact("never-online"), "it never came up")
    .unless_well(scene);
    Some(
        hold_if_looping(
            found,
            scene,
            &said,
            &format!("the {what} `{shown}` is missing"),
        )
        .person(remedy(&said.all, &said.line.text, &shown)),
    )
}

/// How what is missing is usually installed.
fn remedy(all: &str, line: &str, name: &str) -> String {
    let says = |text: &str| all.contains(text) || line.contains(text);
    if name.contains(".so") {
        return format!("Install the package that holds {name}, then `ldconfig`.");
    }
    if name.starts_with('.') || name.starts_with('/') {
        return format!("The program's own file {name} is missing: deploy it completely.");
    }
    let tool = if says("No module named") || says("ImportError") {
        "pip install"
    } else if says("cannot load such file") || says("Could not find gem") {
        "bundle install, for"
    } else if says("ClassNotFound") || says("NoClassDefFound") {
        "put on the class path"
    } else if says("in @INC") {
        "cpanm"
    } else if says("providing package") {
        "go mod tidy, for"
    } else if says("annot find module") || says("annot find package") || says("MODULE_NOT_FOUND") {
        "npm install (or npm ci), for"
    } else {
        "install"
    };
    format!("To do: {tool} `{name}`.")
}
