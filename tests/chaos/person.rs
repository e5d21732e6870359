//! Somebody who uses the gateway: comes, talks, goes from room to room, loses the connection and comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::history::{Answer, OWN_ENDS, Op, Outcome, Place, Resume, Us};
use crate::support::dialect::{Dialect, Transport, sign_up};
use crate::support::random::Random;
use crate::talk::{Ended, Talk, UNAVAILABLE};
use crate::world::{Belief, Phase, World};

/// How long somebody waits for an answer. The patient ones stay while their node stands still, and see what it does then.
const PATIENT: Duration = Duration::from_secs(30);
const IMPATIENT: Duration = Duration::from_secs(6);
/// How often something is tried again at the end, when nothing stands in the way any more.
const LAST_TRIES: usize = 60;
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// A text's padding in heavy times.
const HEAVY: usize = 3_500;
const EXTENDED: &str = r#"{"action":"HELLO","ext":1}"#;
const ROOMS_AT_ONCE: usize = 3;
/// How often somebody asks to go on while the server cannot tell.
const RETURN_TRIES: usize = 6;

/// What is left of a lost connection, to go on from.
struct Ticket {
    token: String,
    session: String,
    name: Option<String>,
    rooms: BTreeSet<String>,
    lost: Us,
    node: usize,
    is_held: bool,
}

pub struct Person {
    pub id: usize,
    pub dialect: Dialect,
    pub transport: Transport,
    pub world: Arc<World>,
    pub random: Random,
    /// How long it thinks between two things it does.
    pub pace: Duration,
    texts: u64,
    /// Sent under a key, and of unknown outcome: room, text, key.
    unsure: Option<(String, String, String)>,
    /// The rooms of an account that stays a member while it is away.
    enrolled: BTreeSet<String>,
    doubtful: BTreeSet<String>,
    /// The newest place that was seen in each room, to ask from where one was.
    seen: BTreeMap<String, Place>,
    ticket: Option<Ticket>,
}

impl Person {
    pub fn new(id: usize, dialect: Dialect, world: Arc<World>, seed: u64, pace: Duration) -> Self {
        let mut random = Random::seeded(seed ^ (id as u64).wrapping_mul(0x9E37_79B9));
        let transport = Transport::ALL[random.below(2)];
        Self {
            id,
            dialect,
            transport,
            world,
            random,
            pace,
            texts: 0,
            unsure: None,
            enrolled: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            seen: BTreeMap::new(),
            ticket: None,
        }
    }

    /// Its own name; scrp's is an account.
    pub fn name(dialect: Dialect, id: usize) -> String {
        format!("{}{id}", dialect.label().to_uppercase())
    }

    /// A name that two of them want.
    fn shared_name(&self) -> String {
        format!("pair{}", self.id / 2)
    }

