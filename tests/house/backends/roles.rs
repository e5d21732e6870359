//! Clauses about who runs a room: how that is handed on, who puts out whom, and that the room is told.

use crosstalk::backend::{Denial, Resigned, RoomChange, RoomFault};
use crosstalk::chat::{AccessType, RoomNews, RoomView};

use super::members::{account, asking, did, olgas};
use super::*;

clauses! {
    who_resigns_is_no_member_any_more
    who_is_no_member_cannot_resign
    an_owner_resigns_only_with_its_account
    a_deleted_owners_room_goes_to_the_admin_who_came_first
    without_admins_it_goes_to_the_member_who_came_first
    without_members_it_is_destroyed
    who_is_deleted_and_no_owner_just_leaves
    who_leaves_is_no_admin_any_more
    the_owner_puts_anybody_else_out
    an_admin_puts_out_members_alone
    who_is_put_out_has_to_ask_again
    a_guest_is_put_out
    not_to_be_in_comes_before_not_to_be_allowed
    the_owner_is_put_out_by_nobody
    a_room_is_handed_over_to_a_member
    a_former_owner_is_an_admin
    only_the_owner_hands_over
    members_alone_are_appointed_where_that_is_asked_for
    an_appointment_is_told
    an_appointment_that_changes_nothing_is_not_told
    a_change_is_told
}

impl Node {
    pub(super) async fn resign(&self, room: &RoomId, name: &str, deleted: bool) -> Result<Resigned, RoomFault> {
        self.backend.members.resign(room, &account(name), deleted).await.unwrap()
    }

    async fn remove(&self, room: &RoomId, by: &str, who: &Actor) -> Result<(), RoomFault> {
        self.backend.members.remove(room, &account(by), who).await.unwrap()
    }

    async fn hand_over(&self, room: &RoomId, by: &str, to: &str) -> Result<(), RoomFault> {
        self.backend.members.hand_over(room, &account(by), &nickname(to)).await.unwrap()
    }

    /// Appoints who must be a member.
    pub(super) async fn appoint_member(
        &self,
        room: &RoomId,
        by: &str,
        name: &str,
        admin: bool,
    ) -> Result<(), RoomFault> {
        self.backend.rooms.appoint(room, &account(by), &nickname(name), admin, true).await.unwrap()
    }

    async fn run_by(&self, room: &RoomId) -> (String, Vec<String>) {
        let RoomView { record, admins, .. } = self.backend.rooms.view(room).await.unwrap().expect("the room is kept");
        let owner = record.owner.expect("somebody owns it").to_string();
        (owner, admins.iter().map(ToString::to_string).collect())
    }

    /// What a room was told after so many events.
    async fn told_after(&self, room: &RoomId, before: usize) -> Vec<(String, EventKind)> {
        self.told_in(room).await.split_off(before)
    }

    async fn last_told(&self, room: &RoomId) -> Event {
        self.backend.broker.history(room).await.unwrap().pop().expect("something was told").event
    }

    /// A room of olga's with admins ann and ari and members mia and max, who came in another order.
    async fn staffed(&self, id: &RoomId) -> usize {
        self.room_of(id, &["mia", "ari", "max", "ann"]).await;
        for admin in ["ann", "ari"] {
            self.appoint_member(id, "olga", admin, true).await.unwrap();
        }
        self.told_in(id).await.len()
    }
}

fn run(owner: &str, admins: &[&str]) -> (String, Vec<String>) {
    (owner.to_owned(), admins.iter().map(ToString::to_string).collect())
}

fn handed(by: &str, to: &str) -> (String, EventKind) {
    did(by, EventKind::Handed { to: nickname(to) })
}

async fn who_resigns_is_no_member_any_more(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    node.enter_as(&red, 3, "mia").await.unwrap();
    let mia = actor(3, "mia");
    assert_eq!(node.backend.members.resign(&red, &mia, false).await, Ok(Ok(Resigned::Left)));
    assert_eq!(node.last_told(&red).await, Event::new(mia.clone(), EventKind::Left));
    assert_eq!((node.count(&red).await, node.roll(&red).await), (1, vec!["olga Owner".into()]));
    assert_eq!(node.say_as(&red, "mia", "still here?").await, None);
    let again = node.enrol(&red, "mia").await.unwrap();
    assert_eq!((again.position.offset, again.members, again.repeated), (4, 2, false));
}

