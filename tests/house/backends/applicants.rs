//! Clauses about accounts that ask to be members of a permission room for good.

use crosstalk::backend::{Asker, Denial, RoomFault};
use crosstalk::chat::{AccessType, Addressee, Applicant, PersonKey, RequestId};

use super::members::{asking, olgas};
use super::*;

clauses! {
    who_wants_to_enrol_in_a_permission_room_waits
    a_member_of_a_permission_room_is_repeated
    an_applicant_who_enrols_is_a_member_by_the_approval
    an_applicant_who_does_not_enrol_is_let_in_only
    who_asks_again_to_enrol_keeps_its_request
    an_accounts_wish_is_withdrawn
    a_request_that_nobody_made_is_not_decided
    who_has_a_deleted_accounts_name_runs_nothing_and_is_permitted_nothing
}

impl Node {
    async fn waiting(&self, room: &RoomId) -> Vec<Applicant> {
        self.backend.rooms.view(room).await.unwrap().expect("the room is kept").applicants
    }

    async fn decide_request(
        &self,
        room: &RoomId,
        by: &str,
        request: u32,
        approve: bool,
    ) -> Result<Applicant, RoomFault> {
        let who = Asker::Request(RequestId(request));
        self.backend.rooms.decide(room, &nickname(by), &who, approve).await.unwrap()
    }

    /// Decides as olga about somebody who asked.
    pub(super) async fn decide_named(&self, room: &RoomId, name: &str, approve: bool) -> Applicant {
        let who = Asker::Named(Addressee::Nickname(nickname(name)));
        self.backend.rooms.decide(room, &nickname("olga"), &who, approve).await.unwrap().expect("it asked")
    }
}

async fn who_wants_to_enrol_in_a_permission_room_waits(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    let told =
        |runners: &[&str]| Err(Denial::Permission { runners: runners.iter().map(|name| nickname(name)).collect() });
    assert_eq!(node.enrol_with(&red, "mia", &asking("mia", 70)).await, told(&["olga"]));
    assert_eq!(node.enrol_with(&red, "mia", &asking("mia", 71)).await, told(&[]), "olga was told");
    let waiting = node.waiting(&red).await;
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].asked_s > 0);
    let Applicant { key, identifier, request, enrols, .. } = &waiting[0];
    assert_eq!((key, identifier.as_str()), (&PersonKey::Account(nickname("mia")), "mia"));
    assert_eq!((request, enrols), (&RequestId(70), &true));
    let guest = Ticket { request: RequestId(80), ..Ticket::default() };
    assert_eq!(node.knock(&red, &actor(2, "gus"), &guest).await, told(&["olga"]));
    let waiting = node.waiting(&red).await;
    let gus = waiting.iter().find(|applicant| applicant.identifier == "gus").expect("gus waits");
    assert_eq!((gus.request, gus.enrols), (RequestId(80), false));
    assert_eq!((node.count(&red).await, node.told_in(&red).await), (1, vec![]));
}

async fn a_member_of_a_permission_room_is_repeated(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    node.open_to(&red, AccessType::Permission).await;
    assert!(node.enrol(&red, "mia").await.unwrap().repeated);
    assert_eq!(node.waiting(&red).await, []);
}

async fn an_applicant_who_enrols_is_a_member_by_the_approval(mut node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    node.subscribe(&red).await;
    for (name, request) in [("mia", 70), ("noa", 71)] {
        node.enrol_with(&red, name, &asking(name, request)).await.unwrap_err();
    }
    assert_eq!(node.decide_request(&red, "eve", 70, true).await, Err(RoomFault::Forbidden));
    let approved = node.decide_request(&red, "olga", 70, true).await.unwrap();
    assert_eq!((approved.request, approved.enrols), (RequestId(70), true));
    let heard = node.hears(&red).await;
    assert_eq!((heard.event.actor.nickname, heard.event.kind), (Some(nickname("mia")), EventKind::Joined));
    assert_eq!(node.roll(&red).await, ["olga Owner", "mia Member"]);
    assert!(node.say_as(&red, "mia", "thanks").await.is_some());
    assert!(node.enrol(&red, "mia").await.unwrap().repeated);
    let rejected = node.decide_request(&red, "olga", 71, false).await.unwrap();
    assert_eq!(rejected.key, PersonKey::Account(nickname("noa")));
    assert_eq!((node.count(&red).await, node.waiting(&red).await), (2, vec![]));
    let rooms = node.backend.members.enrolments(&nickname("mia")).await.unwrap();
    assert!(rooms.len() == 1 && rooms[0].room == red && rooms[0].is_member, "{rooms:?}");
    assert_eq!(node.say_as(&red, "noa", "and me?").await, None);
}

