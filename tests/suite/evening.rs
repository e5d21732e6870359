//! An evening of four people on four dialects over three replicas: one long story, each step of which the others see.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat, Scrp, Simple};
use crate::support::dialect::{PASSWORD, Transport, command, sign_up};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::scrp::{Pushed, befriend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evening_of_four_people_on_four_dialects_over_three_replicas() {
    let redis = Redis::start();
    let replicas = [Plan::on(&redis).start(), Plan::on(&redis).start(), Plan::on(&redis).start()];

    let phones = Phones::everybody_signs_up(&replicas).await;
    let phones = phones.stella_makes_friends().await;
    let phones = phones.stella_opens_the_terrace_to_everybody().await;
    let mut evening = phones.everybody_goes_out_in_their_own_dialect(&replicas).await;
    evening.they_talk_on_the_terrace().await;
    evening.the_cellar_has_a_password().await;
    evening.simon_keeps_the_door_of_the_attic_for_stella(&replicas).await;
    evening.they_whisper().await;
    evening.stella_goes_home_and_misses_nothing(&replicas).await;
    evening.petra_goes_home_and_misses_nothing(&replicas).await;
    evening.stella_puts_adam_out_and_gives_the_terrace_to_petra().await;
    evening.stella_closes_the_cellar().await;
    evening.stella_deletes_her_account(&replicas).await;
}

/// All four at home, on the dialect in which one signs up.
struct Phones {
    pushed_to_stella: Pushed,
    stella: Client,
    adam: Client,
    simon: Client,
    petra: Client,
}

/// And out: Stella, who drops what was pushed to her before, stays with `scrp`, Adam speaks `action`, Simon the extended `simple`, Petra `pychat`.
struct Evening {
    pushed_to_stella: Pushed,
    stella: Client,
    adam: Client,
    simon: Client,
    petra: Client,
}

impl Phones {
    async fn everybody_signs_up(replicas: &[Node; 3]) -> Self {
        let mut stella = Client::named(&replicas[0], Scrp, "stella").await;
        let pushed_to_stella = Pushed::default();
        pushed_to_stella.drop_repeats(&mut stella);
        // The name is hers on every replica, whether she is there or not.
        assert_eq!(Client::scrp(&replicas[1]).await.ask(&sign_up("stella")).await["err"], 400);
        let mut guest = Client::connect(&replicas[2], Action, Transport::WebSocket).await;
        assert_eq!(guest.refused(&Action.claim("stella")).await, "Nickname already in use");
        stella.does("CHANGE_USER_NICKNAME", json!({"user_nickname": "Stella by starlight"})).await;
        let [adam, simon, petra] = [(1, "adam"), (2, "simon"), (1, "petra")];
        Self {
            pushed_to_stella,
            stella,
            adam: Client::named(&replicas[adam.0], Scrp, adam.1).await,
            simon: Client::named(&replicas[simon.0], Scrp, simon.1).await,
            petra: Client::named(&replicas[petra.0], Scrp, petra.1).await,
        }
    }

    async fn stella_makes_friends(mut self) -> Self {
        let Self { stella, adam, simon, petra, .. } = &mut self;
        assert_eq!(stella.err("SEND_PRIVATE_MESSAGE", json!({"user_id": "adam", "content": "hi"})).await, 408);
        befriend(stella, adam, "adam").await;
        befriend(stella, simon, "simon").await;
        // Petra will not be asked; she asks.
        stella.does("ADD_FRIEND", json!({"subject_user_id": "petra", "verification message": "we met"})).await;
        let asked = petra.sees(json!({"method": "NEW_FRIEND_REQUEST", "user_id": "stella", "message": "we met"})).await;
        assert_eq!(asked["user_nickname"], "Stella by starlight");
        petra.does("REJECT_REQUEST", json!({"target_request_id": asked["request_id"]})).await;
        stella.sees(json!({"method": "REQUEST_REJECTED", "kind": "friend", "user_id": "petra"})).await;
        befriend(petra, stella, "stella").await;
        let friends = stella.does("GET_FRIENDS", json!({})).await;
        let ids: Vec<&Value> = friends["friends"].as_array().unwrap().iter().map(|friend| &friend["user_id"]).collect();
        assert_eq!(ids, ["adam", "petra", "simon"]);
        self
    }

    async fn stella_opens_the_terrace_to_everybody(mut self) -> Self {
        let Self { stella, adam, simon, petra, .. } = &mut self;
        let terrace =
            json!({"room_id": "terrace", "room_nickname": "The Terrace", "room_access": "ROOM_ACCESS_PUBLIC"});
        stella.does("CREATE_ROOM", terrace).await;
        let found = adam.does("SEARCH_ROOM", json!({"query": "terr"})).await;
        assert_eq!(found["rooms"][0]["room_id"], "terrace");
        let mut inside: Vec<&mut Client> = vec![stella];
        for (newcomer, name) in [(adam, "adam"), (simon, "simon"), (petra, "petra")] {
            newcomer.does("ENTER_ROOM", json!({"room_id": "terrace"})).await;
            inside.push(newcomer);
            for client in &mut inside {
                client.sees(json!({"method": "USER_ENTER_ROOM", "room_id": "terrace", "user_id": name})).await;
            }
        }
        self
    }

    async fn everybody_goes_out_in_their_own_dialect(self, replicas: &[Node; 3]) -> Evening {
        let Self { pushed_to_stella, mut stella, adam, simon, petra } = self;
        for (phone, name) in [(adam, "adam"), (simon, "simon"), (petra, "petra")] {
            phone.disconnect().await;
            stella.sees(json!({"method": "USER_OFFLINE", "user_id": name})).await;
        }
        let mut evening = Evening {
            adam: out(&replicas[1], Action, "adam").await,
            simon: out(&replicas[2], Simple, "simon").await,
            petra: out(&replicas[2], Pychat, "petra").await,
            stella,
            pushed_to_stella,
        };
        for name in ["adam", "simon", "petra"] {
            evening.stella.sees(json!({"method": "USER_ONLINE", "user_id": name})).await;
        }
        for client in [&mut evening.adam, &mut evening.simon, &mut evening.petra] {
            client.must(&client.dialect().join("terrace")).await;
        }
        // For Stella they were members all the time; the others see one another come.
        evening.simon.sees(comes("simple", "petra", "terrace")).await;
        evening.petra.sees(comes("pychat", "petra", "terrace")).await;
        evening.nobody_has_heard_anything_else().await;
        evening
    }
}

/// Logged in by the password, in a dialect of one's own.
async fn out(node: &Node, dialect: Dialect, name: &str) -> Client {
    let transport = if dialect == Pychat { Transport::Tcp } else { Transport::WebSocket };
    let mut client = Client::connect(node, dialect, transport).await;
    client.greet().await;
    let login = match dialect {
        Action => json!({"action": "LOGIN NICK", "nickname": name, "password": PASSWORD}).to_string(),
        Simple => with(command("login", &format!("@{name}")), "password", PASSWORD),
        Pychat => format!("LOGIN {name} {PASSWORD}"),
        Scrp => dialect.claim(name),
    };
    client.must(&login).await;
    client
}

fn with(request: String, field: &str, value: &str) -> String {
    let mut request: Value = serde_json::from_str(&request).unwrap();
    request[field] = json!(value);
    request.to_string()
}

fn comes(dialect: &str, who: &str, room: &str) -> Value {
    match dialect {
        "simple" => json!({"emitter": "participant", "event": "join", "identifier": who, "target": format!("#{room}")}),
        _ => json!({"type": "userJoined", "from": who}),
    }
}

fn goes(dialect: &str, who: &str, room: &str) -> Value {
    match dialect {
        "simple" => json!({"emitter": "participant", "event": "left", "identifier": who, "target": format!("#{room}")}),
        _ => json!({"type": "userLeft", "from": who}),
    }
}

/// What somebody says in a room, as each dialect shows it.
async fn hears(client: &mut Client, room: &str, author: &str, text: &str) -> Value {
    let expected = match client.dialect() {
        Action => json!({"action": "GET MESSAGE", "room_id": room, "author": author, "text": text}),
        Simple => json!({"type": "message", "target": format!("#{room}"), "identifier": author, "message": text}),
        Pychat => json!({"type": "message", "from": author, "body": text}),
        Scrp => json!({"method": "NEW_ROOM_MESSAGE", "room_id": room, "sender": author, "content": text}),
    };
    client.sees(expected).await
}

impl Evening {
    fn everybody(&mut self) -> [(&'static str, &mut Client); 4] {
        let Self { stella, adam, simon, petra, .. } = self;
        [("stella", stella), ("adam", adam), ("simon", simon), ("petra", petra)]
    }

    /// Somebody says something, and all who are named hear it, oneself included where the dialect shows it.
    async fn says(&mut self, speaker: &str, room: &str, text: &str, heard_by: &[&str]) {
        let [stella, adam, simon, petra] = self.everybody().map(|(_, client)| client);
        let speaking = match speaker {
            "stella" => stella,
            "adam" => adam,
            "simon" => simon,
            _ => petra,
        };
        speaking.say(room, text).await;
        for (name, client) in self.everybody() {
            if heard_by.contains(&name) && (name, client.dialect()) != (speaker, Scrp) {
                hears(client, room, speaker, text).await;
            }
        }
    }

    async fn nobody_has_heard_anything_else(&mut self) {
        for (_, client) in self.everybody() {
            client.expect_quiet().await;
        }
    }

    async fn they_talk_on_the_terrace(&mut self) {
        let all = ["stella", "adam", "simon", "petra"];
        self.says("stella", "terrace", "What a night!", &all).await;
        self.says("adam", "terrace", "Where is the moon?", &all).await;
        self.says("simon", "terrace", "Behind the house.", &all).await;
        self.says("petra", "terrace", "Then let us wait.", &all).await;
        self.nobody_has_heard_anything_else().await;
    }

    async fn the_cellar_has_a_password(&mut self) {
        let cellar = json!({
            "room_id": "cellar", "room_nickname": "Wine", "room_access_type": 1, "room_password": "in vino veritas"
        });
        self.stella.does("CREATE_ROOM", cellar).await;
        self.simon.sees(json!({"emitter": "channel", "event": "create", "identifier": "#cellar"})).await;
        assert_eq!(self.petra.refused("JOIN cellar").await, "Room password required");
        let join = Action.join("cellar");
        assert_eq!(self.adam.refused(&join).await, "Room password required");
        assert_eq!(self.adam.refused(&with(join.clone(), "password", "sesame")).await, "Wrong room password");
        self.adam.must(&with(join, "password", "in vino veritas")).await;
        self.stella.sees(json!({"method": "USER_ENTER_ROOM", "room_id": "cellar", "user_id": "adam"})).await;
        self.simon.must(&with(Simple.join("cellar"), "password", "in vino veritas")).await;
        self.stella.sees(json!({"method": "USER_ENTER_ROOM", "room_id": "cellar", "user_id": "simon"})).await;
        self.says("adam", "cellar", "To all of us!", &["stella", "adam", "simon"]).await;
        self.nobody_has_heard_anything_else().await;
    }

    /// Simon wants to be a member for good, so he asks by his phone, and is made an admin; then he decides on his own.
    async fn simon_keeps_the_door_of_the_attic_for_stella(&mut self, replicas: &[Node; 3]) {
        let attic = json!({"room_id": "attic", "room_nickname": "Attic", "room_access": "ROOM_ACCESS_PERMISSION"});
        self.stella.does("CREATE_ROOM", attic).await;
        self.simon.sees(json!({"emitter": "channel", "event": "create", "identifier": "#attic"})).await;

        let mut phone = out(&replicas[0], Scrp, "simon").await;
        self.simon.sees(json!({"type": "error", "code": "superseded"})).await;
        for room in ["terrace", "cellar"] {
            self.petra_sees_go("simon", room).await;
        }
        self.stella.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "cellar", "user_id": "simon"})).await;
        phone.does("ENTER_ROOM", json!({"room_id": "attic"})).await;
        assert_eq!(phone.err("SEND_ROOM_MESSAGE", json!({"room_id": "attic", "content": "let me in"})).await, 407);
        let asked = json!({"method": "ENTER_ROOM_REQUEST", "room_id": "attic", "user_id": "simon"});
        let asked = self.stella.sees(asked).await;
        self.stella.does("APPROVE_REQUEST", json!({"target_request_id": asked["request_id"]})).await;
        phone.sees(json!({"method": "REQUEST_APPROVED", "kind": "room", "room_id": "attic"})).await;
        self.stella.does("SET_ADMIN", json!({"room_id": "attic", "subject_user_id": "simon"})).await;
        // That he is in, Simon knows by the approval.
        self.stella.sees(json!({"method": "USER_ENTER_ROOM", "room_id": "attic", "user_id": "simon"})).await;
        for client in [&mut self.stella, &mut phone] {
            client.sees(json!({"method": "APPOINTED_AS_ADMIN", "room_id": "attic", "user_id": "simon"})).await;
        }
        phone.disconnect().await;
        self.stella.sees(json!({"method": "USER_OFFLINE", "user_id": "simon"})).await;
        self.simon = out(&replicas[2], Simple, "simon").await;
        self.stella.sees(json!({"method": "USER_ONLINE", "user_id": "simon"})).await;
        for room in ["terrace", "attic"] {
            self.simon.must(&Simple.join(room)).await;
        }
        self.petra.sees(comes("pychat", "simon", "terrace")).await;

        assert_eq!(self.petra.refused("JOIN attic").await, "Waiting for the permission of the room's owner");
        self.simon.sees(json!({"event": "request", "target": "#attic", "identifier": "petra"})).await;
        let asked = self.stella.sees(json!({"method": "ENTER_ROOM_REQUEST", "user_id": "petra"})).await;
        self.simon.must(&with(command("approve", "#attic"), "identifier", "petra")).await;
        assert_eq!(self.stella.err("REJECT_REQUEST", json!({"target_request_id": asked["request_id"]})).await, 409);
        self.petra.must("JOIN attic").await;
        self.petra.sees(comes("pychat", "petra", "attic")).await;
        // She is in one room at a time.
        self.simon.sees(goes("simple", "petra", "terrace")).await;
        self.simon.sees(comes("simple", "petra", "attic")).await;
        self.stella.sees(json!({"method": "USER_ENTER_ROOM", "room_id": "attic", "user_id": "petra"})).await;
        assert_eq!(self.adam.refused(&Action.join("attic")).await, "Waiting for the permission of the room's owner");
        self.simon.sees(json!({"event": "request", "target": "#attic", "identifier": "adam"})).await;
        let asked = self.stella.sees(json!({"method": "ENTER_ROOM_REQUEST", "user_id": "adam"})).await;
        self.stella.does("REJECT_REQUEST", json!({"target_request_id": asked["request_id"]})).await;
        self.says("petra", "attic", "So much dust!", &["stella", "simon", "petra"]).await;

        self.petra.must("JOIN terrace").await;
        self.petra.sees(comes("pychat", "petra", "terrace")).await;
        self.simon.sees(goes("simple", "petra", "attic")).await;
        self.simon.sees(comes("simple", "petra", "terrace")).await;
        self.stella.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "attic", "user_id": "petra"})).await;
        self.nobody_has_heard_anything_else().await;
    }

    /// Only of the room in which she is.
    async fn petra_sees_go(&mut self, who: &str, room: &str) {
        if room == "terrace" {
            self.petra.sees(goes("pychat", who, room)).await;
        }
    }

    async fn they_whisper(&mut self) {
        self.simon.write("stella", "Adam looks tired.").await;
        self.stella
            .sees(json!({"method": "NEW_PRIVATE_MESSAGE", "sender": "simon", "content": "Adam looks tired."}))
            .await;
        let told = self.stella.does("SEND_PRIVATE_MESSAGE", json!({"user_id": "adam", "content": "Tired?"})).await;
        assert!(told["message_id"].is_u64(), "{told}");
        self.adam.expect_private("stella", "Tired?").await;
        self.adam.write("petra", "Am I?").await;
        self.petra.expect_private("adam", "Am I?").await;
        self.petra.write("simon", "He is.").await;
        self.simon.expect_private("petra", "He is.").await;
        self.nobody_has_heard_anything_else().await;
    }

    async fn stella_goes_home_and_misses_nothing(&mut self, replicas: &[Node; 3]) {
        self.stella.does("LOG_OFF", json!({})).await;
        self.says("adam", "terrace", "Where is Stella?", &["adam", "simon", "petra"]).await;
        self.simon.write("stella", "They miss you.").await;
        self.says("petra", "terrace", "She went home.", &["adam", "simon", "petra"]).await;
        self.stella = Client::scrp(&replicas[2]).await;
        self.pushed_to_stella.drop_repeats(&mut self.stella);
        self.stella.must(&Scrp.claim("stella")).await;
        let private = json!({"method": "NEW_PRIVATE_MESSAGE", "sender": "simon", "content": "They miss you."});
        self.stella.sees(private).await;
        let question = hears(&mut self.stella, "terrace", "adam", "Where is Stella?").await;
        let answer = hears(&mut self.stella, "terrace", "petra", "She went home.").await;
        assert!(question["offset"].as_u64() < answer["offset"].as_u64(), "{question} before {answer}");
        let since = json!({"room_id": "terrace", "since": question["message_id"]});
        let messages = self.stella.does("RECEIVE_MESSAGE", since).await;
        assert_eq!(messages["messages"][0]["message_id"], answer["message_id"]);
        self.nobody_has_heard_anything_else().await;
    }

    async fn petra_goes_home_and_misses_nothing(&mut self, replicas: &[Node; 3]) {
        let Self { stella, simon, petra, .. } = self;
        petra.must("LEAVE").await;
        petra.sees(goes("pychat", "petra", "terrace")).await;
        simon.sees(goes("simple", "petra", "terrace")).await;
        *petra = Client::connect(&replicas[0], Pychat, Transport::Tcp).await;
        stella.sees(json!({"method": "USER_OFFLINE", "user_id": "petra"})).await;
        stella.does("SEND_PRIVATE_MESSAGE", json!({"user_id": "petra", "content": "Sleep well."})).await;
        petra.must(&format!("LOGIN petra {PASSWORD}")).await;
        petra.expect_private("stella", "Sleep well.").await;
        stella.sees(json!({"method": "USER_ONLINE", "user_id": "petra"})).await;
        petra.must("JOIN terrace").await;
        petra.sees(comes("pychat", "petra", "terrace")).await;
        simon.sees(comes("simple", "petra", "terrace")).await;
    }

    async fn stella_puts_adam_out_and_gives_the_terrace_to_petra(&mut self) {
        let Self { stella, adam, simon, petra, .. } = self;
        stella.does("REMOVE_USER_FROM_ROOM", json!({"room_id": "terrace", "subject_user_id": "adam"})).await;
        let out = json!({"method": "USER_LEAVE_ROOM", "room_id": "terrace", "user_id": "adam", "by": "stella"});
        stella.sees(out).await;
        simon.sees(goes("simple", "adam", "terrace")).await;
        petra.sees(goes("pychat", "adam", "terrace")).await;
        assert_eq!(adam.refused(&Action.say("terrace", "Why me?")).await, "You should join this room first");

        stella.does("TRANSFER_ROOM", json!({"room_id": "terrace", "subject_user_id": "petra"})).await;
        stella.sees(json!({"method": "ROOM_OWNER_CHANGED", "room_id": "terrace", "user_id": "petra"})).await;
        assert_eq!(stella.err("REMOVE_ROOM", json!({"room_id": "terrace"})).await, 801);
        let room = stella.does("GET_ROOM", json!({"room_id": "terrace"})).await;
        assert_eq!((&room["owner"], &room["admins"]), (&json!("petra"), &json!(["stella"])));
        // As an admin she may still do this.
        stella.does("CHANGE_ROOM_NICKNAME", json!({"room_id": "terrace", "new_room_nickname": "Petra's"})).await;
        stella.sees(json!({"method": "ROOM_NICKNAME_CHANGED", "room_id": "terrace", "room_nickname": "Petra's"})).await;
        self.nobody_has_heard_anything_else().await;
    }

    async fn stella_closes_the_cellar(&mut self) {
        let Self { stella, adam, simon, .. } = self;
        stella.does("REMOVE_ROOM", json!({"room_id": "cellar"})).await;
        stella.sees(json!({"method": "ROOM_REMOVED", "room_id": "cellar"})).await;
        simon.sees(json!({"emitter": "channel", "event": "destroy", "identifier": "#cellar"})).await;
        assert_eq!(adam.refused(&Action.say("cellar", "Is it dark in here?")).await, "You should join this room first");
        self.nobody_has_heard_anything_else().await;
    }

    async fn stella_deletes_her_account(&mut self, replicas: &[Node; 3]) {
        let Self { stella, simon, petra, .. } = self;
        // Adam, who is told now how he was put out, is a friend of hers still.
        let mut phone = out(&replicas[0], Scrp, "adam").await;
        phone.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "terrace", "user_id": "adam", "by": "stella"})).await;
        stella.does("DELETE_USER", json!({"user_password": PASSWORD})).await;
        assert_eq!(stella.err("GET_FRIENDS", json!({})).await, 250, "her session is nobody's");
        phone.sees(json!({"method": "USER_DELETED", "user_id": "stella"})).await;
        // The attic is in the hands of the admin now.
        let attic = phone.does("GET_ROOM", json!({"room_id": "attic"})).await;
        assert_eq!((&attic["owner"], &attic["members"]), (&json!("simon"), &json!(1)));
        for room in ["terrace", "attic"] {
            simon.sees(goes("simple", "stella", room)).await;
        }
        petra.sees(goes("pychat", "stella", "terrace")).await;
        assert_eq!(phone.does("GET_FRIENDS", json!({})).await["friends"], json!([]));

        // What she said stays, and nobody who takes her name has said it.
        let mut heir = Client::connect(&replicas[1], Action, Transport::WebSocket).await;
        heir.must(&Action.claim("stella")).await;
        heir.must(&Action.join("terrace")).await;
        simon.sees(comes("simple", "stella", "terrace")).await;
        petra.sees(comes("pychat", "stella", "terrace")).await;
        let records = petra.history("").await;
        let said = |text: &str| {
            let record = records.iter().find(|record| record["body"] == text);
            record.unwrap_or_else(|| panic!("{text} among {records:?}"))["from"].clone()
        };
        assert_eq!(said("What a night!"), "@deleted");
        assert_eq!(said("Where is the moon?"), "adam");
        for client in [&mut heir, simon, petra] {
            client.expect_quiet().await;
        }
    }
}
