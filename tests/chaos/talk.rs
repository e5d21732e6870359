//! One connection of a person: requests with their answers, everything heard meanwhile, all of it taken down.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history::{Answer, Back, Op, Outcome, Place, What};
use crate::line::{Incoming, Line};
use crate::support::client::parsed;
use crate::support::dialect::{Dialect, Meaning, Transport, request};
use crate::world::World;

/// What comes without being asked for, right before the end; it answers nothing.
const NOTICES: [&str; 4] = [
    "The server is restarting, connect again",
    "Messages were not read fast enough",
    "Your nickname was taken while the server was cut off",
    "Nothing was heard from you",
];
/// After these it is not known whether it was done.
pub const UNAVAILABLE: [&str; 3] = ["Service is unavailable, try again", "unavailable", "SERVICE_UNAVAILABLE"];

/// The connection is over, and why.
pub struct Ended(pub String);

pub struct Talk {
    world: Arc<World>,
    who: usize,
    link: u32,
    dialect: Dialect,
    /// It speaks the extended mode of `action`.
    pub is_extended: bool,
    line: Line,
    patience: Duration,
    /// As the server calls it.
    own: Option<String>,
    pub name: Option<String>,
    pub rooms: BTreeSet<String>,
    /// What an account was told of its own coming and going, and its person did not take note of yet.
    pub turns: Vec<(String, bool)>,
    /// Something may be held that nobody is sure of.
    pub is_in_doubt: bool,
    pub seen: BTreeMap<String, Place>,
    pub node: usize,
    /// As the server calls the session, and the token to go on with it.
    pub session: Option<String>,
    pub token: Option<String>,
}

impl Talk {
    pub async fn begin(
        world: &Arc<World>,
        who: usize,
        dialect: Dialect,
        transport: Transport,
        node: usize,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<Self, String> {
        let awake = world.strings[who].awake.subscribe();
        let line = Line::dial(address, dialect, transport, "", awake, world.kinds[who].sleeps).await?;
        let link = world.history.new_link();
        world.history.note(world.history.now(), who, link, What::Began { node });
        Ok(Self {
            world: world.clone(),
            who,
            link,
            dialect,
            is_extended: false,
            line,
            patience,
            own: None,
            name: None,
            rooms: BTreeSet::new(),
            turns: Vec::new(),
            is_in_doubt: false,
            seen: BTreeMap::new(),
            node,
            session: None,
            token: None,
        })
    }

    fn note(&self, at: Instant, what: What) {
        self.world.history.note(self.world.history.us(at), self.who, self.link, what);
    }

    pub async fn end(self, why: String) {
        self.note(Instant::now(), What::Ended { why: why.clone() });
        // Somebody who was cut off says nothing.
        if why == "dropped" {
            self.line.lose();
        } else {
            self.line.close().await;
        }
    }

    /// Takes what comes, until the connection ends.
    pub async fn listen(&mut self) -> Ended {
        loop {
            match self.line.next().await {
                (at, Incoming::Frame(frame)) => {
                    self.hear(at, &parsed(&frame));
                }
                (_, Incoming::End(why)) => return Ended(why),
            }
        }
    }

    pub async fn pause(&mut self, time: Duration) -> Result<(), Ended> {
        match tokio::time::timeout(time, self.listen()).await {
            Ok(ended) => Err(ended),
            Err(_) => Ok(()),
        }
    }

    /// Asks, and takes what comes until the answer is there.
    pub async fn ask(&mut self, op: Op, request: &str) -> Result<Outcome, Ended> {
        self.note(Instant::now(), What::Asked(op));
        let end = tokio::time::Instant::now() + self.patience;
        if let Err(error) = self.line.send(request).await {
            return Err(self.unanswered(error));
        }
        loop {
            let Ok((at, incoming)) = tokio::time::timeout_at(end, self.line.next()).await else {
                return Err(self.unanswered("no answer in time".to_owned()));
            };
            let frame = match incoming {
                Incoming::Frame(frame) => parsed(&frame),
                Incoming::End(why) => return Err(self.unanswered(why)),
            };
            let meaning = self.dialect.meaning(request, self.own.as_deref(), &frame);
            let is_answer = meaning != Meaning::Other && !self.is_notice(&frame);
            if is_answer {
                let outcome = self.outcome(&frame);
                self.learn_own(request, &frame);
                self.learn_session(&frame, &outcome);
                // An own message is the answer and a delivery: in this order.
                self.note(at, What::Answered(outcome.clone()));
                self.hear(at, &frame);
                return Ok(outcome);
            }
            self.hear(at, &frame);
        }
    }

    fn unanswered(&mut self, why: String) -> Ended {
        self.is_in_doubt = true;
        self.note(Instant::now(), What::Answered(Outcome::Unknown(why.clone())));
        Ended(why)
    }

    fn is_notice(&self, frame: &Value) -> bool {
        let answers_nothing = match self.dialect {
            Dialect::Action => frame["action"] == "ERROR" && frame["request"].is_null(),
            Dialect::Simple => frame["type"] == "error" && frame["request"].is_null(),
            Dialect::Pychat | Dialect::Scrp => false,
        };
        answers_nothing || self.dialect.error(frame).is_some_and(|error| NOTICES.contains(&error))
    }

    fn outcome(&self, frame: &Value) -> Outcome {
        match self.dialect.error(frame) {
            None => {
                let place = place(&frame["position"]).or_else(|| place(frame));
                let text = |key: &str| frame[key].as_str().map(str::to_owned);
                Outcome::Done(Answer {
                    place,
                    recovered: frame["recovered"].as_bool(),
                    session: text("session").filter(|_| self.is_extended).map(|session| session.replace('-', "")),
                    nickname: text("nickname").filter(|_| self.is_extended),
                    rooms: frame["rooms"].as_array().into_iter().flatten().map(back).collect(),
                })
            }
            Some(error) if UNAVAILABLE.contains(&error) => Outcome::Unknown(error.to_owned()),
            Some(error) => Outcome::Refused(error.to_owned()),
        }
    }

    /// `simple` knows its own events by the name they carry.
    fn learn_own(&mut self, request: &str, answer: &Value) {
        let request = parsed(request);
        match answer["type"].as_str() {
            Some("welcome") => self.own = answer["identifier"].as_str().map(str::to_owned),
            Some("ok") if request["action"] == "nick" => {
                self.own = request["target"].as_str().map(|target| target.trim_start_matches('@').to_owned());
            }
            _ => {}
        }
    }

    fn learn_session(&mut self, answer: &Value, outcome: &Outcome) {
        if let Outcome::Done(Answer { session: Some(session), .. }) = outcome {
            self.session = Some(session.clone());
            self.token = answer["resume"].as_str().map(str::to_owned);
        }
    }

    /// What an account is told of its own coming and going: it may have missed it, or its membership went with a server.
    fn turn(&mut self, at: Instant, frame: &Value) {
        let is_in = match frame["method"].as_str() {
            Some("USER_ENTER_ROOM") => true,
            Some("USER_LEAVE_ROOM") => false,
            _ => return,
        };
        let (Some(room), Some(own)) = (frame["room_id"].as_str(), self.name.as_deref()) else { return };
        if self.dialect != Dialect::Scrp || frame["user_id"] != own {
            return;
        }
        let room = room.to_owned();
        self.turns.push((room.clone(), is_in));
        if is_in {
            self.rooms.insert(room.clone());
        } else {
            self.rooms.remove(&room);
        }
        self.note(at, What::Turned { room, is_in });
    }

    fn hear(&mut self, at: Instant, frame: &Value) {
        self.turn(at, frame);
        if frame["event"] == "gap"
            && let (Some(room), Some(place)) = (frame["room_id"].as_str(), place(frame))
        {
            let room = room.trim_start_matches('#').to_owned();
            self.seen.insert(room.clone(), place);
            self.note(at, What::Gap { room, place });
        }
        let Some(message) = self.dialect.message(frame) else { return };
        // The padding says nothing, and a text begins with the room it was said in.
        let text = message.text.split(' ').next().unwrap_or_default().to_owned();
        let room = text.split('.').next().unwrap_or_default().to_owned();
        let place = place(frame);
        if let Some(place) = place {
            self.seen.insert(room.clone(), place);
        }
        self.note(at, What::Heard { room, text, place });
    }
}

/// The dialects' words, with what goes beyond the plain ones.
impl Talk {
    /// A send may carry a key, under which it is accepted once.
    pub fn takes_keys(&self) -> bool {
        self.dialect == Dialect::Scrp || self.is_extended
    }