    pub async fn run(mut self) {
        while self.world.phase() != Phase::Over {
            if self.world.phase() == Phase::Acting {
                self.visit().await;
            }
            let pause = Duration::from_millis(50 + self.random.below(600) as u64);
            let mut phase = self.world.phase.subscribe();
            let _ = tokio::time::timeout(pause, phase.wait_for(|phase| *phase == Phase::Over)).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn visit(&mut self) {
        let doors = self.world.doors(self.dialect, self.transport);
        if doors.is_empty() {
            return;
        }
        let (node, address) = doors[self.random.below(doors.len())];
        let patience = if self.id.is_multiple_of(2) { PATIENT } else { IMPATIENT };
        let Ok(mut talk) =
            Talk::begin(&self.world, self.id, self.dialect, self.transport, node, address, patience).await
        else {
            return;
        };
        let why = match self.live(&mut talk).await {
            Ok(()) => "went".to_owned(),
            Err(Ended(why)) => why,
        };
        self.world.believe(self.id, |belief| *belief = Belief { is_done: true, ..Belief::default() });
        self.heed_turns(&mut talk);
        self.seen.append(&mut talk.seen);
        self.ticket = self.ticket_of(&talk, &why);
        if !talk.keys_outlive_it() {
            self.unsure = None;
        }
        talk.end(why).await;
    }

    /// What a client has in hands when its connection was lost. Who says goodbye has nothing.
    fn ticket_of(&self, talk: &Talk, why: &str) -> Option<Ticket> {
        let is_lost = why == "dropped" || !OWN_ENDS.contains(&why);
        Some(Ticket {
            token: talk.token.clone().filter(|_| is_lost)?,
            session: talk.session.clone()?,
            name: talk.name.clone().filter(|_| !talk.is_in_doubt),
            rooms: talk.rooms.clone(),
            lost: self.world.history.now(),
            node: talk.node,
            is_held: why == "dropped",
        })
    }

    async fn live(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        self.greet(talk).await?;
        let mut drops = self.world.strings[self.id].drops.subscribe();
        let mut phase = self.world.phase.subscribe();
        while *phase.borrow_and_update() == Phase::Acting {
            let pause = self.pace.mul_f64(0.25 + self.random.below(150) as f64 / 100.0);
            tokio::select! {
                ended = talk.listen() => return Err(ended),
                _ = drops.changed() => return Err(Ended("dropped".to_owned())),
                _ = phase.changed() => {}
                () = tokio::time::sleep(pause) => self.act(talk).await?,
            }
        }
        if talk.is_in_doubt {
            return Ok(());
        }
        self.settle(talk).await?;
        tokio::select! {
            ended = talk.listen() => Err(ended),
            _ = phase.wait_for(|phase| *phase == Phase::Over) => Ok(()),
        }
    }

    async fn greet(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        talk.is_extended = self.world.kinds[self.id].may_resume;
        let greeting = if talk.is_extended { Some(EXTENDED) } else { self.dialect.greeting() };
        if let Some(greeting) = greeting {
            talk.ask(Op::Hello, greeting).await?;
        }
        if let Some(ticket) = self.ticket.take()
            && self.random.below(3) > 0
            && self.come_back(talk, ticket).await?
        {
            return Ok(());
        }
        let own = Self::name(self.dialect, self.id);
        if self.dialect == Dialect::Scrp {
            return self.log_in(talk, &own).await;
        }
        let shared = self.shared_name();
        let names = if self.random.below(2) == 0 { [shared, own] } else { [own.clone(), own] };
        for name in names {
            if self.claim(talk, &name).await?.is_done() {
                break;
            }
        }
        for room in self.seen.keys().cloned().collect::<Vec<_>>() {
            if self.dialect != Dialect::Pychat && self.random.below(2) == 0 {
                self.join(talk, &room).await?;
            }
        }
        Ok(())
    }

    /// Goes on where the connection was lost; `false` where that cannot be, or the name is gone.
    async fn come_back(&mut self, talk: &mut Talk, ticket: Ticket) -> Result<bool, Ended> {
        let Some(heir) = talk.session.clone() else { return Ok(false) };
        let Ticket { token, session: former, name, rooms, lost, node, is_held } = ticket;
        let rooms: Vec<(String, Option<Place>)> =
            rooms.into_iter().map(|room| (room.clone(), self.seen.get(&room).copied())).collect();
        let op = Resume { former, heir, name, rooms: rooms.clone(), lost, node, is_held };
        let request = Talk::resume(&token, &rooms);
        for _ in 0..RETURN_TRIES {
            match talk.ask(Op::Resume(op.clone()), &request).await? {
                Outcome::Done(answer) => return Ok(self.is_back(talk, &rooms, answer)),
                Outcome::Refused(_) => return Ok(false),
                Outcome::Unknown(_) => talk.pause(LAST_PAUSE).await?,
            }
        }
        Err(Ended("could not come back".to_owned()))
    }

    fn is_back(&mut self, talk: &mut Talk, rooms: &[(String, Option<Place>)], answer: Answer) -> bool {
        for ((room, _), back) in rooms.iter().zip(answer.rooms) {
            match back.error.as_deref() {
                None => {
                    talk.rooms.insert(room.clone());
                    self.know(talk, room, back.place.filter(|_| back.recovered != Some(true)));
                }
                Some(error) => talk.is_in_doubt |= UNAVAILABLE.contains(&error),
            }
        }
        talk.name = answer.nickname;
        talk.name.is_some()
    }

    /// What lies before is not to be told again.
    fn know(&mut self, talk: &mut Talk, room: &str, place: Option<Place>) {
        if let Some(place) = place.filter(|_| talk.takes_positions()) {
            talk.seen.insert(room.to_owned(), place);
        }
    }

    async fn log_in(&mut self, talk: &mut Talk, account: &str) -> Result<(), Ended> {
        loop {
            match self.claim(talk, account).await? {
                Outcome::Done(_) => break,
                Outcome::Refused(error) if error == "ID_PASSWORD_NOT_MATCH" => {
                    // The first time, or what there was of accounts is lost.
                    self.enrolled.clear();
                    self.doubtful.clear();
                    talk.ask(Op::Hello, &sign_up(account)).await?;
                }
                _ => {}
            }
            talk.pause(Duration::from_millis(200)).await?;
            if self.world.phase() != Phase::Acting {
                return Err(Ended("nobody, at the end".to_owned()));
            }
        }
        self.heed_turns(talk);
        talk.rooms = self.enrolled.clone();
        Ok(())
    }

    /// An account believes what it is told of its memberships.
    fn heed_turns(&mut self, talk: &mut Talk) {
        for (room, is_in) in std::mem::take(&mut talk.turns) {
            if is_in {
                self.enrolled.insert(room);
            } else {
                self.enrolled.remove(&room);
            }
        }
    }

    async fn claim(&mut self, talk: &mut Talk, name: &str) -> Result<Outcome, Ended> {
        let outcome = talk.ask(Op::Login { name: name.to_owned() }, &self.dialect.claim(name)).await?;
        if outcome.is_done() {
            talk.name = Some(name.to_owned());
        }
        talk.is_in_doubt |= matches!(outcome, Outcome::Unknown(_));
        Ok(outcome)
    }

    /// One thing that comes to mind.
    async fn act(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        if !*self.world.strings[self.id].awake.borrow() {
            return Ok(());
        }
        self.heed_turns(talk);
        if let Some((room, text, key)) = self.unsure.take() {
            return self.send_under(talk, room, text, key).await;
        }
        let rooms: Vec<String> = talk.rooms.iter().cloned().collect();
        let room = rooms.get(self.random.below(rooms.len().max(1))).cloned();
        match (room, self.random.below(100)) {
            (Some(room), 0..70) => self.send(talk, room).await,
            (Some(room), 70..76) => self.leave(talk, &room).await,
            (_, 76..82) => self.write(talk).await,
            (_, 82..86) => self.rename(talk).await,
            (Some(room), 86..88) => self.look_around(talk, room).await,
            // Networks lose connections, too.
            (_, 88) if talk.is_extended => Err(Ended("dropped".to_owned())),
            (_, 88) => Err(Ended("went away".to_owned())),
            _ if rooms.len() >= ROOMS_AT_ONCE => Ok(()),
            _ => {
                let room = self.world.rooms[self.random.below(self.world.rooms.len())].clone();
                if talk.rooms.contains(&room) { Ok(()) } else { self.join(talk, &room).await }
            }
        }
    }

    fn new_text(&mut self, room: &str) -> String {
        self.texts += 1;
        format!("{room}.{}.{}", self.id, self.texts)
    }

    async fn send(&mut self, talk: &mut Talk, room: String) -> Result<(), Ended> {
        let text = self.new_text(&room);
        if talk.takes_keys() && self.random.below(3) == 0 {
            let key = text.clone();
            return self.send_under(talk, room, text, key).await;
        }
        let outcome = self.say(talk, room.clone(), text, None).await?;
        self.heed_refusal(talk, &room, &outcome);
        Ok(())
    }

    /// Sends once, however often it has to be tried.
    async fn send_under(&mut self, talk: &mut Talk, room: String, text: String, key: String) -> Result<(), Ended> {
        if !talk.rooms.contains(&room) {
            return Ok(());
        }
        // Also where the connection ends before the answer. A guest's key ends with its session.
        self.unsure = talk.keys_outlive_it().then(|| (room.clone(), text.clone(), key.clone()));
        let outcome = self.say(talk, room.clone(), text.clone(), Some(key.clone())).await?;
        self.unsure = matches!(outcome, Outcome::Unknown(_)).then(|| (room.clone(), text, key));
        self.heed_refusal(talk, &room, &outcome);
        Ok(())
    }

    async fn say(
        &mut self,
        talk: &mut Talk,
        room: String,
        text: String,
        key: Option<String>,
    ) -> Result<Outcome, Ended> {
        let padding = if *self.world.heavy.borrow() { "x".repeat(HEAVY) } else { String::new() };
        let request = talk.say(&room, format!("{text} {padding}").trim_end(), key.as_deref());
        talk.ask(Op::Send { room, text, key }, &request).await
    }

    /// Who is told that it is in no such room believes it: the room was lost with the broker's data.
    fn heed_refusal(&mut self, talk: &mut Talk, room: &str, outcome: &Outcome) {
        if matches!(outcome, Outcome::Refused(_)) {
            talk.rooms.remove(room);
            self.enrolled.remove(room);
        }
    }

    async fn join(&mut self, talk: &mut Talk, room: &str) -> Result<(), Ended> {
        let since = talk.seen.get(room).or(self.seen.get(room)).copied().filter(|_| talk.takes_positions());
        let request = talk.join(room, since);
        let outcome = talk.ask(Op::Join { room: room.to_owned(), since }, &request).await?;
        let is_in = outcome.is_done() || outcome == Outcome::Refused("ALREADY_A_MEMBER".to_owned());
        if is_in && self.dialect == Dialect::Pychat {
            talk.rooms.clear();
        }
        if is_in {
            talk.rooms.insert(room.to_owned());
        }
        if let Outcome::Done(answer) = &outcome {
            self.know(talk, room, answer.place.filter(|_| answer.recovered != Some(true)));
        }
        self.remember(talk, room, &outcome, is_in);
        Ok(())
    }

    async fn leave(&mut self, talk: &mut Talk, room: &str) -> Result<(), Ended> {
        let request = self.dialect.leave(room);
        let outcome = talk.ask(Op::Leave { room: room.to_owned() }, &request).await?;
        talk.rooms.remove(room);
        self.remember(talk, room, &outcome, false);
        Ok(())
    }

    /// What a join or leave says of the account's membership, which outlives the connection.
    fn remember(&mut self, talk: &mut Talk, room: &str, outcome: &Outcome, is_in: bool) {
        let is_unknown = matches!(outcome, Outcome::Unknown(_));
        talk.is_in_doubt |= is_unknown;
        if self.dialect != Dialect::Scrp {
            return;
        }
        if is_unknown {
            self.doubtful.insert(room.to_owned());
        } else {
            self.doubtful.remove(room);
        }
        if is_in {
            self.enrolled.insert(room.to_owned());
        } else {
            self.enrolled.remove(room);
        }
    }

    async fn write(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        let guests = self.world.kinds.iter().enumerate().filter(|(_, kind)| kind.account.is_none());
        let others: Vec<usize> = guests.map(|(id, _)| id).filter(|id| *id != self.id).collect();
        let to = others[self.random.below(others.len())];
        let dialect = Dialect::from_label(self.world.kinds[to].dialect).expect("the label is a dialect's");
        let (to, text) = (Self::name(dialect, to), self.new_text("private"));
        let request = self.dialect.write(&to, &text);
        talk.ask(Op::Private { to, text }, &request).await?;
        Ok(())
    }

    async fn rename(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        if matches!(self.dialect, Dialect::Pychat | Dialect::Scrp) {
            return Ok(());
        }
        let own = Self::name(self.dialect, self.id);
        let name = if talk.name.as_ref() == Some(&own) { self.shared_name() } else { own };
        self.claim(talk, &name).await?;
        Ok(())
    }

    async fn look_around(&mut self, talk: &mut Talk, room: String) -> Result<(), Ended> {
        let Some(request) = talk.members(&room) else { return Ok(()) };
        talk.ask(Op::Members { room }, &request).await?;
        Ok(())
    }

    /// Says something in each room: nothing stands in the way any more, so it has to be taken.
    async fn settle(&mut self, talk: &mut Talk) -> Result<(), Ended> {
        let believed = Belief {
            is_there: true,
            name: talk.name.clone().filter(|_| !talk.only_wants_its_name()),
            perhaps: talk.name.clone().filter(|_| talk.only_wants_its_name()),
            rooms: talk.rooms.clone(),
            doubtful: self.doubtful.clone(),
            ..Belief::default()
        };
        self.world.believe(self.id, |belief| *belief = believed);
        for room in talk.rooms.clone() {
            let mut last = Outcome::Unknown(String::new());
            for _ in 0..LAST_TRIES {
                let text = self.new_text(&room);
                last = self.say(talk, room.clone(), text, None).await?;
                if !matches!(last, Outcome::Unknown(_)) {
                    break;
                }
                talk.pause(LAST_PAUSE).await?;
            }
            if !last.is_done() {
                let refused = format!("{} in {room}: {last:?}", talk.name.as_deref().unwrap_or("somebody"));
                self.world.believe(self.id, |belief| belief.refused.push(refused));
            }
        }
        self.world.believe(self.id, |belief| belief.is_done = true);
        Ok(())
    }
}
