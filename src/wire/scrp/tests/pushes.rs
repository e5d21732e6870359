use super::*;
use crate::chat::{
    AccessType, Actor, CloseReason, Epoch, Event, EventKind, Mail, MessageId, News, Position, PrivateMessage, Push,
    RequestId, RequestKind, RoomNews, SessionId,
};

fn bob() -> Actor {
    Actor { session: SessionId::from_u128(1), nickname: Some(name("bob")) }
}

fn pushed(kind: EventKind) -> Vec<Value> {
    let position = Position { epoch: Epoch::new(3), offset: 4 };
    let envelope = Envelope { position, time_us: 5_000_001, event: Event::new(bob(), kind) };
    let messages = Scrp { extended: false }.event(EventForm::Scrp, "red", &envelope);
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
    assert!(pushed(EventKind::Destroyed { room: room("blue") }).is_empty());
    let news =
        RoomNews { access: Some(AccessType::Password), nickname: Some("Red".into()), description: Some(String::new()) };
    let mut expected = [
        push("ROOM_ACCESS_CHANGED", json!({"room_access_type": 1})),
        push("ROOM_NICKNAME_CHANGED", json!({"room_nickname": "Red"})),
        push("ROOM_DESCRIPTION_CHANGED", json!({"room_description": ""})),
    ];
    for (push, more) in expected.iter_mut().zip(0..) {
        push["push_id"] = json!(push["push_id"].as_u64().unwrap() + more);
    }
    assert_eq!(pushed(EventKind::Changed(news)), expected);
}

fn told(notice: &Notice) -> Option<Value> {
    Scrp { extended: false }.tell(EventForm::Scrp, notice).map(|message| serde_json::from_slice(&message).unwrap())
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
        (Push::Private { id, time_us: 7_000_002, message }, "NEW_PRIVATE_MESSAGE", fields),
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
