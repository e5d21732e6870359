use super::*;
use crate::chat::{
    AccessType, Addressee, Command, Credential, From, MessageId, RequestId, RoomRef, RoomWishes, Source, Verdict,
};

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
        let request = Scrp { extended: false }.decode(message);
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
        ("ENTER_ROOM", Command::Join { room: room("red"), password: None, since: None }),
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
