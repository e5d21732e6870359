//! Why a session ends: one numbered table. The dialects put the notice into their words, WebSocket takes the code.

/// Why the server ends a session, or that the peer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed; nothing is left to say to it.
    PeerGone,
    /// The connection broke before the peer closed it: it may be back.
    PeerLost,
    /// The peer read more slowly than its mailbox allows.
    SlowReader,
    /// The stream cannot be cut into messages any more.
    Unframeable,
    /// A text message was not valid UTF-8.
    NotText,
    /// A message was longer than the dialect allows and cannot be skipped.
    FrameTooLong,
    /// Too many malformed messages in a row.
    TooManyStrikes,
    /// Nothing was heard from the peer for the keep-alive time.
    Silent,
    /// The listener has as many connections as allowed.
    TooManyConnections,
    /// More connections came at once than the node lets in.
    TooFast,
    /// While this node was cut off, another session took the nickname.
    NicknameLost,
    /// The nickname belongs to an account, and a newer session of it is there.
    Superseded,
    /// Another session goes on in this one's place.
    Resumed,
    /// The session's login was ended.
    LoggedOut,
    /// The data was lost, and with it the account that the session stood for.
    AccountLost,
    /// The session brought a login, and its name cannot be claimed now.
    LoginUnavailable,
    /// The node is going away; another replica is there.
    Restart,
}

impl CloseReason {
    pub const ALL: [Self; 17] = [
        Self::PeerGone,
        Self::PeerLost,
        Self::SlowReader,
        Self::Unframeable,
        Self::NotText,
        Self::FrameTooLong,
        Self::TooManyStrikes,
        Self::Silent,
        Self::TooManyConnections,
        Self::TooFast,
        Self::NicknameLost,
        Self::Superseded,
        Self::Resumed,
        Self::LoggedOut,
        Self::AccountLost,
        Self::LoginUnavailable,
        Self::Restart,
    ];

    /// Whether the client did not want to end and is likely to come back: what its session had is kept for a while, if it
    /// can be gone on with.
    pub fn is_involuntary(self) -> bool {
        matches!(self, Self::PeerLost | Self::SlowReader | Self::Silent | Self::Restart)
    }

    /// The stable label, for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::PeerGone => "peer_gone",
            Self::PeerLost => "peer_lost",
            Self::SlowReader => "slow_reader",
            Self::Unframeable => "unframeable",
            Self::NotText => "not_text",
            Self::FrameTooLong => "frame_too_long",
            Self::TooManyStrikes => "too_many_strikes",
            Self::Silent => "silent",
            Self::TooManyConnections => "too_many_connections",
            Self::TooFast => "too_fast",
            Self::NicknameLost => "nickname_lost",
            Self::Superseded => "superseded",
            Self::Resumed => "resumed",
            Self::LoggedOut => "logged_out",
            Self::AccountLost => "account_lost",
            Self::LoginUnavailable => "login_unavailable",
            Self::Restart => "restart",
        }
    }

    /// The WebSocket close code (RFC 6455, section 7.4.1, and the IANA registry for 1012 and 1013).
    pub fn websocket_code(self) -> u16 {
        match self {
            Self::PeerGone | Self::PeerLost => 1000,
            Self::Unframeable => 1002,
            Self::NotText => 1007,
            Self::SlowReader
            | Self::TooManyStrikes
            | Self::Silent
            | Self::NicknameLost
            | Self::Superseded
            | Self::Resumed
            | Self::LoggedOut
            | Self::AccountLost => 1008,
            Self::FrameTooLong => 1009,
            Self::Restart => 1012,
            Self::TooManyConnections | Self::TooFast | Self::LoginUnavailable => 1013,
        }
    }

    /// The sentence told to the peer, `None` where there is no one to tell or the last reply said it already.
    pub fn notice(self) -> Option<&'static str> {
        match self {
            Self::PeerGone | Self::PeerLost | Self::FrameTooLong => None,
            Self::SlowReader => Some("Messages were not read fast enough"),
            Self::Unframeable => Some("The stream cannot be understood"),
            Self::NotText => Some("The text is not valid UTF-8"),
            Self::TooManyStrikes => Some("Too many malformed messages"),
            Self::Silent => Some("Nothing was heard from you"),
            Self::TooManyConnections => Some("Too many connections"),
            Self::TooFast => Some("Too many connect at once, connect again in a few seconds"),
            Self::NicknameLost => Some("Your nickname was taken while the server was cut off"),
            Self::Superseded => Some("Your nickname is used by a newer login"),
            Self::Resumed => Some("Your session goes on in another connection"),
            Self::LoggedOut => Some("You are logged out"),
            Self::AccountLost => Some("Your account is no longer known, sign up again"),
            Self::LoginUnavailable => Some("Service is unavailable, try again"),
            Self::Restart => Some("The server is restarting, connect again"),
        }
    }
}
