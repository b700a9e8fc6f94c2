//! What a model may be shown of files and addresses: heads of files below a working folder,
//! hosts that a definition names, and what its own URLs answer.
//!
//! Names are checked by `brain::investigate`; here it is seen to that a name leads nowhere
//! else: not by a link out of the folder, nor to a file that could not be asked for directly.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use brain::investigate::may_show;
use reqwest::Url;
use supervisor::ProcessName;
use supervisor::config::open_plain_file;
use supervisor::secret::is_secret_name;

use super::facts::LiveFacts;

/// Largest file of which the head is shown.
const LARGEST: u64 = 4 << 20;
/// How long a URL may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is shown of a body, in bytes.
const BODY: usize = 512;
/// Addresses of one definition.
const ADDRESSES: usize = 32;

pub(super) fn file_head(
    facts: &LiveFacts,
    name: &ProcessName,
    path: &str,
    bytes: usize,
) -> Result<String, String> {
    let glance = facts.registry.glance(name).ok_or_else(gone)?;
    let text = head(&glance.spec.cwd, path, bytes, may_show)?;
    Ok(facts.registry.masked(name, text))
}

/// The head of a file that lies in the folder itself, under a name of ours.
pub(super) fn manifest_head(
    facts: &LiveFacts,
    name: &ProcessName,
    file: &str,
    bytes: usize,
) -> Option<String> {
    let glance = facts.registry.glance(name)?;
    let itself = |inside: &str| match inside == file {
        true => Ok(()),
        false => Err(gone()),
    };
    let text = head(&glance.spec.cwd, file, bytes, itself).ok()?;
    Some(facts.registry.masked(name, text))
}

/// The name and the head of the script that is run, if it lies in the working folder and may be
/// shown.
pub(super) fn script_head(
    facts: &LiveFacts,
    name: &ProcessName,
    bytes: usize,
) -> Option<(String, String)> {
    let glance = facts.registry.glance(name)?;
    let argv = &glance.spec.argv;
    let mut words = std::iter::once(&argv.program).chain(&argv.args);
    words.find_map(|word| {
        let head = head(&glance.spec.cwd, word, bytes, may_show).ok()?;
        let file = word.rsplit('/').next().unwrap_or(word).to_owned();
        Some((file, facts.registry.masked(name, head)))
    })
}

fn gone() -> String {
    "there is no such file".to_owned()
}

/// The head of a file below a folder; `may` is asked about where it really lies.
fn head(
    folder: &Path,
    path: &str,
    bytes: usize,
    may: impl Fn(&str) -> Result<(), String>,
) -> Result<String, String> {
    use std::os::unix::fs::MetadataExt;
    let folder = folder.canonicalize().map_err(|_| gone())?;
    let full = folder.join(path).canonicalize().map_err(|_| gone())?;
    let inside = full
        .strip_prefix(&folder)
        .map_err(|_| "it leads out of the working folder".to_owned())?;
    may(&inside.to_string_lossy())?;
    let file = open_plain_file(&full).map_err(|_| "it cannot be read".to_owned())?;
    // Of what was opened, and not of what has the name now.
    let meta = file.metadata().map_err(|_| gone())?;
    if meta.nlink() != 1 {
        return Err("it is no plain file of its own".into());
    }
    if meta.len() > LARGEST {
        return Err("it is too large to be a source or a configuration".into());
    }
    let mut head = Vec::new();
    file.take(bytes as u64)
        .read_to_end(&mut head)
        .map_err(|error| error.kind().to_string())?;
    if head.contains(&0) {
        return Err("it is no text".into());
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

pub(super) fn addresses(facts: &LiveFacts, name: &ProcessName) -> Vec<(String, u16)> {
    let Some(spec) = facts.registry.glance(name).map(|glance| glance.spec) else {
        return Vec::new();
    };
    let mut texts: Vec<String> = Vec::new();
    let config = serde_json::to_value(&spec.config).unwrap_or_default();
    strings(&config, &mut texts);
    let own = spec.config.env.iter().map(|(key, value)| (key, &value.0));
    for (key, value) in own.chain(spec.env.files.iter()) {
        // A password may look like an address; a URL with one in it names a host all the same.
        if !is_secret_name(key) || value.contains("://") {
            texts.push(value.clone());
        }
    }
    let mut all: Vec<(String, u16)> = Vec::new();
    for text in &texts {
        let found = brain::addresses_in(text).into_iter().chain(of_urls(text));
        for one in found {
            if !all.contains(&one) && all.len() < ADDRESSES {
                all.push(one);
            }
        }
    }
    all
}

/// Every text in a definition but those of its environment, which are looked at by name.
fn strings(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|one| strings(one, found)),
        serde_json::Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "env")
            .for_each(|(_, one)| strings(one, found)),
        _ => {}
    }
}

/// Hosts of the URLs in a text, with the port that they mean.
fn of_urls(text: &str) -> Vec<(String, u16)> {
    let words = text.split(|letter: char| letter.is_whitespace() || "\"',;".contains(letter));
    words
        .filter(|word| word.contains("://"))
        .filter_map(|word| {
            let url: Url = word.parse().ok()?;
            Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
        })
        .collect()
}

pub(super) fn urls(facts: &LiveFacts, name: &ProcessName) -> Vec<String> {
    let Some(spec) = facts.registry.glance(name).map(|glance| glance.spec) else {
        return Vec::new();
    };
    let config = serde_json::to_value(&spec.config).unwrap_or_default();
    let mut all = Vec::new();
    for probe in ["health", "readiness", "liveness"] {
        let Some(text) = config[probe]["http"]["url"].as_str() else {
            continue;
        };
        let Ok(url) = text.parse::<Url>() else {
            continue;
        };
        let plain = url.username().is_empty() && url.password().is_none();
        if plain && !text.contains(['{', '}']) && !all.iter().any(|one| one == text) {
            all.push(text.to_owned());
        }
    }
    all
}

/// Blocking; called from a thread for that.
pub(super) fn http_get(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut response = client
            .get(url)
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= BODY {
                break;
            }
        }
        body.truncate(BODY);
        Ok(format!(
            "status {status}: {}",
            String::from_utf8_lossy(&body)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_below_the_folder_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("app");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("other.json"), "x").unwrap();
        std::fs::write(inside.join("go.mod"), "module x").unwrap();
        std::os::unix::fs::symlink("../other.json", inside.join("package.json")).unwrap();
        let fifo = inside.join("Cargo.toml");
        supervisor::sys::make_fifo(&fifo).unwrap();
        let shown = |path| head(&inside, path, 4_096, |_| Ok(()));
        assert_eq!(shown("go.mod").as_deref(), Ok("module x"));
        assert!(shown("package.json").is_err());
        assert!(shown("../other.json").is_err());
        assert!(shown("Gemfile").is_err());
        // Nobody writes into it: to open it plainly would be to wait for ever.
        assert!(shown("Cargo.toml").is_err());
    }

    #[test]
    fn hosts_of_urls_have_their_ports() {
        let of = |text: &str| of_urls(text);
        assert_eq!(of("http://a.example/x"), [("a.example".to_owned(), 80)]);
        assert_eq!(
            of("x https://u:p@b.example:8443/y?z"),
            [("b.example".to_owned(), 8443)]
        );
        assert_eq!(of("no url"), []);
    }
}