async fn who_is_no_member_cannot_resign(node: Node) {
    let red = room("red");
    assert_eq!(node.resign(&red, "mia", false).await, Err(RoomFault::Unknown));
    node.room_of(&red, &["mia"]).await;
    for deleted in [false, true] {
        assert_eq!(node.resign(&red, "eve", deleted).await, Err(RoomFault::NotMember));
    }
    node.enter_as(&red, 3, "eve").await.unwrap();
    assert_eq!(node.resign(&red, "eve", false).await, Err(RoomFault::NotMember), "its session is, the account is not");
    node.resign(&red, "mia", false).await.unwrap();
    assert_eq!(node.resign(&red, "mia", false).await, Err(RoomFault::NotMember), "once is enough");
}

async fn an_owner_resigns_only_with_its_account(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    assert_eq!(node.resign(&red, "olga", false).await, Err(RoomFault::Forbidden));
    assert_eq!(node.run_by(&red).await, run("olga", &["ann", "ari"]));
    assert_eq!(node.told_after(&red, before).await, []);
    assert!(node.say_as(&red, "olga", "I stay").await.is_some());
}

async fn a_deleted_owners_room_goes_to_the_admin_who_came_first(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    // One that runs the room without being in it does not get it.
    node.appoint(&red, "olga", "aaa", true).await.unwrap();
    assert_eq!(node.resign(&red, "olga", true).await, Ok(Resigned::Handed { to: nickname("ari") }));
    assert_eq!(node.told_after(&red, before + 1).await, [handed("olga", "ari"), did("olga", EventKind::Left)]);
    assert_eq!(node.run_by(&red).await, run("ari", &["aaa", "ann"]));
    assert_eq!(node.roll(&red).await, ["mia Member", "ari Owner", "max Member", "ann Admin"]);
    assert_eq!(node.say_as(&red, "olga", "still here?").await, None);
    assert_eq!(node.hand_over(&red, "olga", "mia").await, Err(RoomFault::Forbidden));
}

async fn without_admins_it_goes_to_the_member_who_came_first(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Public)).await;
    // Guests and mere sessions do not get it.
    node.enter(&red, &actor(1, "gus")).await;
    node.enter_as(&red, 2, "adam").await.unwrap();
    for name in ["zoe", "mia"] {
        node.enrol(&red, name).await.unwrap();
    }
    node.appoint(&red, "olga", "aaa", true).await.unwrap();
    let before = node.told_in(&red).await.len();
    assert_eq!(node.resign(&red, "olga", true).await, Ok(Resigned::Handed { to: nickname("zoe") }));
    assert_eq!(node.told_after(&red, before).await, [handed("olga", "zoe"), did("olga", EventKind::Left)]);
    assert_eq!(node.run_by(&red).await, run("zoe", &["aaa"]));
}

async fn without_members_it_is_destroyed(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Public)).await;
    node.enter(&red, &actor(1, "gus")).await;
    node.appoint(&red, "olga", "aaa", true).await.unwrap();
    assert_eq!(node.resign(&red, "olga", true).await, Ok(Resigned::Destroyed));
    let destroyed = did("olga", EventKind::Destroyed { room: red.clone() });
    assert_eq!(node.told_in(&red).await.last(), Some(&destroyed));
    assert_eq!(node.backend.rooms.view(&red).await, Ok(None));
    assert_eq!((node.count(&red).await, node.backend.rooms.list(None, 10).await), (0, Ok(vec![])));
    assert_eq!(node.resign(&red, "olga", true).await, Err(RoomFault::Unknown));
}

async fn who_is_deleted_and_no_owner_just_leaves(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    for name in ["mia", "ari"] {
        assert_eq!(node.resign(&red, name, true).await, Ok(Resigned::Left));
    }
    let left = ["mia", "ari"].map(|name| did(name, EventKind::Left));
    assert_eq!(node.told_after(&red, before).await, left);
    assert_eq!(node.run_by(&red).await, run("olga", &["ann"]));
}

