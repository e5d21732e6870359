use super::*;
use crate::chat::{
    AccessType, Epoch, Member, MessageId, PendingRequest, Position, RequestId, RequestKind, Role, RoomSummary,
    ServerInfo, Source, Told, UserView,
};

fn view(online: bool) -> UserView {
    UserView {
        account: name("bob"),
        nickname: "Bob".into(),
        description: "-".into(),
        online,
        signed_up_s: 10,
        last_active_s: 20,
    }
}

fn summary() -> RoomSummary {
    let (nickname, description) = ("Red".into(), String::new());
    RoomSummary { room: room("red"), access: AccessType::Permission, nickname, description, members: 3 }
}

#[test]
fn each_answer_has_the_fields_of_its_method() {
    let user = json!({"user_id": "bob", "user_nickname": "Bob", "user_description": "-", "mode": 1});
    let found = json!({
        "room_id": "red", "room_nickname": "Red", "room_description": "", "room_access_type": 2, "members": 3,
    });
    let (id, of_red) = (|| json!({"user_id": "bob"}), || json!({"room_id": "red"}));
    let position = Position { epoch: Epoch::new(1), offset: 2 };
    let sent = Reply::Sent { position, id: MessageId(9), time_us: 1_700_000_000_999_999 };
    let say = json!({"room_id": "red", "content": "hi"});
    let query = || json!({"query": "b"});
    let members = vec![
        Member { identifier: "bob".into(), role: Some(Role::Owner) },
        Member { identifier: "Zoë".into(), role: None },
    ];
    let listed = json!([{"user_id": "bob", "role": "owner"}, {"user_id": "Zoë", "role": "guest"}]);
    let whole = Reply::Room { summary: summary(), owner: Some(name("bob")), admins: vec![name("eve")] };
    for (seen, expected) in [
        (answered("GET_TIME", json!({}), Reply::Time { now_s: 5_000_000_000 }), json!({"time": u32::MAX})),
        (answered("LOG_OFF", json!({}), Reply::Done), json!({})),
        (answered("SEND_ROOM_MESSAGE", say, sent), json!({"message_id": 9, "time": 1_700_000_000})),
        (
            answered("GET_USER", id(), Reply::User { user: view(true) }),
            json!({
                "user_id": "bob", "user_nickname": "Bob", "user_description": "-", "mode": 1,
                "sign_up_time": 10, "last_activity_time": 20,
            }),
        ),
        (
            answered("GET_USER_LAST_ACTIVITY_TIME", id(), Reply::User { user: view(false) }),
            json!({"time": 20, "last_activity_time": 20}),
        ),
        (
            answered("SEARCH_USER", query(), Reply::Users { users: vec![view(true)], next: Some("c".into()) }),
            json!({"users": [user], "cursor": "c"}),
        ),
        (
            answered("GET_FRIENDS", json!({}), Reply::Users { users: vec![view(true)], next: None }),
            json!({"friends": [user]}),
        ),
        (
            answered("SEARCH_ROOM", query(), Reply::RoomsFound { rooms: vec![summary()], next: None }),
            json!({"rooms": [found]}),
        ),
        (
            answered("GET_ROOM", of_red(), whole.clone()),
            json!({
                "room_id": "red", "room_nickname": "Red", "room_description": "", "room_access_type": 2, "members": 3,
                "owner": "bob", "admins": ["eve"],
            }),
        ),
        (answered("GET_ROOM_ACCESS_TYPE", of_red(), whole), json!({"room_access_type": 2})),
        (
            answered(
                "GET_ROOM_MEMBERS",
                json!({"room_id": "red", "cursor": "40"}),
                Reply::Members { members, more: true },
            ),
            json!({"members": listed, "cursor": "42"}),
        ),
    ] {
        let mut expected = expected;
        expected["resp_id"] = json!(7);
        expected["err"] = json!(900);
        assert_eq!(seen, expected);
    }
}

