//! Project files as a whole: three formats, environment, probes, discovery, selection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use supervisor::config::{
    Discovery, LoadContext, LoadError, LoadedProject, Selection, Severity, discover,
    expand_for_instance, is_project_file, load_project, to_json, to_toml,
};
use supervisor::secret::EnvVars;
use supervisor::spec::Autorestart;
use supervisor::{InstanceId, OsText, Paths};
use tempfile::TempDir;

/// A folder with files, and the environment that loads them.
struct Folder {
    dir: TempDir,
    ctx: LoadContext,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let file = dir.path().join(name);
            let parent = file.parent().expect("a file has a folder");
            std::fs::create_dir_all(parent).expect("the folder can be made");
            std::fs::write(file, text).expect("the file can be written");
        }
        let ctx = LoadContext {
            cwd: dir.path().to_owned(),
            ..LoadContext::default()
        };
        Self { dir, ctx }.env(&[("PATH", "/usr/bin:/bin")])
    }

    fn env(mut self, pairs: &[(&str, &str)]) -> Self {
        for (key, value) in pairs {
            self.ctx.env.insert((*key).to_owned(), OsText::from(*value));
        }
        self
    }

    fn load(&self) -> Result<LoadedProject, LoadError> {
        load_project(Path::new("mhost.toml"), &self.ctx)
    }

    fn loaded(&self) -> LoadedProject {
        self.load()
            .unwrap_or_else(|error| panic!("{}", told(&error)))
    }

    /// The environment of instance `index` of the first process.
    fn environment(&self, index: u16) -> EnvVars<OsText> {
        let spec = &self.loaded().apply.processes[0];
        let paths = Paths::new("/tmp/mhost-test-home").expect("a short path");
        spec.environment(&InstanceId::new(spec.name.clone(), index), 1, &paths)
    }
}