async fn an_applicant_who_does_not_enrol_is_let_in_only(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    node.knock(&red, &actor(3, "mia"), &asking("mia", 70)).await.unwrap_err();
    let approved = node.decide_request(&red, "olga", 70, true).await.unwrap();
    assert_eq!((approved.request, approved.enrols), (RequestId(70), false));
    assert_eq!((node.roll(&red).await, node.told_in(&red).await), (vec!["olga Owner".into()], vec![]));
    let entered = node.enter_as(&red, 4, "mia").await.unwrap();
    assert_eq!((entered.members, entered.repeated), (2, false));
    // And may enrol now.
    assert!(!node.enrol(&red, "mia").await.unwrap().repeated);
}

async fn who_asks_again_to_enrol_keeps_its_request(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    node.knock(&red, &actor(3, "mia"), &asking("mia", 70)).await.unwrap_err();
    assert_eq!(node.enrol_with(&red, "mia", &asking("mia", 71)).await, Err(Denial::Permission { runners: vec![] }));
    let waiting = node.waiting(&red).await;
    assert_eq!((waiting.len(), waiting[0].request, waiting[0].enrols), (1, RequestId(70), true));
    node.knock(&red, &actor(3, "mia"), &asking("mia", 72)).await.unwrap_err();
    assert!(node.waiting(&red).await[0].enrols, "it wants to, still");
    assert_eq!(node.decide_request(&red, "olga", 71, true).await, Err(RoomFault::NoApplicant));
    node.decide_request(&red, "olga", 70, true).await.unwrap();
    assert_eq!(node.roll(&red).await, ["olga Owner", "mia Member"]);
}

async fn an_accounts_wish_is_withdrawn(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    for (name, request) in [("mia", 70), ("noa", 71)] {
        node.enrol_with(&red, name, &asking(name, request)).await.unwrap_err();
    }
    for _ in 0..2 {
        node.backend.rooms.withdraw(&red, &nickname("mia")).await.unwrap();
    }
    node.backend.rooms.withdraw(&room("nowhere"), &nickname("mia")).await.unwrap();
    assert_eq!(node.waiting(&red).await.len(), 1);
    assert_eq!(node.decide_request(&red, "olga", 70, true).await, Err(RoomFault::NoApplicant));
    let again = node.enrol_with(&red, "mia", &asking("mia", 72)).await;
    assert_eq!(again, Err(Denial::Permission { runners: vec![nickname("olga")] }), "it asks anew");
}

async fn a_request_that_nobody_made_is_not_decided(node: Node) {
    let red = room("red");
    assert_eq!(node.decide_request(&red, "olga", 70, true).await, Err(RoomFault::Unknown));
    node.create(&red, &olgas(AccessType::Permission)).await;
    node.enrol_with(&red, "mia", &asking("mia", 70)).await.unwrap_err();
    assert_eq!(node.decide_request(&red, "olga", 7, true).await, Err(RoomFault::NoApplicant));
    assert_eq!(node.waiting(&red).await.len(), 1);
}

async fn who_has_a_deleted_accounts_name_runs_nothing_and_is_permitted_nothing(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    let names = ["ada", "ann", "eva", "mia"];
    for name in names {
        node.sign_up(name).await;
    }
    node.backend.rooms.appoint(&red, &actor(9, "olga"), &nickname("ada"), true, false).await.unwrap().unwrap();
    node.knock(&red, &actor(1, "ann"), &asking("ann", 70)).await.unwrap_err();
    node.decide_request(&red, "olga", 70, true).await.unwrap();
    node.knock(&red, &actor(2, "eva"), &asking("eva", 71)).await.unwrap_err();
    node.enrol_with(&red, "mia", &asking("mia", 72)).await.unwrap_err();
    for name in names {
        node.delete(name).await;
        node.sign_up(name).await;
    }
    let view = node.backend.rooms.view(&red).await.unwrap().expect("the room is kept");
    assert_eq!((view.admins, view.applicants), (vec![], vec![]));
    for (number, name) in (73..).zip(names) {
        let denied = node.knock(&red, &actor(1, name), &asking(name, number)).await;
        assert_eq!(denied, Err(Denial::Permission { runners: vec![nickname("olga")] }), "{name}");
    }
}
