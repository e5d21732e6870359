//! The steps of the scenarios, and what they are made of.

use super::cast::Role::{self, Keeper, Receiver, Sender};
use super::cast::{Cast, Step};
use super::scenarios::Script;
use super::words::Verdict::{Done, Refused};
use super::words::{Act, NO_COMMAND_TO_RECEIVE, Reason, Verdict, Why};

const NO_NICKNAME: Reason = "Without its extended mode `simple` has no nicknames for guests.";

pub const PASSWORD: &str = "high tide";

/// The text limit of a node, by default.
pub const TEXT_BYTES: usize = 4096;

pub const ODD: &str = "\u{1F469}\u{200D}\u{1F680} \"quoted\" \\ back\\\\slash / 'single' </script> {\"json\":[1]} %s $x \
    line\u{2028}paragraph\u{2029} \u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{202E}rtl\u{202C} e\u{301} \u{FEFF}bom \u{FFFD} \u{10FFFF} \
    \u{1}\u{2}\u{7}\u{8}\t\u{B}\u{C}\u{E}\u{1B}[31m\u{1F}\u{7F}\u{85}\u{9F}.";

pub fn step(role: Role, act: Act, verdict: Verdict) -> Step {
    Step { role, act, verdict, shown: false }
}

pub fn shown(role: Role, act: Act, verdict: Verdict) -> Step {
    Step { role, act, verdict, shown: true }
}

pub fn join() -> Act {
    Act::Join { password: None }
}

pub fn with_password(password: &'static str) -> Act {
    Act::Join { password: Some(password) }
}

pub fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// A room with these in it.
pub fn room(inside: &[Role]) -> Vec<Step> {
    let created = step(Keeper, Act::Create, Done);
    std::iter::once(created).chain(inside.iter().map(|role| step(*role, join(), Done))).collect()
}

/// A room with both in it, and then this.
pub fn together(rest: impl IntoIterator<Item = Step>) -> Script {
    Ok(room(&[Receiver, Sender]).into_iter().chain(rest).collect())
}

/// A room with the receiver in it that has a rule for whoever comes next, and then this.
pub fn guarded(rule: Act, rest: impl IntoIterator<Item = Step>) -> Script {
    let rule = step(Keeper, rule, Done);
    Ok(room(&[Receiver]).into_iter().chain([rule]).chain(rest).collect())
}

/// Whoever can create and destroy rooms: the sender, or a simple client in its place.
pub fn maker(cast: &Cast) -> Role {
    if cast.sender.words.request(&Act::Create, &cast.room).is_ok() { Sender } else { Keeper }
}

/// Whoever speaks `scrp` writes to friends only, where the other is an account.
pub fn unless_strangers(cast: &Cast, verdict: Verdict) -> Verdict {
    let are_strangers = cast.sender.words.is_of_accounts() && cast.receiver.account;
    if are_strangers { Refused(Why::NotFriends) } else { verdict }
}

/// Whether a join succeeds after the approval: who is a member for good is one by the approval.
pub fn in_by_approval(cast: &Cast) -> Verdict {
    if cast.sender.words.is_of_accounts() { Refused(Why::AlreadyIn) } else { Done }
}

pub fn decide(cast: &Cast, approve: bool) -> Act {
    Act::Decide { who: cast.sender.person.identifier().to_owned(), approve }
}

pub fn saying(text: &str, verdict: Verdict) -> Script {
    together([shown(Sender, say(text), verdict)])
}

pub fn clash(cast: &Cast) -> Script {
    let (sender, receiver) = (cast.sender.words, cast.receiver.words);
    if !sender.has_nickname() || !receiver.has_nickname() {
        return Err(NO_NICKNAME);
    }
    let claim = Act::Claim(cast.receiver.person.identifier().to_owned());
    let refused = Refused(Why::NameInUse);
    let tries = if receiver.is_of_accounts() {
        vec![shown(Sender, claim, Refused(Why::NameReserved))]
    } else if sender.claim_minds_clash() {
        vec![shown(Sender, claim, refused)]
    } else {
        vec![shown(Sender, claim, Done), shown(Sender, join(), refused)]
    };
    Ok(room(&[Receiver]).into_iter().chain(tries).collect())
}

pub fn made_by_join(cast: &Cast) -> Script {
    let (sender, receiver) = (cast.sender.words.join_makes_rooms(), cast.receiver.words.join_makes_rooms());
    let outcome = |lets_in: bool| if lets_in { Done } else { Refused(Why::NoSuchRoom) };
    Ok(vec![shown(Sender, join(), outcome(sender)), shown(Receiver, join(), outcome(sender || receiver))])
}

pub fn rename(cast: &Cast) -> Script {
    if !cast.sender.words.has_nickname() {
        return Err(NO_NICKNAME);
    }
    if cast.sender.words.is_of_accounts() {
        return Err("An id of `scrp` is an account's for good.");
    }
    if !cast.sender.words.claim_minds_clash() {
        return Err("A `pychat` client keeps its nickname for the connection's life.");
    }
    together([
        shown(Sender, Act::Claim(cast.free_name.clone()), Done),
        shown(Sender, say("I am somebody else now"), Done),
        step(Sender, Act::Leave, Done),
    ])
}

pub fn history(cast: &Cast) -> Script {
    if cast.receiver.words.request(&Act::History, &cast.room).is_err() {
        return Err(NO_COMMAND_TO_RECEIVE);
    }
    let before = [step(Sender, say("for later"), Done), step(Sender, Act::Leave, Done)];
    let after = [step(Receiver, join(), Done), shown(Receiver, Act::History, Done)];
    Ok(room(&[Sender]).into_iter().chain(before).chain(after).collect())
}

pub fn destroyed(cast: &Cast) -> Script {
    let maker = maker(cast);
    let mut steps = vec![step(maker, Act::Create, Done), step(Receiver, join(), Done)];
    // In `scrp` whoever makes a room is in it.
    if maker != Sender || !cast.sender.words.is_of_accounts() {
        steps.push(step(Sender, join(), Done));
    }
    steps.push(shown(maker, Act::Destroy, Done));
    let gone = Refused(Why::RoomGone);
    steps.extend([step(Receiver, say("anybody?"), gone), step(Sender, say("anybody?"), gone)]);
    Ok(steps)
}

pub fn nameless(cast: &Cast) -> Script {
    if cast.sender.words.login_first() {
        return Err("A client of `pychat` or `scrp` logs in before all else.");
    }
    let acts = [join(), say("who am I?"), Act::Leave].map(|act| shown(Sender, act, Done));
    Ok(room(&[Receiver]).into_iter().chain(acts).collect())
}