fn told(error: &LoadError) -> String {
    let problems = error.problems().iter().map(|problem| problem.render());
    format!("{error}\n{}", problems.collect::<String>())
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

/// The documented sample means the same in TOML, YAML and JSON.
#[test]
fn the_sample_is_the_same_in_three_formats() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env.production"), "FROM_FILE=ü\n").unwrap();
    let mut found = Vec::new();
    for format in ["toml", "yaml", "json"] {
        let name = format!("mhost.{format}");
        std::fs::copy(
            fixtures().join("sample").join(&name),
            dir.path().join(&name),
        )
        .unwrap();
        let ctx = LoadContext {
            cwd: dir.path().to_owned(),
            env: BTreeMap::from([("PATH".to_owned(), OsText::from("/bin"))]).into(),
            ..LoadContext::default()
        };
        let loaded = load_project(Path::new(&name), &ctx)
            .unwrap_or_else(|error| panic!("{name}: {}", told(&error)));
        assert!(loaded.warnings.is_empty(), "{name}: {:#?}", loaded.warnings);
        let text = serde_json::to_string_pretty(&loaded.apply).unwrap();
        found.push(text.replace(&name, "mhost"));
    }
    assert_eq!(found[0], found[1], "TOML and YAML differ");
    assert_eq!(found[0], found[2], "TOML and JSON differ");

    let apply: serde_json::Value = serde_json::from_str(&found[0]).unwrap();
    let names: Vec<_> = apply["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["api", "worker", "report", "db-proxy"]);
    let api = &apply["processes"][0];
    assert_eq!(api["config"]["env"]["VERSION"], "1.10");
    assert_eq!(api["config"]["env"]["PORT"], "3000");
    assert_eq!(api["config"]["env"]["GREETING"], "zażółć → 日本");
    assert_eq!(
        api["config"]["health"]["http"]["url"],
        "http://localhost:${PORT}/health"
    );
    assert_eq!(api["env"]["files"]["FROM_FILE"], "ü");
    assert_eq!(api["project"]["groups"], serde_json::json!(["backend"]));
    assert_eq!(apply["processes"][1]["argv"]["args"][2], "high prio");
}

/// A config that is written out can be read again and is the same.
#[test]
fn what_is_written_can_be_loaded_again() {
    let folder = Folder::new(&[]);
    let sample = fixtures().join("sample/mhost.toml");
    let loaded = load_project(&sample, &folder.ctx).unwrap();
    for spec in &loaded.apply.processes {
        let mut text = to_toml(&spec.name, &spec.config).replace("depends_on = [\"api\"]\n", "");
        text = text.replace("[process.worker]", "[process.worker]\ndepends_on = []");
        std::fs::write(folder.dir.path().join("mhost.toml"), &text).unwrap();
        let mut wanted = spec.config.clone();
        wanted.depends_on.clear();
        let again = folder.loaded();
        assert_eq!(again.apply.processes[0].config, wanted, "{text}");
        assert_eq!(
            to_json(&spec.name, &spec.config)["process"]
                .as_object()
                .unwrap()
                .len(),
            1
        );
    }
}

/// Later layers win, and `env_priority` turns two of them around.
#[test]
fn the_layers_of_the_environment() {
    let text = |more: &str| {
        format!(
            "[process.a]\ncommand = \"x\"\nenv_file = true\n{more}\n[process.a.env]\nA = \"table\"\nB = \"table\"\nC = \"table\"\n"
        )
    };
    let files = [
        (".env", "A=env\nB=env\nC=env\nD=env\nE=env\nF=env\n"),
        (".env.local", "E=local\nF=local\n"),
        (".env.production", "F=production\nU=${D}-${A}\n"),
    ];
    let folder = |more: &str| {
        let toml = text(more);
        let mut all = files.to_vec();
        all.push(("mhost.toml", &toml));
        let mut folder =
            Folder::new(&all).env(&[("A", "os"), ("NODE_ENV", "production"), ("MHOST_X", "1")]);
        folder.ctx.flags.insert("C".into(), "flag".into());
        folder
    };
    let values = |folder: &Folder| {
        let env = folder.environment(0);
        assert!(!env.contains_key("MHOST_X"));
        ["A", "B", "C", "D", "E", "F", "U"]
            .map(|key| env[key].to_str().unwrap().to_owned())
            .join(" ")
    };
    assert_eq!(
        values(&folder("")),
        "os table flag env local production env-os"
    );
    assert_eq!(
        values(&folder("env_priority = \"config\"")),
        "table table flag env local production env-os"
    );
}

/// `--env-file` replaces what the file says.
#[test]
fn env_file_flags_replace_the_key() {
    let toml = "[process.a]\ncommand = \"x\"\nenv_file = \"one\"\n";
    let mut folder = Folder::new(&[("mhost.toml", toml), ("one", "A=1\nB=1"), ("two", "A=2")]);
    folder.ctx.env_files.push("two".into());
    let spec = folder.loaded().apply.processes.remove(0);
    assert_eq!(
        spec.env.files,
        BTreeMap::from([("A".to_owned(), "2".to_owned())]).into()
    );
    std::fs::write(folder.dir.path().join("two"), "A=3").unwrap();
    assert_eq!(supervisor::config::read_env_files(&spec).unwrap()["A"], "3");
}

/// An edited env file is read again relative to the project, and its errors name the line.
#[test]
fn env_files_can_be_read_again() {
    let toml = "[process.a]\ncommand = \"x\"\nenv_file = \"conf/env\"\n";
    let folder = Folder::new(&[("mhost.toml", toml), ("conf/env", "A=1")]);
    let spec = folder.loaded().apply.processes.remove(0);
    let file = folder.dir.path().join("conf/env");
    std::fs::write(&file, "A=1\nbad line\n").unwrap();
    let error = supervisor::config::read_env_files(&spec).unwrap_err();
    assert_eq!(error.problems()[0].line, 2);
    let error = folder.load().unwrap_err();
    assert!(error.problems()[0].source.path.ends_with("conf/env"));
}

/// Each instance is probed at its own port, wherever the port comes from.
#[test]
fn probes_are_filled_in_per_instance() {
    let toml = r#"
        [process.a]
        command = "x"
        instances = 2
        increment_var = "PORT"
        env_file = "e"
        env = { PORT = "3000" }
        [process.a.health.http]
        url = "http://${HOST}:${PORT}/${FROM_FILE}/{instance}/${NOPE:-n}/$$"
        [process.a.health.tcp]
        port = "${PORT}"
    "#;
    let folder = Folder::new(&[("mhost.toml", toml), ("e", "FROM_FILE=ü")]).env(&[("HOST", "h")]);
    let config = &folder.loaded().apply.processes[0].config;
    let url = &config.health.http.as_ref().unwrap().url;
    for index in [0, 1] {
        let env = folder.environment(index);
        assert_eq!(
            expand_for_instance(url, &env, index),
            format!("http://h:300{index}/ü/{index}/n/$")
        );
    }
    assert_eq!(config.health.tcp.as_ref().unwrap().port.0, "${PORT}");
}

/// A variable may spell a number or a boolean where one is wanted.
#[test]
fn variables_become_numbers_where_numbers_are_wanted() {
    let toml = "[process.a]\ncommand = \"${CMD:-x}\"\ninstances = \"${N:-3}\"\nkill_tree = \"${K:-false}\"\nautorestart = \"${R}\"\ngrace_period = \"${G:-1m}\"\n";
    let spec = Folder::new(&[("mhost.toml", toml)])
        .env(&[("R", "always")])
        .loaded()
        .apply
        .processes
        .remove(0);
    assert_eq!((spec.instances, spec.config.kill_tree), (3, false));
    assert_eq!(spec.config.autorestart, Autorestart::Always);
    assert_eq!(spec.config.grace_period.as_secs(), 60);
}

/// What is not wrong but strange is told and does not stop the load.
#[test]
fn warnings_do_not_stop_the_load() {
    let toml = "[process.a]\ncommand = \"x ${GONE}\"\nmax_memory = \"9000GB\"\nenv_file = \"absent\"\nrestart_delay = \"2m\"\n[process.a.env]\nAPI_TOKEN = \"abc\"\nFINE_TOKEN = \"${T:-}\"\n[process.a.health.tcp]\nport = \"8${GONE}\"\n";
    let folder = Folder::new(&[("mhost.toml", toml)]);
    let warnings = folder.loaded().warnings;
    assert!(warnings.iter().all(|w| w.severity == Severity::Warning));
    let lines: Vec<usize> = warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 7, 10], "{warnings:#?}");
    assert_eq!(
        (
            warnings[0].column,
            &warnings[0].source.text[warnings[0].span.clone()]
        ),
        (14, "${GONE}")
    );
}