    /// A guest's ends with its session.
    pub fn keys_outlive_it(&self) -> bool {
        self.dialect == Dialect::Scrp
    }

    pub fn takes_positions(&self) -> bool {
        self.is_extended
    }

    /// Whether the server lets it bear a name that it may not hold: `pychat` claims with the first join.
    pub fn only_wants_its_name(&self) -> bool {
        self.dialect == Dialect::Pychat && self.rooms.is_empty()
    }

    pub fn say(&self, room: &str, text: &str, key: Option<&str>) -> String {
        match (self.dialect, key) {
            (Dialect::Scrp, Some(key)) => {
                request("SEND_ROOM_MESSAGE", json!({"room_id": room, "content": text, "key": key}))
            }
            (Dialect::Action, Some(key)) => {
                json!({"action": "SEND MESSAGE", "room_id": room, "text": text, "key": key}).to_string()
            }
            _ => self.dialect.say(room, text),
        }
    }

    pub fn join(&self, room: &str, since: Option<Place>) -> String {
        match since {
            Some(Place { epoch, offset }) => json!({
                "action": "JOIN ROOM", "room_id": room, "since": {"epoch": epoch, "offset": offset}
            })
            .to_string(),
            None => self.dialect.join(room),
        }
    }

    /// Goes on in the place of a session that was lost.
    pub fn resume(token: &str, rooms: &[(String, Option<Place>)]) -> String {
        let room = |(room, place): &(String, Option<Place>)| match place {
            Some(Place { epoch, offset }) => json!({"room_id": room, "epoch": epoch, "offset": offset}),
            None => json!({"room_id": room}),
        };
        let rooms: Vec<Value> = rooms.iter().map(room).collect();
        json!({"action": "RESUME", "token": token, "rooms": rooms}).to_string()
    }

    /// Who is in a room, where the dialect has words for that.
    pub fn members(&self, room: &str) -> Option<String> {
        (self.dialect == Dialect::Scrp).then(|| request("GET_ROOM_MEMBERS", json!({"room_id": room})))
    }
}

fn back(room: &Value) -> Back {
    Back {
        place: place(&room["position"]),
        recovered: room["recovered"].as_bool(),
        error: room["error"].as_str().map(str::to_owned),
    }
}

fn place(of: &Value) -> Option<Place> {
    Some(Place { epoch: of["epoch"].as_u64()?, offset: of["offset"].as_u64()? })
}
