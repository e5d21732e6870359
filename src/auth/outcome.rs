//! How attempts to log in end, for the metric.

/// One attempt's end; the names are labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Was sent to a provider.
    Begun,
    /// Came back, with an account.
    LoggedIn,
    /// Came back and chose a username.
    Registered,
    /// The provider said no, or the person did there.
    Denied,
    /// What came back was not what was sent out: state, code, signature, issuer.
    Refused,
    /// The provider, or the store, did not answer.
    Unavailable,
    /// Too many exchanges with providers at a time.
    Busy,
    Renewed,
    LoggedOut,
    /// Somebody brought a token that is not taken.
    TokenRefused,
    /// Somebody brought a token from a page of another origin.
    ForeignOrigin,
}

impl Outcome {
    pub const ALL: [Self; 11] = [
        Self::Begun,
        Self::LoggedIn,
        Self::Registered,
        Self::Denied,
        Self::Refused,
        Self::Unavailable,
        Self::Busy,
        Self::Renewed,
        Self::LoggedOut,
        Self::TokenRefused,
        Self::ForeignOrigin,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::LoggedIn => "logged_in",
            Self::Registered => "registered",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::Renewed => "renewed",
            Self::LoggedOut => "logged_out",
            Self::TokenRefused => "token_refused",
            Self::ForeignOrigin => "foreign_origin",
        }
    }
}