#[test]
fn messages_and_requests_are_listed() {
    let told = |sender: Option<&str>, source| Told {
        id: MessageId(3),
        position: Position { epoch: Epoch::new(5), offset: 6 },
        time_us: 2_000_000,
        sender: sender.map(Into::into),
        source,
        text: "hi".into(),
    };
    let messages = vec![told(None, Source::Room(room("red"))), told(Some("bob"), Source::Talk(name("bob")))];
    let answer = answered("RECEIVE_MESSAGE", json!({}), Reply::Messages { messages, more: true });
    let expected = json!([
        {"message_id": 3, "time": 2, "sender": null, "room_id": "red", "content": "hi"},
        {"message_id": 3, "time": 2, "sender": "bob", "user_id": "bob", "content": "hi"},
    ]);
    assert_eq!((&answer["messages"], &answer["more"]), (&expected, &json!(true)));

    let asked = |kind| PendingRequest { id: RequestId(4), kind, from: "bob".into(), text: "hi".into(), asked_s: 6 };
    let requests = vec![asked(RequestKind::Friend(name("bob"))), asked(RequestKind::Room(room("red")))];
    let answer = answered("GET_REQUESTS", json!({}), Reply::Requests { requests });
    let expected = json!([
        {"request_id": 4, "kind": "friend", "user_id": "bob", "message": "hi", "time": 6},
        {"request_id": 4, "kind": "room", "user_id": "bob", "room_id": "red", "message": "hi", "time": 6},
    ]);
    assert_eq!(answer["requests"], expected);
}

#[test]
fn the_server_says_everything_that_its_section_has() {
    let info = ServerInfo { nickname: "Ours".into(), users: 1 << 40, bytes_in: 1 << 40, ..ServerInfo::default() };
    let answer = answered("GET_SERVER_INFO", json!({}), Reply::Server { info: Box::new(info) });
    assert_eq!(answer.as_object().unwrap().len(), 2 + 16, "section 1.2 has sixteen fields");
    assert_eq!((&answer["server_nickname"], &answer["protocol_version"]), (&json!("Ours"), &json!("0.0.3")));
    assert_eq!((&answer["number_of_users"], &answer["data_in"]), (&json!(u32::MAX), &json!(1_u64 << 40)));
}

/// Every refusal there is, each once.
fn refusals() -> Vec<(Refusal, u32)> {
    vec![
        (Refusal::NotAnObject, 233),
        (Refusal::ActionMissing, 233),
        (Refusal::ActionUnknown, 233),
        (Refusal::ParameterMissing("x"), 233),
        (Refusal::ParameterInvalid("x"), 233),
        (Refusal::RoomNameInvalid("x".into()), 301),
        (Refusal::NicknameInvalid, 300),
        (Refusal::DateInvalid("x".into()), 233),
        (Refusal::FrameTooLong, 233),
        (Refusal::TextTooLong, 410),
        (Refusal::LoginRequired, 250),
        (Refusal::AlreadyLoggedIn(name("bob")), 251),
        (Refusal::NicknameInUse, 400),
        (Refusal::AlreadyJoined, 406),
        (Refusal::RoomNotFound, 404),
        (Refusal::NotJoined, 407),
        (Refusal::NothingToLeave, 407),
        (Refusal::NoCurrentRoom, 407),
        (Refusal::NicknameReserved, 400),
        (Refusal::RoomExists, 401),
        (Refusal::UserNotFound, 405),
        (Refusal::TokenInvalid, 403),
        (Refusal::Forbidden, 801),
        (Refusal::PasswordRequired, 403),
        (Refusal::PasswordWrong, 403),
        (Refusal::PermissionPending, 900),
        (Refusal::NoSuchApplicant, 409),
        (Refusal::UserIdInvalid, 300),
        (Refusal::RoomIdInvalid, 301),
        (Refusal::UserPasswordInvalid, 310),
        (Refusal::RoomPasswordInvalid, 311),
        (Refusal::UserNicknameInvalid, 320),
        (Refusal::RoomNicknameInvalid, 321),
        (Refusal::UserDescriptionInvalid, 330),
        (Refusal::RoomDescriptionInvalid, 331),
        (Refusal::AccessTypeInvalid, 340),
        (Refusal::LoginWrong, 403),
        (Refusal::TooManyAttempts, 402),
        (Refusal::UserExists, 400),
        (Refusal::NotMember, 407),
        (Refusal::NotFriends, 408),
        (Refusal::AlreadyFriends, 411),
        (Refusal::RequestNotFound, 409),
        (Refusal::NotResumable, 250),
        (Refusal::TooManyRooms, 501),
        (Refusal::TooManyRequests, 501),
        (Refusal::TooMany, 501),
        (Refusal::Unavailable, 502),
    ]
}

#[test]
fn every_refusal_has_a_number_and_none_is_unknown() {
    let all = refusals();
    assert_eq!(
        all.iter().map(|(refusal, _)| refusal.label()).collect::<Vec<_>>(),
        Refusal::labels().collect::<Vec<_>>()
    );
    for (refusal, number) in all {
        let shown = answer(&decode("GET_TIME", json!({})), Err(refusal.clone()));
        assert_eq!(shown, json!({"resp_id": 7, "err": number}), "{refusal}");
    }
}