async fn who_leaves_is_no_admin_any_more(node: Node) {
    let red = room("red");
    node.staffed(&red).await;
    assert_eq!(node.resign(&red, "ari", false).await, Ok(Resigned::Left));
    assert_eq!(node.run_by(&red).await, run("olga", &["ann"]));
    node.enrol(&red, "ari").await.unwrap();
    assert_eq!(node.run_by(&red).await, run("olga", &["ann"]), "it comes back as a member");
    assert_eq!(node.remove(&red, "ari", &account("mia")).await, Err(RoomFault::Forbidden));
}

async fn the_owner_puts_anybody_else_out(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    for name in ["mia", "ari"] {
        assert_eq!(node.remove(&red, "olga", &account(name)).await, Ok(()));
    }
    let removed = ["mia", "ari"].map(|name| did("olga", EventKind::Removed { who: account(name) }));
    assert_eq!(node.told_after(&red, before).await, removed, "and nothing else is");
    assert_eq!(node.roll(&red).await, ["olga Owner", "max Member", "ann Admin"]);
    assert_eq!(node.run_by(&red).await, run("olga", &["ann"]), "an admin is none any more");
    assert_eq!(node.say_as(&red, "mia", "still here?").await, None);
    node.enrol(&red, "ari").await.unwrap();
    assert_eq!(node.run_by(&red).await, run("olga", &["ann"]));
}

async fn an_admin_puts_out_members_alone(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    for who in ["olga", "ann", "ari"] {
        assert_eq!(node.remove(&red, "ann", &account(who)).await, Err(RoomFault::Forbidden), "{who}");
    }
    for by in ["max", "eve"] {
        assert_eq!(node.remove(&red, by, &account("mia")).await, Err(RoomFault::Forbidden), "{by}");
    }
    assert_eq!(node.told_after(&red, before).await, []);
    assert_eq!(node.remove(&red, "ann", &account("mia")).await, Ok(()));
    // One that runs the room without being in it may, too.
    node.appoint(&red, "olga", "aaa", true).await.unwrap();
    assert_eq!(node.remove(&red, "aaa", &account("max")).await, Ok(()));
    assert_eq!(node.roll(&red).await, ["olga Owner", "ari Admin", "ann Admin"]);
}

async fn who_is_put_out_has_to_ask_again(node: Node) {
    let red = room("red");
    let denied = Err(Denial::Permission { runners: vec![nickname("olga")] });
    node.create(&red, &olgas(AccessType::Permission)).await;
    node.enrol_with(&red, "mia", &asking("mia", 70)).await.unwrap_err();
    node.decide_named(&red, "mia", true).await;
    node.enter_as(&red, 3, "mia").await.unwrap();
    let mia = actor(3, "mia");
    assert_eq!(node.remove(&red, "olga", &mia).await, Ok(()));
    assert_eq!(node.publish(&red, &message(&mia, "still here?"), Publisher::Member { account: None }).await, None);
    assert_eq!(node.say_as(&red, "mia", "still here?").await, None);
    assert_eq!(node.enrol_with(&red, "mia", &asking("mia", 71)).await, denied, "the approval counts no more");
    node.decide_named(&red, "mia", false).await;
    assert_eq!(node.enter_as(&red, 3, "mia").await, denied);
}

async fn a_guest_is_put_out(node: Node) {
    let red = room("red");
    node.room_of(&red, &[]).await;
    let (gus, namesake) = (actor(1, "gus"), actor(2, "gus"));
    node.enter(&red, &gus).await;
    node.enter(&red, &namesake).await;
    assert_eq!(node.remove(&red, "olga", &gus).await, Ok(()));
    assert_eq!(node.told_in(&red).await.last(), Some(&did("olga", EventKind::Removed { who: gus.clone() })));
    let by_itself = Publisher::Member { account: None };
    assert_eq!(node.publish(&red, &message(&gus, "still here?"), by_itself).await, None);
    assert!(node.publish(&red, &message(&namesake, "I am"), by_itself).await.is_some(), "a guest is the session");
    assert_eq!(node.remove(&red, "olga", &gus).await, Err(RoomFault::NotMember), "once is enough");
    assert_eq!(node.backend.presence.leave(&red, &gus).await, Ok(None), "there is nothing to leave");
    assert_eq!(node.count(&red).await, 2);
    // What was permitted to it ends, too.
    let blue = room("blue");
    let denied = Denial::Permission { runners: vec![nickname("olga")] };
    node.create(&blue, &olgas(AccessType::Permission)).await;
    assert_eq!(node.knock(&blue, &gus, &Ticket::default()).await, Err(denied.clone()));
    node.decide_named(&blue, "gus", true).await;
    node.knock(&blue, &gus, &Ticket::default()).await.unwrap();
    assert_eq!(node.remove(&blue, "olga", &gus).await, Ok(()));
    assert_eq!(node.knock(&blue, &gus, &Ticket::default()).await, Err(denied));
}

