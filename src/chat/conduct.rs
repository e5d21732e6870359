//! How the sessions of a dialect converse. The service obeys these, whatever the dialect's name.

use super::Command;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// Nothing but a login is possible before a login.
    pub login_first: bool,
    /// A nickname, once set, stays for the connection's life.
    pub login_once: bool,
    /// A login with a nickname that another session holds succeeds, and the claim is repeated at each join.
    pub login_tolerates_clash: bool,
    /// A join makes the room if there is none; otherwise only rooms that exist can be joined.
    pub join_creates: bool,
    /// The session hears of rooms that are created and destroyed, wherever it is.
    pub in_lobby: bool,
    /// The session is in one room at a time: joining another leaves the first.
    pub single_room: bool,
    /// The session stands for its account: what it joins the account is a member of for good, and it is told of everything
    /// in the rooms of which the account is a member.
    pub enrols: bool,
    /// What is kept for the account is told in full. Otherwise private messages are, where they had to be kept.
    pub reads_inbox: bool,
    /// To accounts only friends may write privately.
    pub friends_only: bool,
    /// The session sees its own messages as events, beside the answer.
    pub sees_own_messages: bool,
    /// The session sees its own leaving as an event, in its place among the room's events.
    pub sees_own_leaving: bool,
    /// That a join succeeded is told by its event alone: one that repeats another, whose event went by, is shown that once more.
    pub joins_tell_by_event: bool,
    /// The session can be given a token by which another one goes on in its place.
    pub resumes: bool,
    /// The next request is looked at only when the event that the last one caused was shown to the session, so that a client
    /// which sends several lines at once reads the answers and events in their order.
    pub in_step: bool,
}

/// Which of the events in the session's rooms may be shown only after the answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caused {
    #[default]
    Nothing,
    /// Those of the session's own doing, and what follows them in their rooms.
    Own,
    /// All: what it causes is done by somebody else, who comes in, say.
    Any,
}

impl Conduct {
    /// As most dialects have it; each names in what it differs.
    pub const PLAIN: Self = Self {
        login_first: false,
        login_once: false,
        login_tolerates_clash: false,
        join_creates: false,
        in_lobby: false,
        single_room: false,
        enrols: false,
        reads_inbox: false,
        friends_only: false,
        sees_own_messages: true,
        sees_own_leaving: false,
        joins_tell_by_event: false,
        resumes: false,
        in_step: false,
    };

    /// Whether the session is shown an event that this command causes; its answer must then come first.
    pub fn caused_by(&self, command: &Command) -> Caused {
        match command {
            Command::Join { .. }
            | Command::Send { .. }
            | Command::Destroy { .. }
            | Command::Change { .. }
            | Command::Appoint { .. }
            | Command::Remove { .. }
            | Command::HandOver { .. } => Caused::Own,
            Command::Leave { .. } if self.sees_own_leaving => Caused::Own,
            // What the extended mode hears comes after its welcome.
            Command::Hello { .. } | Command::Resume { .. } | Command::Decide { .. } | Command::Settle { .. } => {
                Caused::Any
            }
            _ => Caused::Nothing,
        }
    }
}
