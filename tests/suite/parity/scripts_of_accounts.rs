//! The steps of what accounts add, and what they are made of.

use super::cast::Role::{Keeper, Receiver, Sender};
use super::cast::{Cast, Step};
use super::scenarios::Script;
use super::scripts::{join, maker, room, say, shown, step};
use super::words::Verdict::{Done, Refused};
use super::words::{Act, Change, NO_COMMAND_TO_RECEIVE, Profile, Verdict, Why};

/// A room that is the sender's own, with both in it, and then this.
pub fn owned(cast: &Cast, rest: impl IntoIterator<Item = Step>) -> Script {
    let mut steps = vec![step(Sender, Act::Create, Done), step(Receiver, join(), Done)];
    // In `scrp` whoever makes a room is in it.
    if !cast.sender.words.is_of_accounts() {
        steps.push(step(Sender, join(), Done));
    }
    Ok(steps.into_iter().chain(rest).collect())
}

pub fn changing(cast: &Cast, change: Change) -> Script {
    owned(cast, [shown(Sender, Act::Change(change), Done)])
}

/// A room in which the sender helps its owner.
fn helped(cast: &Cast, rest: impl IntoIterator<Item = Step>) -> Script {
    let appointed = Act::Appoint(cast.sender.person.identifier().to_owned());
    let steps = room(&[Receiver, Sender]).into_iter().chain([step(Keeper, appointed, Done)]);
    Ok(steps.chain(rest).collect())
}

fn receiver(cast: &Cast) -> String {
    cast.receiver.person.identifier().to_owned()
}

fn put_out(cast: &Cast) -> [Step; 2] {
    let remove = Act::Remove(receiver(cast));
    [shown(Sender, remove, Done), step(Receiver, say("anybody?"), Refused(Why::NotInRoom))]
}

pub fn kick_by_owner(cast: &Cast) -> Script {
    owned(cast, put_out(cast))
}

pub fn kick_by_admin(cast: &Cast) -> Script {
    helped(cast, put_out(cast))
}

pub fn kick_of_owner(cast: &Cast) -> Script {
    let remove = Act::Remove(cast.keeper.person.identifier().to_owned());
    helped(cast, [shown(Sender, remove, Refused(Why::NotTheOwner))])
}

/// In `scrp` only members for good have roles.
fn of_members(cast: &Cast) -> Verdict {
    let is_member = cast.receiver.words.is_of_accounts();
    if cast.sender.words.is_of_accounts() && !is_member { Refused(Why::NoMember) } else { Done }
}

pub fn appoint(cast: &Cast) -> Script {
    owned(cast, [shown(Sender, Act::Appoint(receiver(cast)), of_members(cast))])
}

pub fn dismiss(cast: &Cast) -> Script {
    let verdict = of_members(cast);
    let appointed = step(Sender, Act::Appoint(receiver(cast)), verdict);
    owned(cast, [appointed, shown(Sender, Act::Dismiss(receiver(cast)), verdict)])
}

pub fn hand_over(cast: &Cast) -> Script {
    let verdict = of_members(cast);
    let handed = shown(Sender, Act::HandOver(receiver(cast)), verdict);
    // What the former owner may do no more.
    let destroy = step(Sender, Act::Destroy, if verdict == Done { Refused(Why::NotTheOwner) } else { Done });
    owned(cast, [handed, destroy])
}

pub fn owner_leaves(cast: &Cast) -> Script {
    let verdict = if cast.sender.words.is_of_accounts() { Refused(Why::NotTheOwner) } else { Done };
    owned(cast, [shown(Sender, Act::Leave, verdict)])
}

pub fn owner_deleted(cast: &Cast) -> Script {
    owned(cast, [shown(Sender, Act::Delete, Done)])
}

pub fn away(_: &Cast) -> Script {
    let meanwhile = [step(Receiver, Act::Disconnect, Done), step(Sender, say("are you there?"), Done)];
    Ok(room(&[Receiver, Sender]).into_iter().chain(meanwhile).chain([shown(Receiver, Act::Arrive, Done)]).collect())
}

pub fn put_out_away(cast: &Cast) -> Script {
    if !cast.receiver.words.is_of_accounts() {
        return Err("In the receiver's dialect whoever is away is in no room.");
    }
    let said = step(Sender, say("are you there?"), Done);
    let out = step(Sender, Act::Remove(receiver(cast)), Done);
    let (away, back) = (step(Receiver, Act::Disconnect, Done), shown(Receiver, Act::Arrive, Done));
    owned(cast, [away, said, out, step(Sender, say("it is gone"), Done), back])
}

pub fn destroyed_away(cast: &Cast) -> Script {
    let maker = maker(cast);
    let made = [step(maker, Act::Create, Done), step(Receiver, join(), Done)];
    let away = [step(Receiver, Act::Disconnect, Done), step(maker, Act::Destroy, Done)];
    Ok(made.into_iter().chain(away).chain([shown(Receiver, Act::Arrive, Done)]).collect())
}

pub fn newer_login(cast: &Cast) -> Script {
    let both = cast.sender.words.is_of_accounts() && cast.receiver.words.is_of_accounts();
    let rejoined = step(Receiver, join(), if both { Refused(Why::AlreadyIn) } else { Done });
    Ok(room(&[Sender]).into_iter().chain([shown(Receiver, Act::Arrive, Done), rejoined]).collect())
}

pub fn own_permission_room(cast: &Cast, decision: Option<bool>) -> Script {
    let change = Act::Change(Change::Permission);
    if cast.receiver.words.request(&change, &cast.room).is_err() {
        return Err(NO_COMMAND_TO_RECEIVE);
    }
    let mut steps = vec![step(Receiver, Act::Create, Done), step(Receiver, change, Done)];
    let asked = Step { shown: decision.is_none(), ..shown(Sender, join(), Refused(Why::MustWait)) };
    steps.push(asked);
    let who = cast.sender.person.identifier().to_owned();
    steps.extend(decision.map(|approve| shown(Receiver, Act::Decide { who, approve }, Done)));
    Ok(steps)
}

pub fn befriend(cast: &Cast) -> Script {
    Ok(vec![shown(Sender, Act::Befriend(receiver(cast)), Done)])
}

pub fn settle(cast: &Cast, approve: bool) -> Script {
    if !cast.receiver.words.is_of_accounts() {
        return Err(NO_COMMAND_TO_RECEIVE);
    }
    Ok(vec![step(Sender, Act::Befriend(receiver(cast)), Done), shown(Receiver, Act::Settle { approve }, Done)])
}

pub fn unfriend(cast: &Cast) -> Script {
    Ok(vec![shown(Sender, Act::Unfriend(receiver(cast)), Done)])
}

fn letter(cast: &Cast) -> Act {
    Act::Write { to: receiver(cast), text: "only for you".to_owned() }
}

pub fn write_to_friend(cast: &Cast) -> Script {
    Ok(vec![shown(Sender, letter(cast), Done)])
}

pub fn write_to_friend_away(cast: &Cast) -> Script {
    Ok(vec![step(Sender, letter(cast), Done), shown(Receiver, Act::Arrive, Done)])
}

pub fn of_sender(act: Act) -> Script {
    Ok(vec![shown(Sender, act, Done)])
}

pub fn presenting(profile: Profile) -> Script {
    of_sender(Act::Present(profile))
}