async fn not_to_be_in_comes_before_not_to_be_allowed(node: Node) {
    let red = room("red");
    let eve = account("eve");
    assert_eq!(node.remove(&red, "olga", &eve).await, Err(RoomFault::Unknown));
    node.staffed(&red).await;
    for by in ["olga", "ann", "mia", "eve", "nobody"] {
        assert_eq!(node.remove(&red, by, &eve).await, Err(RoomFault::NotMember), "{by}");
        for admin in [true, false] {
            assert_eq!(node.appoint_member(&red, by, "eve", admin).await, Err(RoomFault::NotMember), "{by}");
        }
    }
    node.enter(&room("made by members"), &actor(1, "gus")).await;
    let unkept = node.remove(&room("made by members"), "olga", &actor(1, "gus")).await;
    assert!(matches!(unkept, Err(RoomFault::Forbidden | RoomFault::Unknown)), "nobody runs it: {unkept:?}");
}

async fn the_owner_is_put_out_by_nobody(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    for by in ["olga", "ann", "mia", "eve"] {
        assert_eq!(node.remove(&red, by, &account("olga")).await, Err(RoomFault::Forbidden), "{by}");
    }
    assert_eq!(node.told_after(&red, before).await, []);
    assert_eq!(node.run_by(&red).await.0, "olga");
}

async fn a_room_is_handed_over_to_a_member(node: Node) {
    let red = room("red");
    assert_eq!(node.hand_over(&red, "olga", "mia").await, Err(RoomFault::Unknown));
    node.staffed(&red).await;
    let olga = actor(3, "olga");
    assert_eq!(node.hand_over(&red, "olga", "eve").await, Err(RoomFault::NotMember));
    assert_eq!(node.backend.members.hand_over(&red, &olga, &nickname("mia")).await, Ok(Ok(())));
    assert_eq!(node.last_told(&red).await, Event::new(olga, EventKind::Handed { to: nickname("mia") }));
    assert_eq!(node.run_by(&red).await, run("mia", &["ann", "ari", "olga"]));
    assert_eq!(node.roll(&red).await, ["olga Admin", "mia Owner", "ari Admin", "max Member", "ann Admin"]);
    assert_eq!(node.hand_over(&red, "mia", "ari").await, Ok(()));
    assert_eq!(node.run_by(&red).await, run("ari", &["ann", "mia", "olga"]), "who owns it is no admin");
}

async fn a_former_owner_is_an_admin(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia", "max"]).await;
    node.hand_over(&red, "olga", "mia").await.unwrap();
    assert_eq!(node.hand_over(&red, "olga", "max").await, Err(RoomFault::Forbidden));
    assert_eq!(node.appoint(&red, "olga", "max", true).await, Err(RoomFault::Forbidden));
    assert_eq!(node.remove(&red, "olga", &account("mia")).await, Err(RoomFault::Forbidden));
    let by_olga = node.backend.rooms.destroy(&red, &account("olga"), Some(&nickname("olga"))).await;
    assert_eq!(by_olga, Ok(Err(RoomFault::Forbidden)));
    assert_eq!(node.remove(&red, "olga", &account("max")).await, Ok(()));
    assert_eq!(node.resign(&red, "olga", false).await, Ok(Resigned::Left), "it may leave now");
    assert_eq!(node.run_by(&red).await, run("mia", &[]));
}

