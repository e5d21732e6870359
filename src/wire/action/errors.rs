//! Refusals in this dialect's words: one table, most of it the source's own texts.

use std::borrow::Cow;

use crate::chat::Refusal;

pub fn error_text(refusal: &Refusal) -> Cow<'static, str> {
    Cow::Borrowed(match refusal {
        Refusal::NotAnObject => "Unknown message format",
        Refusal::ActionMissing => "Action is not specified",
        Refusal::ActionUnknown => "Action is not supported",
        Refusal::ParameterMissing(name) => return Cow::Owned(format!("Parameter '{name}' is missing")),
        Refusal::ParameterInvalid(name) => return Cow::Owned(format!("Parameter '{name}' is invalid")),
        Refusal::RoomNameInvalid(_) => "Parameter 'room_id' is invalid",
        Refusal::NicknameInvalid => "Parameter 'nickname' is invalid",
        Refusal::DateInvalid(_) => "Parameter 'from' or 'to' is invalid",
        Refusal::FrameTooLong | Refusal::TextTooLong => "Message is too long",
        Refusal::LoginRequired => "Login required",
        Refusal::AlreadyLoggedIn(_) => "You are already logged in",
        Refusal::NicknameInUse => "Nickname already in use",
        Refusal::AlreadyJoined => "You are already registered in that room",
        Refusal::RoomNotFound => "Room not found",
        Refusal::NotJoined | Refusal::NoCurrentRoom | Refusal::NotMember => "You should join this room first",
        Refusal::NothingToLeave => "You are already leave this room",
        Refusal::NicknameReserved => "Nickname already in use",
        Refusal::RoomExists => "Room already exists",
        Refusal::UserNotFound | Refusal::NoSuchApplicant => "User not found",
        Refusal::TokenInvalid => "Parameter 'token' is invalid",
        Refusal::NotResumable => "Session cannot be resumed",
        Refusal::Forbidden => "Forbidden",
        Refusal::PasswordRequired => "Room password required",
        Refusal::PasswordWrong => "Wrong room password",
        Refusal::PermissionPending => "Waiting for the permission of the room's owner",
        Refusal::LoginWrong => "Wrong nickname or password",
        Refusal::TooManyAttempts => "Too many wrong attempts, try again later",
        Refusal::TooManyRooms => "Too many rooms",
        Refusal::TooManyRequests | Refusal::TooMany => "Too many requests",
        Refusal::Unavailable => "Service is unavailable, try again",
        // Of requests that this dialect has no words for.
        other => return Cow::Owned(other.to_string()),
    })
}
