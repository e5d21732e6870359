//! Refusals as the source's error numbers (its section 3, and what was added where it says that others are to come).

use crate::chat::Refusal;

pub const SUCCESS: u32 = 900;
const BAD_REQUEST: u32 = 233;

/// Whether a request with this fault is not understood at all.
pub fn is_bad_request(refusal: &Refusal) -> bool {
    number(refusal) == BAD_REQUEST
}

/// The error number of a refusal. Every one has its own meaning for the client: the source's 999 is never sent.
pub fn number(refusal: &Refusal) -> u32 {
    match refusal {
        Refusal::NotAnObject
        | Refusal::ActionMissing
        | Refusal::ActionUnknown
        | Refusal::ParameterMissing(_)
        | Refusal::ParameterInvalid(_)
        | Refusal::DateInvalid(_) => BAD_REQUEST,
        // What it was a request for was never read.
        Refusal::FrameTooLong => BAD_REQUEST,
        Refusal::LoginRequired | Refusal::NotResumable => 250,
        Refusal::AlreadyLoggedIn(_) => 251,
        Refusal::UserIdInvalid | Refusal::NicknameInvalid => 300,
        Refusal::RoomIdInvalid | Refusal::RoomNameInvalid(_) => 301,
        Refusal::UserPasswordInvalid => 310,
        Refusal::RoomPasswordInvalid => 311,
        Refusal::UserNicknameInvalid => 320,
        Refusal::RoomNicknameInvalid => 321,
        Refusal::UserDescriptionInvalid => 330,
        Refusal::RoomDescriptionInvalid => 331,
        Refusal::AccessTypeInvalid => 340,
        Refusal::UserExists | Refusal::NicknameInUse | Refusal::NicknameReserved => 400,
        Refusal::RoomExists => 401,
        Refusal::TooManyAttempts => 402,
        Refusal::LoginWrong | Refusal::PasswordWrong | Refusal::PasswordRequired | Refusal::TokenInvalid => 403,
        Refusal::RoomNotFound => 404,
        Refusal::UserNotFound => 405,
        Refusal::AlreadyJoined => 406,
        Refusal::NotMember | Refusal::NotJoined | Refusal::NothingToLeave | Refusal::NoCurrentRoom => 407,
        Refusal::NotFriends => 408,
        Refusal::RequestNotFound | Refusal::NoSuchApplicant => 409,
        Refusal::TextTooLong => 410,
        Refusal::AlreadyFriends => 411,
        Refusal::TooManyRequests | Refusal::TooMany | Refusal::TooManyRooms => 501,
        Refusal::Unavailable => 502,
        Refusal::Forbidden => 801,
        // The source answers so to one whose wish to enter was passed on.
        Refusal::PermissionPending => SUCCESS,
    }
}