async fn only_the_owner_hands_over(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    for by in ["ann", "mia", "eve"] {
        assert_eq!(node.hand_over(&red, by, "max").await, Err(RoomFault::Forbidden), "{by}");
    }
    node.enter_as(&red, 3, "eve").await.unwrap();
    node.enter(&red, &actor(4, "gus")).await;
    for to in ["eve", "gus"] {
        assert_eq!(node.hand_over(&red, "olga", to).await, Err(RoomFault::NotMember), "{to} is not enrolled");
    }
    assert_eq!(node.told_after(&red, before + 2).await, []);
    assert_eq!(node.run_by(&red).await, run("olga", &["ann", "ari"]));
}

async fn members_alone_are_appointed_where_that_is_asked_for(node: Node) {
    let red = room("red");
    assert_eq!(node.appoint_member(&red, "olga", "mia", true).await, Err(RoomFault::Unknown));
    node.room_of(&red, &["mia", "max"]).await;
    node.enter_as(&red, 3, "eve").await.unwrap();
    assert_eq!(node.appoint_member(&red, "olga", "eve", true).await, Err(RoomFault::NotMember));
    assert_eq!(node.appoint_member(&red, "olga", "mia", false).await, Err(RoomFault::NotMember), "it is no admin");
    assert_eq!(node.appoint_member(&red, "max", "mia", true).await, Err(RoomFault::Forbidden));
    assert_eq!(node.appoint_member(&red, "olga", "mia", true).await, Ok(()));
    assert_eq!(node.appoint_member(&red, "mia", "max", true).await, Err(RoomFault::Forbidden), "an admin is no owner");
    assert_eq!(node.appoint_member(&red, "olga", "mia", false).await, Ok(()));
    node.appoint(&red, "olga", "eve", true).await.unwrap();
    assert_eq!(node.appoint_member(&red, "olga", "eve", false).await, Ok(()), "an admin that is not in");
    assert_eq!(node.run_by(&red).await, run("olga", &[]));
}

async fn an_appointment_is_told(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let olga = actor(3, "olga");
    for admin in [true, false] {
        node.backend.rooms.appoint(&red, &olga, &nickname("mia"), admin, true).await.unwrap().unwrap();
        let told = EventKind::Appointed { account: nickname("mia"), admin };
        assert_eq!(node.last_told(&red).await, Event::new(olga.clone(), told));
    }
    node.appoint(&red, "olga", "eve", true).await.unwrap();
    let told = EventKind::Appointed { account: nickname("eve"), admin: true };
    assert_eq!(node.last_told(&red).await, Event::new(account("olga"), told));
}

async fn an_appointment_that_changes_nothing_is_not_told(node: Node) {
    let red = room("red");
    let before = node.staffed(&red).await;
    assert_eq!(node.appoint(&red, "olga", "ann", true).await, Ok(()));
    assert_eq!(node.appoint_member(&red, "olga", "ann", true).await, Ok(()));
    assert_eq!(node.appoint(&red, "olga", "mia", false).await, Ok(()));
    assert_eq!(node.appoint(&red, "mia", "max", true).await, Err(RoomFault::Forbidden));
    assert_eq!(node.told_after(&red, before).await, []);
}

async fn a_change_is_told(node: Node) {
    let red = room("red");
    node.room_of(&red, &[]).await;
    let olga = actor(3, "olga");
    let described = RoomChange { description: Some("\"new\" é".into()), ..RoomChange::default() };
    let everything = RoomChange {
        access: Some((AccessType::Password, Some("$secret".into()))),
        nickname: Some("Red".into()),
        description: Some(String::new()),
    };
    for change in [described, everything] {
        node.backend.rooms.change(&red, &olga, &change).await.unwrap().unwrap();
        let told = RoomNews {
            access: change.access.map(|(access, _)| access),
            nickname: change.nickname,
            description: change.description,
        };
        assert_eq!(node.last_told(&red).await, Event::new(olga.clone(), EventKind::Changed(told)));
    }
    let before = node.told_in(&red).await.len();
    let refused = node.backend.rooms.change(&red, &account("eve"), &RoomChange::default()).await;
    assert_eq!(refused, Ok(Err(RoomFault::Forbidden)));
    assert_eq!(node.told_after(&red, before).await, []);
}
