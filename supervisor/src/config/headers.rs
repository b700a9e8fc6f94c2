//! Headers of requests that mhost sends, checked: for probes, sinks and notifications.

use super::problem::Problems;
use super::tree::{Entry, Node};

/// Finds what cannot be sent in a table of headers, and gives all of them for more checks.
pub(crate) fn check<'a>(headers: Option<&'a Node>, problems: &mut Problems) -> &'a [Entry] {
    let headers = headers.map(Node::entries).unwrap_or_default();
    for header in headers {
        if reqwest::header::HeaderName::from_bytes(header.key.as_bytes()).is_err() {
            problems.error(
                &header.key_span,
                format!("`{}` is not the name of a header", header.key),
                "write a name such as `X-Request-Id`",
            );
        }
        let value = header.value.text().unwrap_or_default();
        if reqwest::header::HeaderValue::from_str(value).is_err() {
            problems.error(
                &header.value.span,
                format!("the value of header `{}` cannot be sent", header.key),
                "write it without line ends and control characters",
            );
        }
    }
    headers
}
