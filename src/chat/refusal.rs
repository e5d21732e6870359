//! Why a request was not carried out: one numbered table, which the dialects translate into their own words.

use super::Nickname;

/// Whose move it is after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request breaks the protocol; sending it again cannot help. Repeated, it costs the connection.
    Malformed,
    /// The request is well-formed, but does not fit the state of things.
    Request,
    /// The client asks too often or too much; later it may work.
    Pace,
    /// The service cannot do it now; the client may try again.
    Service,
}

/// A refused request. Numbers are stable: logs, metrics and documents use them, dialects never match on text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the message is no JSON object")]
    NotAnObject,
    #[error("the request names no action")]
    ActionMissing,
    #[error("the action is unknown")]
    ActionUnknown,
    #[error("the parameter {0} is missing")]
    ParameterMissing(&'static str),
    #[error("the parameter {0} is invalid")]
    ParameterInvalid(&'static str),
    #[error("the room name {0:?} is invalid")]
    RoomNameInvalid(String),
    #[error("the nickname is invalid")]
    NicknameInvalid,
    #[error("the date {0:?} is invalid")]
    DateInvalid(String),
    #[error("the frame is longer than allowed")]
    FrameTooLong,
    #[error("the text is longer than allowed")]
    TextTooLong,
    #[error("a login is needed first")]
    LoginRequired,
    #[error("the session is logged in as {0}")]
    AlreadyLoggedIn(Nickname),
    #[error("the nickname is held by another session")]
    NicknameInUse,
    #[error("the session is in the room already")]
    AlreadyJoined,
    #[error("the room does not exist")]
    RoomNotFound,
    #[error("the session is not in the room")]
    NotJoined,
    #[error("the session is not in the room it wants to leave")]
    NothingToLeave,
    #[error("the session is in no room")]
    NoCurrentRoom,
    #[error("the nickname is reserved for an account")]
    NicknameReserved,
    #[error("the room exists already")]
    RoomExists,
    #[error("the user is not there")]
    UserNotFound,
    #[error("the token is not valid")]
    TokenInvalid,
    #[error("it is not the session's to do")]
    Forbidden,
    #[error("the room has a password, and none was given")]
    PasswordRequired,
    #[error("the password is wrong")]
    PasswordWrong,
    #[error("the room's owner was asked and has not yet agreed")]
    PermissionPending,
    #[error("nobody of that name has asked")]
    NoSuchApplicant,
    #[error("the name is no user id")]
    UserIdInvalid,
    #[error("the name is no room id")]
    RoomIdInvalid,
    #[error("the text is no password of a user")]
    UserPasswordInvalid,
    #[error("the text is no password of a room")]
    RoomPasswordInvalid,
    #[error("the text is no nickname of a user")]
    UserNicknameInvalid,
    #[error("the text is no nickname of a room")]
    RoomNicknameInvalid,
    #[error("the text is no description of a user")]
    UserDescriptionInvalid,
    #[error("the text is no description of a room")]
    RoomDescriptionInvalid,
    #[error("there is no such access type")]
    AccessTypeInvalid,
    #[error("the account's password is wrong")]
    LoginWrong,
    #[error("there were too many wrong attempts")]
    TooManyAttempts,
    #[error("the user exists already")]
    UserExists,
    #[error("the user is not in the room")]
    NotMember,
    #[error("the two are no friends")]
    NotFriends,
    #[error("the two are friends already")]
    AlreadyFriends,
    #[error("no such request waits")]
    RequestNotFound,
    #[error("no session can be gone on with by this token")]
    NotResumable,
    #[error("the session is in as many rooms as allowed")]
    TooManyRooms,
    #[error("requests come faster than allowed")]
    TooManyRequests,
    #[error("there are as many of these as allowed")]
    TooMany,
    #[error("the broker cannot be reached")]
    Unavailable,
}

/// (number, label for logs and metrics, whose move it is) of every refusal, in the order of the enum.
const TABLE: &[(u16, &str, Fault)] = &[
    (100, "not_an_object", Fault::Malformed),
    (101, "action_missing", Fault::Malformed),
    (102, "action_unknown", Fault::Malformed),
    (103, "parameter_missing", Fault::Malformed),
    (104, "parameter_invalid", Fault::Malformed),
    (105, "room_name_invalid", Fault::Malformed),
    (106, "nickname_invalid", Fault::Malformed),
    (107, "date_invalid", Fault::Malformed),
    (108, "frame_too_long", Fault::Malformed),
    (200, "text_too_long", Fault::Request),
    (201, "login_required", Fault::Request),
    (202, "already_logged_in", Fault::Request),
    (203, "nickname_in_use", Fault::Request),
    (204, "already_joined", Fault::Request),
    (205, "room_not_found", Fault::Request),
    (206, "not_joined", Fault::Request),
    (207, "nothing_to_leave", Fault::Request),
    (208, "no_current_room", Fault::Request),
    (209, "nickname_reserved", Fault::Request),
    (210, "room_exists", Fault::Request),
    (211, "user_not_found", Fault::Request),
    (212, "token_invalid", Fault::Request),
    (213, "forbidden", Fault::Request),
    (214, "password_required", Fault::Request),
    (215, "password_wrong", Fault::Request),
    (216, "permission_pending", Fault::Request),
    (217, "no_such_applicant", Fault::Request),
    (218, "user_id_invalid", Fault::Request),
    (219, "room_id_invalid", Fault::Request),
    (220, "user_password_invalid", Fault::Request),
    (221, "room_password_invalid", Fault::Request),
    (222, "user_nickname_invalid", Fault::Request),
    (223, "room_nickname_invalid", Fault::Request),
    (224, "user_description_invalid", Fault::Request),
    (225, "room_description_invalid", Fault::Request),
    (226, "access_type_invalid", Fault::Request),
    (227, "login_wrong", Fault::Request),
    (228, "too_many_attempts", Fault::Request),
    (229, "user_exists", Fault::Request),
    (230, "not_member", Fault::Request),
    (231, "not_friends", Fault::Request),
    (232, "already_friends", Fault::Request),
    (233, "request_not_found", Fault::Request),
    (234, "not_resumable", Fault::Request),
    (300, "too_many_rooms", Fault::Pace),
    (301, "too_many_requests", Fault::Pace),
    (302, "too_many", Fault::Pace),
    (400, "unavailable", Fault::Service),
];

impl Refusal {
    fn row(&self) -> &'static (u16, &'static str, Fault) {
        let index = match self {
            Self::NotAnObject => 0,
            Self::ActionMissing => 1,
            Self::ActionUnknown => 2,
            Self::ParameterMissing(_) => 3,
            Self::ParameterInvalid(_) => 4,
            Self::RoomNameInvalid(_) => 5,
            Self::NicknameInvalid => 6,
            Self::DateInvalid(_) => 7,
            Self::FrameTooLong => 8,
            Self::TextTooLong => 9,
            Self::LoginRequired => 10,
            Self::AlreadyLoggedIn(_) => 11,
            Self::NicknameInUse => 12,
            Self::AlreadyJoined => 13,
            Self::RoomNotFound => 14,
            Self::NotJoined => 15,
            Self::NothingToLeave => 16,
            Self::NoCurrentRoom => 17,
            Self::NicknameReserved => 18,
            Self::RoomExists => 19,
            Self::UserNotFound => 20,
            Self::TokenInvalid => 21,
            Self::Forbidden => 22,
            Self::PasswordRequired => 23,
            Self::PasswordWrong => 24,
            Self::PermissionPending => 25,
            Self::NoSuchApplicant => 26,
            Self::UserIdInvalid => 27,
            Self::RoomIdInvalid => 28,
            Self::UserPasswordInvalid => 29,
            Self::RoomPasswordInvalid => 30,
            Self::UserNicknameInvalid => 31,
            Self::RoomNicknameInvalid => 32,
            Self::UserDescriptionInvalid => 33,
            Self::RoomDescriptionInvalid => 34,
            Self::AccessTypeInvalid => 35,
            Self::LoginWrong => 36,
            Self::TooManyAttempts => 37,
            Self::UserExists => 38,
            Self::NotMember => 39,
            Self::NotFriends => 40,
            Self::AlreadyFriends => 41,
            Self::RequestNotFound => 42,
            Self::NotResumable => 43,
            Self::TooManyRooms => 44,
            Self::TooManyRequests => 45,
            Self::TooMany => 46,
            Self::Unavailable => 47,
        };
        &TABLE[index]
    }

    /// The stable number of this refusal.
    pub fn number(&self) -> u16 {
        self.row().0
    }

    /// The stable label of this refusal, for logs and metrics.
    pub fn label(&self) -> &'static str {
        self.row().1
    }

    pub fn fault(&self) -> Fault {
        self.row().2
    }

    /// Every label there is, in the order of the table.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_finds_its_own_row() {
        for (refusal, number, label) in [
            (Refusal::NotAnObject, 100, "not_an_object"),
            (Refusal::FrameTooLong, 108, "frame_too_long"),
            (Refusal::TextTooLong, 200, "text_too_long"),
            (Refusal::NotJoined, 206, "not_joined"),
            (Refusal::NothingToLeave, 207, "nothing_to_leave"),
            (Refusal::NoCurrentRoom, 208, "no_current_room"),
            (Refusal::NicknameReserved, 209, "nickname_reserved"),
            (Refusal::NoSuchApplicant, 217, "no_such_applicant"),
            (Refusal::TooManyRooms, 300, "too_many_rooms"),
            (Refusal::Unavailable, 400, "unavailable"),
        ] {
            assert_eq!((refusal.number(), refusal.label()), (number, label));
        }
        assert!(TABLE.is_sorted_by(|one, next| one.0 < next.0), "numbers are unique and in order");
    }
}
