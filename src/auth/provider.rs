//! What the two kinds of providers have in common.

use oauth2::{ErrorResponse, RequestTokenError};

use super::outbound::OutboundError;

/// Longest subject of an identity; OpenID Connect allows 255.
const SUBJECT_MAX_BYTES: usize = 255;

/// Why an exchange with a provider did not end in an identity. The texts are for the log and hold no secrets.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFault {
    /// Too many exchanges at a time.
    #[error("too many exchanges with providers at a time")]
    Busy,
    #[error("the provider does not answer: {0}")]
    Unreachable(String),
    /// It did not take what it was given: an old or used code, a wrong client secret.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// It answered something that proves nothing.
    #[error("the provider's answer is not trusted: {0}")]
    Untrusted(String),
}

impl From<OutboundError> for ProviderFault {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Request(_) => Self::Unreachable(error.to_string()),
            OutboundError::TooLong | OutboundError::Answer(_) => Self::Untrusted(error.to_string()),
        }
    }
}

impl<T: ErrorResponse + std::fmt::Display + 'static> From<RequestTokenError<OutboundError, T>> for ProviderFault {
    fn from(error: RequestTokenError<OutboundError, T>) -> Self {
        match error {
            RequestTokenError::Request(error) => error.into(),
            RequestTokenError::ServerResponse(answer) => Self::Refused(answer.to_string()),
            // Some providers answer errors with status 200 and a body of their own.
            RequestTokenError::Parse(error, _) => Self::Refused(format!("no token in its answer: {}", error.inner())),
            RequestTokenError::Other(reason) => Self::Unreachable(reason),
        }
    }
}

/// Checks the id that a provider gives a person.
pub fn subject(text: &str) -> Result<String, ProviderFault> {
    if text.is_empty() || text.len() > SUBJECT_MAX_BYTES || text.chars().any(char::is_control) {
        return Err(ProviderFault::Untrusted("the subject is empty, too long, or not readable".into()));
    }
    Ok(text.to_owned())
}
