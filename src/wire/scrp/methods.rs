//! The methods of the protocol by their names, and what each needs.

use super::Needs;
use super::answers::AnswerForm;
use super::fields::{Fields, room_id, user_description, user_id, user_nickname, user_password};
use super::requests::*;
use crate::chat::{Command, Refusal, RoomRef, Verdict};

/// What a method's fields ask for.
type Read = fn(&Fields<'_>) -> Result<Asked, Refusal>;

/// One method of the protocol.
pub struct Method {
    pub needs: Needs,
    pub read: Read,
}

/// Finds a method by its name.
pub fn method(name: &str) -> Option<Method> {
    let (needs, read): (Needs, Read) = match name {
        "SIGN_UP" => (Needs::Nothing, sign_up),
        "LOG_IN" => (Needs::NoLogin, log_in),
        "GET_TIME" => (Needs::Nothing, |_| plain(Command::Time)),
        "GET_SERVER_INFO" => (Needs::Nothing, |_| plain(Command::ServerInfo)),
        "SET_CLIENT_INFO" => (Needs::Nothing, set_client_info),
        _ => (Needs::Login, of_account(name).or_else(|| of_room(name)).or_else(|| of_talk(name))?),
    };
    Some(Method { needs, read })
}

/// Methods about accounts and friends.
fn of_account(name: &str) -> Option<Read> {
    Some(match name {
        "LOG_OFF" => |_| plain(Command::LogOff),
        "DELETE_USER" => |fields| {
            let password = fields.text("user_password")?;
            plain(Command::DeleteAccount { password: user_password(password)? })
        },
        "CHANGE_USER_PASSWORD" => change_user_password,
        "CHANGE_USER_NICKNAME" => |fields| {
            let nickname = Some(user_nickname(fields.text("user_nickname")?)?);
            plain(Command::ChangeProfile { nickname, description: None })
        },
        "CHANGE_USER_DESCRIPTION" => |fields| {
            let description = Some(user_description(fields.text("user_description")?)?);
            plain(Command::ChangeProfile { nickname: None, description })
        },
        "ADD_FRIEND" => add_friend,
        "REMOVE_FRIEND" => |fields| plain(Command::Unfriend { who: subject(fields)? }),
        "GET_FRIENDS" => |_| Ok(Asked { command: Command::ListFriends, answer: AnswerForm::Friends }),
        "GET_REQUESTS" => |_| plain(Command::ListRequests),
        "HANDLE_REQUEST" => |fields| settle(fields, verdict(fields.uint32("action_type")?)?),
        "APPROVE_REQUEST" => |fields| settle(fields, Verdict::Approve),
        "REJECT_REQUEST" => |fields| settle(fields, Verdict::Reject),
        "IGNORE_REQUEST" => |fields| settle(fields, Verdict::Ignore),
        "GET_USER" => |fields| plain(Command::ViewUser { who: user_id(&fields.text("user_id")?)? }),
        "GET_USER_LAST_ACTIVITY_TIME" => |fields| {
            let command = Command::ViewUser { who: user_id(&fields.text("user_id")?)? };
            Ok(Asked { command, answer: AnswerForm::LastActivity })
        },
        "SEARCH_USER" => |fields| {
            let (query, after, limit) = search(fields)?;
            plain(Command::SearchUsers { query, after, limit })
        },
        _ => return None,
    })
}

/// Methods about rooms.
fn of_room(name: &str) -> Option<Read> {
    Some(match name {
        "CREATE_ROOM" => create_room,
        "ENTER_ROOM" => enter_room,
        "LEAVE_ROOM" => |fields| {
            let room = RoomRef::Named(room_id(&fields.text("room_id")?)?);
            plain(Command::Leave { room })
        },
        "REMOVE_ROOM" => |fields| plain(Command::Destroy { room: room_id(&fields.text("room_id")?)? }),
        "CHANGE_ROOM_ACCESS" => change_room_access,
        "CHANGE_ROOM_NICKNAME" => change_room_nickname,
        "CHANGE_ROOM_DESCRIPTION" => change_room_description,
        "REMOVE_USER_FROM_ROOM" => |fields| {
            let (who, room) = subject_in_room(fields)?;
            plain(Command::Remove { room, who })
        },
        "SET_ADMIN" => |fields| {
            let (account, room) = subject_in_room(fields)?;
            plain(Command::Appoint { room, account, admin: true })
        },
        "REMOVE_ADMIN" => |fields| {
            let (account, room) = subject_in_room(fields)?;
            plain(Command::Appoint { room, account, admin: false })
        },
        "TRANSFER_ROOM" => |fields| {
            let (to, room) = subject_in_room(fields)?;
            plain(Command::HandOver { room, to })
        },
        "GET_ROOM" => |fields| plain(Command::ViewRoom { room: room_id(&fields.text("room_id")?)? }),
        "GET_ROOM_ACCESS_TYPE" => |fields| {
            let command = Command::ViewRoom { room: room_id(&fields.text("room_id")?)? };
            Ok(Asked { command, answer: AnswerForm::AccessType })
        },
        "GET_ROOMS" => |_| plain(Command::ListEnrolments),
        "GET_ROOM_MEMBERS" => get_room_members,
        "SEARCH_ROOM" => |fields| {
            let (query, after, limit) = search(fields)?;
            plain(Command::SearchRooms { query, after, limit })
        },
        _ => return None,
    })
}

/// Methods about messages.
fn of_talk(name: &str) -> Option<Read> {
    Some(match name {
        "SEND_ROOM_MESSAGE" => send_room_message,
        "SEND_PRIVATE_MESSAGE" => send_private_message,
        "RECEIVE_MESSAGE" => receive_message,
        _ => return None,
    })
}
