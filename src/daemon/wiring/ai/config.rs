//! `ai.config`: a config file from a description, checked as any other before it is shown.

use brain::prompts::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::ControlError;
use supervisor::config::{LoadContext, LoadedProject, load_project_text};

use super::AiPort;
use super::tell::{Manner, Task, needs_model};
use crate::daemon::port::invalid;

/// Longest description, in characters.
const DESCRIPTION: usize = 8_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigParams {
    description: String,
}

impl AiPort {
    /// A valid file, or why there is none.
    pub(super) async fn config(
        &self,
        params: ConfigParams,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let length = params.description.chars().count();
        if length > DESCRIPTION {
            return Err(invalid(format!(
                "ai.config: the description has {length} characters; at most {DESCRIPTION} are read"
            )));
        }
        let task = Task {
            question: Some(params.description),
            ..Task::prose(Purpose::Config, None, Vec::new())
        };
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        let check = |text: &str| {
            let toml = toml_of(text);
            let project =
                read(&toml).map_err(|error| format!("mhost refuses the file: {error}"))?;
            let names = project
                .apply
                .processes
                .iter()
                .map(|one| one.name.to_string());
            Ok((toml, names.collect::<Vec<_>>()))
        };
        let ((toml, names), reply) = self
            .checked(&task, manner, check)
            .await
            .map_err(|why| needs_model(Purpose::Config, &why))?;
        Ok(json!({ "toml": toml, "processes": names, "by": reply.by, "usage": reply.usage }))
    }
}

fn read(toml: &str) -> Result<LoadedProject, String> {
    let around = LoadContext::sealed("/".into());
    let project = load_project_text("mhost.toml".as_ref(), toml, &around).map_err(|error| {
        let problems = error.problems().iter().map(|one| one.message.clone());
        let problems: Vec<String> = problems.take(5).collect();
        if problems.is_empty() {
            error.to_string()
        } else {
            problems.join("; ")
        }
    })?;
    if project.apply.processes.is_empty() {
        return Err("it defines no process".into());
    }
    Ok(project)
}

/// What stands in the first code block, or all of it.
fn toml_of(text: &str) -> String {
    let inside = text.split_once("```").map(|(_, rest)| {
        let rest = rest.split_once('\n').map_or(rest, |(_, rest)| rest);
        rest.split("```").next().unwrap_or(rest)
    });
    format!("{}\n", inside.unwrap_or(text).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_taken_out_of_the_talk() {
        let text = "Here you are:\n```toml\n[process.web]\ncommand = \"sleep 1\"\n```\nEnjoy!";
        assert_eq!(toml_of(text), "[process.web]\ncommand = \"sleep 1\"\n");
        assert_eq!(toml_of("a = 1"), "a = 1\n");
        assert_eq!(toml_of("```"), "\n");
        assert!(read(&toml_of(text)).is_ok());
    }

    /// The complaint goes back to the provider.
    #[test]
    fn a_file_of_a_model_cannot_quote_what_only_mhost_may_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "canary-7f3a\nA=\"canary-7f3a").unwrap();
        let at = folder.path().display();
        let process = "[process.web]\ncommand = \"sleep 1\"\n";
        for more in [
            format!("grace_period = \"${{file:{at}/.env}}\"\n"),
            format!("env = {{ A = \"\\u0024{{file:{at}/.env}}\" }}\n"),
            format!("health = {{ http = \"http://${{file:{at}/.env}}\" }}\n"),
        ] {
            let wrong = read(&format!("{process}{more}")).unwrap_err();
            assert!(wrong.contains("no other file is read"), "{wrong}");
            assert!(!wrong.contains("canary"), "{wrong}");
        }
        // It may name an env file: that is read when a person uses the config.
        for more in [
            format!("env_file = \"{at}/.env\"\n"),
            format!("cwd = \"{at}\"\nenv_file = true\n"),
        ] {
            assert!(read(&format!("{process}{more}")).is_ok());
        }
        let home = read(&format!("{process}grace_period = \"${{HOME}}\"\n")).unwrap_err();
        assert!(!home.contains(&std::env::var("HOME").unwrap()), "{home}");
    }

    #[test]
    fn what_mhost_would_refuse_is_refused() {
        assert!(read("").unwrap_err().contains("no process"));
        assert!(
            read("[process.web]\ncomand = \"x\"\n")
                .unwrap_err()
                .contains("comand")
        );
        assert!(read("not toml").is_err());
    }
}
