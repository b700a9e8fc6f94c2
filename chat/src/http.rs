//! What the platforms' answers have in common.

use reqwest::Response;

/// All of an answer, if it is no longer than this many bytes.
///
/// # Errors
/// Why there is none, without the address that was asked.
pub(crate) async fn whole(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(format!("the answer is longer than {} MiB", most >> 20));
        }
    }
    Ok(bytes)
}

/// The last cause of an error: the first one names the address, in which a token may stand.
pub(crate) fn root(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    // Without a cause reqwest's own words have the address.
    let bare = std::ptr::addr_eq(std::ptr::from_ref(last), std::ptr::from_ref(error));
    if bare {
        "the connection broke off".to_owned()
    } else {
        last.to_string()
    }
}