/// A relative folder is relative to the file, not to the caller.
#[test]
fn folders_are_relative_to_the_file() {
    let toml = "[process.a]\ncommand = \"run.py\"\ncwd = \"sub\"\n[process.b]\ncommand = \"x\"\n";
    let folder = Folder::new(&[
        ("p/mhost.toml", toml),
        ("p/sub/run.py", ""),
        ("bin/python3", ""),
    ]);
    let python = folder.dir.path().join("bin/python3");
    std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = folder.dir.path().join("bin").to_string_lossy().into_owned();
    let folder = folder.env(&[("PATH", &path)]);
    let loaded = load_project(Path::new("p/mhost.toml"), &folder.ctx).unwrap();
    let root = folder.dir.path().canonicalize().unwrap();
    let [a, b] = &loaded.apply.processes[..] else {
        panic!("two processes")
    };
    assert_eq!((&a.cwd, &b.cwd), (&root.join("p/sub"), &root.join("p")));
    assert_eq!(
        (a.argv.program.as_str(), &a.argv.args[..]),
        ("python3", &["run.py".to_owned()][..])
    );
    assert_eq!(a.project.as_ref().unwrap().file, root.join("p/mhost.toml"));
}

/// An interpreter that is not installed is a problem of the line that needs it.
#[test]
fn a_missing_interpreter_has_a_line() {
    let folder = Folder::new(&[
        ("mhost.toml", "[process.a]\ncommand = \"a.rb\"\n"),
        ("a.rb", ""),
    ])
    .env(&[("PATH", "/nowhere")]);
    let error = folder.load().unwrap_err();
    assert_eq!(error.problems()[0].line, 2);
    assert!(told(&error).contains("`ruby`"), "{}", told(&error));
}

/// Discovery goes up to the root of the repository and no further.
#[test]
fn discovery_stops_at_the_repository() {
    let folder = Folder::new(&[
        ("mhost.toml", ""),
        ("repo/.git/HEAD", ""),
        ("repo/mhost.yml", ""),
        ("repo/mhost.json", ""),
        ("repo/a/b/x", ""),
        ("other/a/x", ""),
    ]);
    let root = folder.dir.path();
    assert_eq!(
        discover(&root.join("repo/a/b")),
        Discovery::Found(root.join("repo/mhost.yml"))
    );
    assert_eq!(discover(root), Discovery::Found(root.join("mhost.toml")));
    std::fs::remove_file(root.join("repo/mhost.yml")).unwrap();
    std::fs::remove_file(root.join("repo/mhost.json")).unwrap();
    let Discovery::Nothing(seen) = discover(&root.join("repo/a/b")) else {
        panic!("it must not leave the repository")
    };
    assert_eq!(
        seen,
        ["repo/a/b", "repo/a", "repo"].map(|part| root.join(part))
    );
}

