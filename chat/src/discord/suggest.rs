//! Names of processes for whoever types one. Who may not look gets none.

use std::sync::Arc;

use reqwest::Method;
use twilight_model::application::command::{CommandOptionChoice, CommandOptionChoiceValue};
use twilight_model::http::interaction::{
    InteractionResponse, InteractionResponseData, InteractionResponseType,
};

use super::api::Route;
use super::commands::APP;
use super::ids;
use crate::Incoming;

/// The names that the sender may see; none at all for somebody who may not look. It is asked
/// for every letter that is typed, so it must not wait.
pub type Names = Arc<dyn Fn(&Incoming) -> Option<Vec<String>> + Send + Sync>;

/// Most choices, by Discord's documentation, and most characters of one.
const MOST: usize = 25;
const LONGEST: usize = 100;

/// The choices for what is typed of an argument. `None` when they cannot be sent.
pub(super) fn answer(
    incoming: &Incoming,
    argument: &str,
    typed: &str,
    names: Vec<String>,
) -> Option<(Route, InteractionResponse)> {
    let id = ids::number(&incoming.delivery, "interaction").ok()?;
    let token = incoming.answer.as_deref()?;
    let names = if argument == APP { names } else { Vec::new() };
    let choices = fitting(names, typed).into_iter().map(|name| {
        let value = CommandOptionChoiceValue::String(name.clone());
        CommandOptionChoice {
            name,
            name_localizations: None,
            value,
        }
    });
    let answer = InteractionResponse {
        kind: InteractionResponseType::ApplicationCommandAutocompleteResult,
        data: Some(InteractionResponseData {
            choices: Some(choices.collect()),
            ..InteractionResponseData::default()
        }),
    };
    let route = Route::bare(Method::POST, format!("/interactions/{id}/{token}/callback"));
    Some((route, answer))
}

/// Names with what is typed, those that begin with it first.
fn fitting(mut names: Vec<String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    names.retain(|name| {
        let fits = !name.is_empty() && name.chars().count() <= LONGEST;
        fits && name.to_lowercase().contains(&typed)
    });
    names.sort_by_key(|name| (!name.to_lowercase().starts_with(&typed), name.clone()));
    names.dedup();
    names.truncate(MOST);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_it_comes_first() {
        let names = ["worker", "api", "web-api", "API-2", ""].map(str::to_owned);
        assert_eq!(fitting(names.to_vec(), "api"), ["API-2", "api", "web-api"]);
        assert_eq!(fitting(names.to_vec(), "x"), [""; 0]);
        let many = (0..60).map(|number| format!("p{number}")).collect();
        assert_eq!(fitting(many, "").len(), MOST);
        assert_eq!(fitting(vec!["x".repeat(101)], ""), [""; 0]);
    }
}
