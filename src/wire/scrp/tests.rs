use serde_json::{Value, json};

use super::*;
use crate::chat::{
    AccessType, Actor, Addressee, CloseReason, Command, Credential, Epoch, Event, EventKind, From, Mail, Member,
    MessageId, News, PendingRequest, Position, PrivateMessage, Push, RequestId, RequestKind, Role, RoomId, RoomNews,
    RoomRef, RoomSummary, RoomWishes, ServerInfo, SessionId, Source, Told, UserView, Verdict,
};

fn name(text: &str) -> Nickname {
    Nickname::parse(text).unwrap()
}

fn room(text: &str) -> RoomId {
    RoomId::parse(text).unwrap()
}

/// The request of a method with these fields.
fn decode(method: &str, mut fields: Value) -> Request {
    fields["req_id"] = json!(7);
    fields["method"] = json!(method);
    Scrp.decode(fields.to_string().as_bytes())
}

/// The error number under which it is refused as it stands, 900 where its form is good.
fn verdict(method: &str, fields: Value) -> u32 {
    decode(method, fields).command.map_or_else(|refusal| errors::number(&refusal), |_| 900)
}

fn command(method: &str, fields: Value) -> Command {
    decode(method, fields).command.unwrap()
}

fn answer(request: &Request, outcome: Result<Reply, Refusal>) -> Value {
    let messages: Vec<_> = Scrp.answer(&request.tag, &outcome, None).collect();
    assert_eq!(messages.len(), 1);
    serde_json::from_slice(&messages[0]).unwrap()
}

fn answered(method: &str, fields: Value, reply: Reply) -> Value {
    answer(&decode(method, fields), Ok(reply))
}