/// Only files that hold processes or groups are project files.
#[test]
fn project_files_are_told_from_other_files() {
    let folder = Folder::new(&[
        ("a.toml", "[process.a]\ncommand = \"x\""),
        ("b.yaml", "groups: {}"),
        ("c.json", "{\"name\": 1}"),
        ("d.toml", "[process.a\n"),
        ("e.js", "process"),
        ("mhost.toml", "broken ["),
    ]);
    let found: Vec<bool> = [
        "a.toml",
        "b.yaml",
        "c.json",
        "d.toml",
        "e.js",
        "mhost.toml",
        "gone.toml",
    ]
    .iter()
    .map(|name| is_project_file(&folder.dir.path().join(name)))
    .collect();
    assert_eq!(found, [true, true, false, true, false, true, false]);
}

/// A selection keeps what all its kinds name, and refuses names that do not exist.
#[test]
fn a_selection_keeps_what_is_named() {
    let toml = "[process.a]\ncommand = \"x\"\ntags = [\"t\"]\n[process.b]\ncommand = \"x\"\n[process.c]\ncommand = \"x\"\ntags = [\"t\"]\n[groups.g]\nprocesses = [\"a\", \"b\"]\nstart_order = [\"b\"]\n";
    let folder = Folder::new(&[("mhost.toml", toml)]);
    let select = |only: &[&str], groups: &[&str], tags: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut loaded = folder.loaded();
        let selection = Selection {
            only: own(only),
            groups: own(groups),
            tags: own(tags),
        };
        loaded.select(&selection).map(|()| {
            let names = loaded
                .apply
                .processes
                .iter()
                .map(|spec| spec.name.to_string());
            (
                names.collect::<Vec<_>>().join(" "),
                loaded.apply.groups.len(),
            )
        })
    };
    assert_eq!(select(&[], &[], &[]), Ok(("a b c".into(), 1)));
    assert_eq!(select(&["c"], &[], &[]), Ok(("c".into(), 0)));
    assert_eq!(select(&[], &["g"], &["t"]), Ok(("a".into(), 1)));
    assert!(
        select(&["aa"], &[], &[])
            .unwrap_err()
            .to_string()
            .contains("did you mean `a`")
    );
    let members = &folder.loaded().apply.groups[0].members;
    assert_eq!(
        members.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["b", "a"]
    );
}

/// `x-` keys are ignored where keys mean something, and kept where they are data.
#[test]
fn extensions_are_ignored_but_not_in_data() {
    let toml = "x-owner = \"me\"\n[process.x-base]\nnonsense = \"${GONE}\"\n[process.a]\ncommand = \"x\"\nx-note = 1\n[process.a.env]\nx-var = \"1\"\n[process.a.health.http]\nurl = \"http://h/\"\nheaders = { x-api-key = \"${K:-v}\" }\n[x-later]\nany = 1\n";
    let loaded = Folder::new(&[("mhost.toml", toml)]).loaded();
    assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings);
    let [spec] = &loaded.apply.processes[..] else {
        panic!("one process")
    };
    assert_eq!(spec.config.env["x-var"].0, "1");
    assert_eq!(
        spec.config.health.http.as_ref().unwrap().headers["x-api-key"],
        "v"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Whatever is typed into a file, it is loaded or explained at a place that exists.
    #[test]
    fn no_text_breaks_the_loader(
        format in proptest::sample::select(vec!["toml", "yaml", "json"]),
        at in 0.0..1.0_f64,
        cut in 0_usize..12,
        typed in "[\\[\\]{}\"'#:=,$ \n\taé日0-9-]{0,4}",
    ) {
        let name = format!("mhost.{format}");
        let mut text = std::fs::read_to_string(fixtures().join("sample").join(&name)).unwrap();
        let mut chars: Vec<char> = text.chars().collect();
        let from = (chars.len() as f64 * at) as usize;
        let to = (from + cut).min(chars.len());
        chars.splice(from..to, typed.chars());
        text = chars.into_iter().collect();
        let folder = Folder::new(&[(name.as_str(), text.as_str())]);
        if let Err(error) = load_project(Path::new(&name), &folder.ctx) {
            proptest::prop_assert!(!error.problems().is_empty(), "{}", error);
            for problem in error.problems() {
                let lines = problem.source.text.split('\n').count();
                proptest::prop_assert!((1..=lines).contains(&problem.line));
                proptest::prop_assert!(problem.render().contains('^'));
            }
        }
    }
}