#[test]
fn what_cannot_be_understood_is_told_under_its_number_where_it_has_one() {
    for (message, resp_id) in [
        (&b""[..], 0),
        (b"[]", 0),
        (b"7", 0),
        (b"LOGIN alice", 0),
        (b"{\"req_id\":7,\"method\":\"GET_TIME\"", 0),
        (b"{\"req_id\":7,\"method\":\"GET_TIME\"} {}", 0),
        (b"{\"req_id\":7,\"method\":\"GET_TIME\",\"x\":\"\xff\"}", 0),
        (br#"{"method":"GET_TIME"}"#, 0),
        (br#"{"req_id":"7","method":"GET_TIME"}"#, 0),
        (br#"{"req_id":-1,"method":"GET_TIME"}"#, 0),
        (br#"{"req_id":1.5,"method":"GET_TIME"}"#, 0),
        (br#"{"req_id":4294967296,"method":"GET_TIME"}"#, 0),
        (br#"{"req_id":null,"method":"GET_TIME"}"#, 0),
        (br#"{"req_id":7}"#, 7),
        (br#"{"req_id":7,"method":5}"#, 7),
        (br#"{"req_id":7,"method":"get_time"}"#, 7),
        (br#"{"req_id":7,"method":"FLY"}"#, 7),
        (br#"{"req_id":4294967295,"method":"FLY"}"#, u64::from(u32::MAX)),
        (br#"{"req_id":7.0,"method":"LOG_IN"}"#, 7),
    ] {
        let request = Scrp.decode(message);
        let shown = String::from_utf8_lossy(message).into_owned();
        let refusal = request.command.clone().expect_err(&shown);
        assert_eq!(request.needs, Needs::Nothing, "{shown}");
        assert_eq!(answer(&request, Err(refusal)), json!({"resp_id": resp_id, "err": 233}), "{shown}");
    }
}

#[test]
fn a_field_that_is_missing_or_ill_typed_comes_before_every_other_fault() {
    let bad = "no id!";
    for (method, fields) in [
        ("SIGN_UP", json!({"user_id": bad, "user_password": "secret"})),
        ("SIGN_UP", json!({"user_id": bad, "user_password": "secret", "user_nickname": 5})),
        ("LOG_IN", json!({"user_id": bad, "user_password": null})),
        ("CREATE_ROOM", json!({"room_id": bad, "room_nickname": "Red"})),
        ("CREATE_ROOM", json!({"room_id": bad, "room_nickname": "Red", "room_access": true})),
        ("CREATE_ROOM", json!({"room_id": bad, "room_nickname": "Red", "room_access": 0, "room_password": 5})),
        ("ENTER_ROOM", json!({"room_id": bad, "room_password": []})),
        ("SET_ADMIN", json!({"subject_user_id": bad})),
        ("ADD_FRIEND", json!({"subject_user_id": bad})),
        ("HANDLE_REQUEST", json!({"target_request_id": 5})),
        ("HANDLE_REQUEST", json!({"target_request_id": 5, "action_type": 3})),
        ("SEND_ROOM_MESSAGE", json!({"room_id": bad, "content": "hi", "key": ""})),
        ("RECEIVE_MESSAGE", json!({"room_id": bad, "limit": 201})),
        ("RECEIVE_MESSAGE", json!({"room_id": "red", "user_id": "bob"})),
        ("RECEIVE_MESSAGE", json!({"room_id": "red", "since": 1, "before": 9})),
        ("GET_ROOM_MEMBERS", json!({"room_id": "red", "cursor": "x"})),
        ("SET_CLIENT_INFO", json!({"client_version": "1.é"})),
        ("SET_CLIENT_INFO", json!({"time": "now"})),
    ] {
        assert_eq!(verdict(method, fields.clone()), 233, "{method} {fields}");
    }
}

#[test]
fn of_several_invalid_fields_the_smallest_number_is_told() {
    let long = "x".repeat(33);
    for (number, method, fields) in [
        (300, "SIGN_UP", json!({"user_id": "a-b", "user_password": "short", "user_nickname": ""})),
        (310, "SIGN_UP", json!({"user_id": "ab", "user_password": "short", "user_nickname": ""})),
        (320, "SIGN_UP", json!({"user_id": "ab", "user_password": "secret", "user_nickname": ""})),
        (300, "LOG_IN", json!({"user_id": "x".repeat(17), "user_password": "short"})),
        (310, "LOG_IN", json!({"user_id": "x".repeat(16), "user_password": "sécret"})),
        (310, "DELETE_USER", json!({"user_password": "x".repeat(65)})),
        (310, "CHANGE_USER_PASSWORD", json!({"old_user_password": "secret", "new_user_password": "sec\tret"})),
        (320, "CHANGE_USER_NICKNAME", json!({"user_nickname": long})),
        (320, "CHANGE_USER_NICKNAME", json!({"user_nickname": "two\nlines"})),
        (330, "CHANGE_USER_DESCRIPTION", json!({"user_description": "é".repeat(257)})),
        (301, "CREATE_ROOM", json!({"room_id": "#red", "room_nickname": "", "room_access": 1, "room_password": "x"})),
        (311, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "", "room_access": 1, "room_password": "x"})),
        (311, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": 1})),
        (321, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "", "room_access": 9})),
        (340, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": 9})),
        (340, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": 0.5})),
        (340, "CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": "public"})),
        (301, "ENTER_ROOM", json!({"room_id": "", "room_password": "x"})),
        (311, "ENTER_ROOM", json!({"room_id": "red", "room_password": "x"})),
        (301, "CHANGE_ROOM_ACCESS", json!({"room_id": "réd", "room_access_type": 9})),
        (311, "CHANGE_ROOM_ACCESS", json!({"room_id": "red", "room_access_type": "ROOM_ACCESS_PASSWORD"})),
        (340, "CHANGE_ROOM_ACCESS", json!({"room_id": "red", "room_access_type": 9, "room_password": "x"})),
        (321, "CHANGE_ROOM_NICKNAME", json!({"room_id": "red", "new_room_nickname": ""})),
        (331, "CHANGE_ROOM_DESCRIPTION", json!({"room_id": "red", "new_room_description": "\u{7}"})),
        (300, "REMOVE_USER_FROM_ROOM", json!({"subject_user_id": "", "room_id": ""})),
        (301, "REMOVE_ADMIN", json!({"subject_user_id": "bob", "room_id": ""})),
        (300, "ADD_FRIEND", json!({"subject_user_id": "", "verification message": "x".repeat(257)})),
        (330, "ADD_FRIEND", json!({"subject_user_id": "bob", "verification_message": "x".repeat(257)})),
        (300, "SEND_PRIVATE_MESSAGE", json!({"user_id": "@bob", "content": ""})),
        (300, "RECEIVE_MESSAGE", json!({"user_id": ""})),
        (301, "RECEIVE_MESSAGE", json!({"room_id": ""})),
    ] {
        assert_eq!(verdict(method, fields.clone()), number, "{method} {fields}");
    }
}

#[test]
fn a_login_matters_more_than_a_format_where_the_method_needs_one() {
    let fields = || json!({"user_id": "", "user_password": "", "user_nickname": "", "room_id": ""});
    assert_eq!(decode("SIGN_UP", fields()).needs, Needs::Nothing);
    assert_eq!(decode("LOG_IN", fields()).needs, Needs::NoLogin);
    assert_eq!(decode("REMOVE_ROOM", fields()).needs, Needs::Login);
    assert_eq!(decode("REMOVE_ROOM", json!({})).needs, Needs::Nothing, "what is not understood stays so");
}

#[test]
fn accounts_and_friends() {
    let id = json!({"user_id": "ab_1", "user_password": "secret", "user_nickname": "Erwin Schrödinger"});
    let nickname = "Erwin Schrödinger".to_owned();
    let password = "secret".to_owned();
    let account = name("ab_1");
    assert_eq!(
        command("SIGN_UP", id.clone()),
        Command::SignUp { account: account.clone(), password: password.clone(), nickname }
    );
    let login = Command::Login { nickname: Some(account), credential: Credential::Password(password.clone()) };
    assert_eq!(command("LOG_IN", id.clone()), login);
    assert_eq!(command("DELETE_USER", id), Command::DeleteAccount { password });
    let described = json!({"user_description": ""});
    let change = Command::ChangeProfile { nickname: None, description: Some(String::new()) };
    assert_eq!(command("CHANGE_USER_DESCRIPTION", described), change);
    for key in ["verification message", "verification_message"] {
        let befriend = Command::Befriend { who: name("bob"), text: "it is I".into() };
        assert_eq!(command("ADD_FRIEND", json!({"subject_user_id": "bob", (key): "it is I"})), befriend);
    }
    let settle = |verdict| Command::Settle { request: RequestId(5), verdict };
    for (number, method, verdict) in [
        (0, "REJECT_REQUEST", Verdict::Reject),
        (1, "APPROVE_REQUEST", Verdict::Approve),
        (2, "IGNORE_REQUEST", Verdict::Ignore),
    ] {
        let fields = json!({"target_request_id": 5, "action_type": number});
        assert_eq!(command("HANDLE_REQUEST", fields), settle(verdict));
        assert_eq!(command(method, json!({"target_request_id": 5})), settle(verdict));
    }
}

#[test]
fn rooms() {
    for key in ["room_access", "room_access_type"] {
        for (access, raw) in [
            (AccessType::Public, json!(0)),
            (AccessType::Public, json!("ROOM_ACCESS_PUBLIC")),
            (AccessType::Permission, json!(2)),
            (AccessType::Permission, json!("ROOM_ACCESS_PERMISSION")),
        ] {
            let nickname = Some("Red".to_owned());
            let wishes = RoomWishes { access: Some(access), nickname, ..RoomWishes::default() };
            // The password of a room that is to have none is nobody's concern.
            let fields = json!({"room_id": "red", "room_nickname": "Red", (key): raw, "room_password": "x"});
            assert_eq!(command("CREATE_ROOM", fields), Command::Create { room: room("red"), wishes });
        }
        let wishes =
            RoomWishes { access: Some(AccessType::Password), password: Some("secret".into()), ..RoomWishes::default() };
        let fields = json!({"room_id": "red", (key): 1, "room_password": "secret"});
        assert_eq!(command("CHANGE_ROOM_ACCESS", fields), Command::Change { room: room("red"), wishes });
    }
    let red = || json!({"room_id": "red", "subject_user_id": "bob"});
    for (method, expected) in [
        ("ENTER_ROOM", Command::Join { room: room("red"), password: None }),
        ("LEAVE_ROOM", Command::Leave { room: RoomRef::Named(room("red")) }),
        ("REMOVE_ROOM", Command::Destroy { room: room("red") }),
        ("REMOVE_USER_FROM_ROOM", Command::Remove { room: room("red"), who: name("bob") }),
        ("SET_ADMIN", Command::Appoint { room: room("red"), account: name("bob"), admin: true }),
        ("REMOVE_ADMIN", Command::Appoint { room: room("red"), account: name("bob"), admin: false }),
        ("TRANSFER_ROOM", Command::HandOver { room: room("red"), to: name("bob") }),
        ("GET_ROOM", Command::ViewRoom { room: room("red") }),
        ("GET_ROOMS", Command::ListEnrolments),
        ("GET_ROOM_MEMBERS", Command::ListMembers { room: room("red"), skip: 0, limit: 200 }),
    ] {
        assert_eq!(command(method, red()), expected);
    }
}

#[test]
fn messages_are_sent_and_read_in_pages() {
    let sent = Command::Send { room: RoomRef::Named(room("red")), text: "hi".into(), key: Some("k".into()) };
    assert_eq!(command("SEND_ROOM_MESSAGE", json!({"room_id": "red", "content": "hi", "key": "k"})), sent);
    let to = Addressee::Nickname(name("bob"));
    let private = Command::SendPrivate { to, target: "@bob".into(), text: "hi".into(), key: None };
    assert_eq!(command("SEND_PRIVATE_MESSAGE", json!({"user_id": "bob", "content": "hi"})), private);
    for (fields, source, from, limit) in [
        (json!({}), Source::Everywhere, From::End, 200),
        (json!({"since": 5, "limit": 1}), Source::Everywhere, From::After(MessageId(5)), 1),
        (json!({"room_id": "red", "since": 0}), Source::Room(room("red")), From::After(MessageId(0)), 200),
        (json!({"user_id": "bob", "before": 9}), Source::Talk(name("bob")), From::Before(MessageId(9)), 200),
    ] {
        assert_eq!(command("RECEIVE_MESSAGE", fields), Command::Receive { source, from, limit });
    }
}

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

fn bob() -> Actor {
    Actor { session: SessionId::from_u128(1), nickname: Some(name("bob")) }
}

fn pushed(kind: EventKind) -> Vec<Value> {
    let position = Position { epoch: Epoch::new(3), offset: 4 };
    let envelope = Envelope { position, time_us: 5_000_001, event: Event::new(bob(), kind) };
    let messages = Scrp.event(EventForm::Scrp, "red", &envelope);
    messages.iter().map(|message| serde_json::from_slice(message).unwrap()).collect()
}

#[test]
fn what_happens_in_a_room_is_pushed() {
    let push = |method: &str, fields: Value| {
        let mut push = json!({"method": method, "push_id": 5_000_001, "room_id": "red", "epoch": 3, "offset": 4});
        push.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        push
    };
    let said = EventKind::Message { id: MessageId(9), text: "hi".into() };
    let fields = json!({"message_id": 9, "time": 5, "sender": "bob", "content": "hi"});
    assert_eq!(pushed(said), [push("NEW_ROOM_MESSAGE", fields)]);
    assert_eq!(pushed(EventKind::Joined), [push("USER_ENTER_ROOM", json!({"user_id": "bob"}))]);
    assert_eq!(pushed(EventKind::Left), [push("USER_LEAVE_ROOM", json!({"user_id": "bob"}))]);
    let guest = Actor { session: SessionId::from_u128(7), nickname: None };
    let fields = json!({"user_id": guest.identifier(), "by": "bob"});
    assert_eq!(pushed(EventKind::Removed { who: guest }), [push("USER_LEAVE_ROOM", fields)]);
    for (admin, method) in [(true, "APPOINTED_AS_ADMIN"), (false, "REMOVED_AS_ADMIN")] {
        let appointed = EventKind::Appointed { account: name("eve"), admin };
        assert_eq!(pushed(appointed), [push(method, json!({"user_id": "eve"}))]);
    }
    let handed = EventKind::Handed { to: name("eve") };
    assert_eq!(pushed(handed), [push("ROOM_OWNER_CHANGED", json!({"user_id": "eve"}))]);
    assert_eq!(pushed(EventKind::Destroyed { room: room("red") }), [push("ROOM_REMOVED", json!({}))]);
    assert_eq!(pushed(EventKind::Destroyed { room: room("blue") }), [json!({}); 0]);
    let news =
        RoomNews { access: Some(AccessType::Password), nickname: Some("Red".into()), description: Some(String::new()) };
    let expected = [
        push("ROOM_ACCESS_CHANGED", json!({"room_access_type": 1})),
        push("ROOM_NICKNAME_CHANGED", json!({"room_nickname": "Red"})),
        push("ROOM_DESCRIPTION_CHANGED", json!({"room_description": ""})),
    ];
    assert_eq!(pushed(EventKind::Changed(news)), expected);
}

fn told(notice: &Notice) -> Option<Value> {
    Scrp.tell(EventForm::Scrp, notice).map(|message| serde_json::from_slice(&message).unwrap())
}

#[test]
fn what_is_kept_for_an_account_is_pushed_under_its_number() {
    let message = PrivateMessage { from: bob(), target: "@eve".into(), text: "psst".into() };
    let id = MessageId(9);
    let direct = told(&Notice::Private { message: message.clone(), id, time_us: 7_000_002 });
    let fields = json!({"message_id": 9, "time": 7, "sender": "bob", "content": "psst"});
    let request = RequestId(4);
    let decided = |kind, approved| Push::Decided { request, kind, approved };
    let asked = Push::FriendRequest { request, from: name("bob"), nickname: "Bob".into(), text: "it is I".into() };
    let enter = Push::EnterRequest { request, identifier: "bob".into(), room: room("red") };
    for (push, method, fields) in [
        (Push::Private { id, message }, "NEW_PRIVATE_MESSAGE", fields),
        (
            asked,
            "NEW_FRIEND_REQUEST",
            json!({"request_id": 4, "user_id": "bob", "user_nickname": "Bob", "message": "it is I", "time": 7}),
        ),
        (enter, "ENTER_ROOM_REQUEST", json!({"request_id": 4, "user_id": "bob", "room_id": "red", "time": 7})),
        (
            decided(RequestKind::Friend(name("bob")), true),
            "REQUEST_APPROVED",
            json!({"request_id": 4, "kind": "friend", "user_id": "bob"}),
        ),
        (
            decided(RequestKind::Room(room("red")), false),
            "REQUEST_REJECTED",
            json!({"request_id": 4, "kind": "room", "room_id": "red"}),
        ),
        (Push::FriendRemoved { account: name("bob") }, "FRIEND_REMOVED", json!({"user_id": "bob"})),
        (Push::FriendDeleted { account: name("bob") }, "USER_DELETED", json!({"user_id": "bob"})),
    ] {
        let mut expected = json!({"method": method, "push_id": 7_000_002});
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(told(&Notice::Mail(Mail { number: 7_000_002, push })), Some(expected.clone()));
        if method == "NEW_PRIVATE_MESSAGE" {
            assert_eq!(direct, Some(expected), "a message reads the same whether it was kept or not");
        }
    }
}

#[test]
fn news_and_the_end_are_pushed_and_the_rest_is_not() {
    let news = |news| told(&Notice::News { account: name("bob"), news, time_us: 5 }).unwrap();
    for (what, expected) in [
        (News::Online, json!({"method": "USER_ONLINE", "push_id": 5, "user_id": "bob"})),
        (News::Offline, json!({"method": "USER_OFFLINE", "push_id": 5, "user_id": "bob"})),
        (
            News::Nickname("B".into()),
            json!({"method": "USER_NICKNAME_CHANGED", "push_id": 5, "user_id": "bob", "user_nickname": "B"}),
        ),
        (
            News::Description("d".into()),
            json!({"method": "USER_DESCRIPTION_CHANGED", "push_id": 5, "user_id": "bob", "user_description": "d"}),
        ),
        (News::Deleted, json!({"method": "USER_DELETED", "push_id": 5, "user_id": "bob"})),
    ] {
        assert_eq!(news(what), expected);
    }
    let farewell = |reason| told(&Notice::Farewell { reason, time_us: 5 });
    let superseded = json!({"method": "FORCED_TO_LOGGED_OFF", "push_id": 5, "reason": "superseded"});
    assert_eq!(farewell(CloseReason::Superseded), Some(superseded));
    assert_eq!(farewell(CloseReason::FrameTooLong), None, "the answer said it");
    for notice in [
        Notice::Closing(CloseReason::Superseded),
        Notice::MailWaiting,
        Notice::PutOut { room: room("red"), own_name: None },
        Notice::Asked { room: room("red"), identifier: "bob".into() },
        Notice::Decided { room: room("red"), approved: true },
    ] {
        assert_eq!(told(&notice), None);
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_every_answer_is_json(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let request = Scrp.decode(&bytes);
        let refusal = request.command.clone().err().unwrap_or(Refusal::Unavailable);
        let answer = answer(&request, Err(refusal));
        proptest::prop_assert!(answer["err"].is_u64() && answer["resp_id"].is_u64());
    }

    #[test]
    fn no_fields_make_it_panic(method in "[A-Z_]{3,12}|SIGN_UP|CREATE_ROOM|RECEIVE_MESSAGE", id in "\\PC{0,20}", access in "-?[0-9]{1,3}(\\.[0-9])?|\"\\PC{0,5}\"") {
        let fields = json!({"user_id": id, "room_id": id, "room_nickname": id, "user_password": id, "user_nickname": id}).to_string();
        let message = format!(r#"{{"req_id":1,"method":"{method}","room_access":{access},{}"#, &fields[1..]);
        let request = Scrp.decode(message.as_bytes());
        let numbered = matches!(request.tag, Tag::Numbered { number: 0 | 1, .. });
        proptest::prop_assert!(numbered);
    }
}
