//! The table: every scenario as steps with their outcomes.

use super::model::Role::{self, Keeper, Receiver, Sender};
use super::model::{Cast, Step};
use super::words::Verdict::{Done, Refused};
use super::words::{Act, Reason, Verdict, Why};

pub struct Scenario {
    /// As the page and every report call it.
    pub title: &'static str,
    /// What the page says about it.
    pub about: &'static str,
    /// Why nobody else is told, where nobody is.
    pub quiet: Reason,
    /// How the sender arrives.
    pub arrival: Arrival,
    /// Pure: it is asked for the page and for each run.
    pub script: fn(&Cast) -> Script,
}

/// How a client comes to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// With a nickname where the dialect has them.
    Guest,
    /// Without a nickname.
    Nameless,
    /// Logged in with a token.
    Account,
}

/// The steps, or why the sender or the receiver cannot take part.
pub type Script = Result<Vec<Step>, Reason>;

const REFUSED: Reason = "The request was refused, and nobody else hears of it.";
const NOT_CONCERNED: Reason = "It is between the sender and somebody else.";
const NO_NICKNAME: Reason = "Without its extended mode `simple` has no nicknames for guests.";
const NOT_ANNOUNCED: Reason = "Nobody is told; the next event carries the new name.";

const NO_ACTION: Reason = "Nothing was asked for.";
const GONE: Reason = "The connection is gone.";

const PASSWORD: &str = "high tide";

/// The text limit of a node, by default.
const TEXT_BYTES: usize = 4096;

const ODD: &str = "\u{1F469}\u{200D}\u{1F680} \"quoted\" \\ back\\\\slash / 'single' </script> {\"json\":[1]} %s $x \
    line\u{2028}paragraph\u{2029} \u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{202E}rtl\u{202C} e\u{301} \u{FEFF}bom \u{FFFD} \u{10FFFF} \
    \u{1}\u{2}\u{7}\u{8}\t\u{B}\u{C}\u{E}\u{1B}[31m\u{1F}\u{7F}\u{85}\u{9F}.";

fn step(role: Role, act: Act, verdict: Verdict) -> Step {
    Step { role, act, verdict, shown: false }
}

fn shown(role: Role, act: Act, verdict: Verdict) -> Step {
    Step { role, act, verdict, shown: true }
}

fn join() -> Act {
    Act::Join { password: None }
}

fn with_password(password: &'static str) -> Act {
    Act::Join { password: Some(password) }
}

fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// A room with these in it.
fn room(inside: &[Role]) -> Vec<Step> {
    let created = step(Keeper, Act::Create, Done);
    std::iter::once(created).chain(inside.iter().map(|role| step(*role, join(), Done))).collect()
}

/// A room with both in it, and then this.
fn together(rest: impl IntoIterator<Item = Step>) -> Script {
    Ok(room(&[Receiver, Sender]).into_iter().chain(rest).collect())
}

/// A room with the receiver in it that has a rule for whoever comes next, and then this.
fn guarded(rule: Act, rest: impl IntoIterator<Item = Step>) -> Script {
    let rule = step(Keeper, rule, Done);
    Ok(room(&[Receiver]).into_iter().chain([rule]).chain(rest).collect())
}

/// Whoever can create and destroy rooms: the sender, or a simple client in its place.
fn maker(cast: &Cast) -> Role {
    if cast.sender.words.request(&Act::Create, &cast.room).is_ok() { Sender } else { Keeper }
}

fn decide(cast: &Cast, approve: bool) -> Act {
    Act::Decide { who: cast.sender.person.identifier().to_owned(), approve }
}

fn saying(text: &str, verdict: Verdict) -> Script {
    together([shown(Sender, say(text), verdict)])
}

fn clash(cast: &Cast) -> Script {
    let (sender, receiver) = (cast.sender.words, cast.receiver.words);
    if !sender.has_nickname() || !receiver.has_nickname() {
        return Err(NO_NICKNAME);
    }
    let claim = Act::Claim(cast.receiver.person.identifier().to_owned());
    let refused = Refused(Why::NameInUse);
    let tries = if sender.claim_minds_clash() {
        vec![shown(Sender, claim, refused)]
    } else {
        vec![shown(Sender, claim, Done), shown(Sender, join(), refused)]
    };
    Ok(room(&[Receiver]).into_iter().chain(tries).collect())
}

fn made_by_join(cast: &Cast) -> Script {
    let (sender, receiver) = (cast.sender.words.join_makes_rooms(), cast.receiver.words.join_makes_rooms());
    let outcome = |lets_in: bool| if lets_in { Done } else { Refused(Why::NoSuchRoom) };
    Ok(vec![shown(Sender, join(), outcome(sender)), shown(Receiver, join(), outcome(sender || receiver))])
}

fn rename(cast: &Cast) -> Script {
    if !cast.sender.words.has_nickname() {
        return Err(NO_NICKNAME);
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

fn history(cast: &Cast) -> Script {
    if cast.receiver.words.request(&Act::History, &cast.room).is_err() {
        return Err("The receiver's dialect has no command for it.");
    }
    let before = [step(Sender, say("for later"), Done), step(Sender, Act::Leave, Done)];
    let after = [step(Receiver, join(), Done), shown(Receiver, Act::History, Done)];
    Ok(room(&[Sender]).into_iter().chain(before).chain(after).collect())
}

fn destroyed(cast: &Cast) -> Script {
    let maker = maker(cast);
    let mut steps = vec![step(maker, Act::Create, Done), step(Receiver, join(), Done), step(Sender, join(), Done)];
    steps.push(shown(maker, Act::Destroy, Done));
    let gone = Refused(Why::RoomGone);
    steps.extend([step(Receiver, say("anybody?"), gone), step(Sender, say("anybody?"), gone)]);
    Ok(steps)
}

fn scenario(title: &'static str, about: &'static str, script: fn(&Cast) -> Script) -> Scenario {
    Scenario { title, about, quiet: REFUSED, arrival: Arrival::Guest, script }
}

pub fn all() -> Vec<Scenario> {
    vec![
        scenario(
            "Room created",
            "A room is created on purpose; the receiver is in no room. Where the sender's dialect has no command for it, a simple \
             client does it.",
            |cast| Ok(vec![shown(maker(cast), Act::Create, Done)]),
        ),
        scenario("Join", "The sender joins the room that the receiver is in.", |_| {
            Ok(room(&[Receiver]).into_iter().chain([shown(Sender, join(), Done)]).collect())
        }),
        scenario(
            "Join of a room that is not there",
            "First the sender joins, then the receiver. Whether a join makes the room is up to the dialect of whoever joins.",
            made_by_join,
        ),
        scenario("Join of a room one is in", "", |_| together([shown(Sender, join(), Refused(Why::AlreadyIn))])),
        scenario("Leave", "The sender leaves the room that both are in.", |_| {
            together([shown(Sender, Act::Leave, Done)])
        }),
        Scenario {
            quiet: GONE,
            ..scenario("Disconnect", "The sender's connection ends in a room that both are in.", |_| {
                let steps = room(&[Keeper, Receiver, Sender]).into_iter();
                Ok(steps.chain([shown(Sender, Act::Disconnect, Done)]).collect())
            })
        },
        scenario("Message", "The sender says something in the room that both are in.", |_| saying("hi all", Done)),
        scenario("Empty message", "", |_| saying("", Done)),
        scenario("Text at the limit", "4,096 bytes of UTF-8 arrive as they were sent.", |_| {
            saying(&"\u{E9}".repeat(TEXT_BYTES / 2), Done)
        }),
        scenario("Text over the limit", "One byte more.", |_| {
            saying(&format!("{}x", "\u{E9}".repeat(TEXT_BYTES / 2)), Refused(Why::TextTooLong))
        }),
        scenario(
            "Odd text",
            "Emoji, quotes, backslashes, U+2028, right-to-left text, a byte order mark and control characters arrive as they were \
             sent.",
            |_| saying(ODD, Done),
        ),
        scenario("Text of several lines", "LF, CRLF and NUL inside of a text.", |_| {
            saying("one\ntwo\r\nthree\0four", Done)
        }),
        scenario("Message to a room one is not in", "The receiver is in it, the sender is not.", |_| {
            let said = shown(Sender, say("hi"), Refused(Why::NotInRoom));
            Ok(room(&[Receiver]).into_iter().chain([said]).collect())
        }),
        scenario(
            "Private message",
            "To the receiver, by nickname or, where there is none, by the session's UUID.",
            |cast| {
                let to = cast.receiver.person.identifier().to_owned();
                Ok(vec![shown(Sender, Act::Write { to, text: "psst \"\\\u{2028}\u{1F92B}".to_owned() }, Done)])
            },
        ),
        scenario("Private message over the limit", "", |cast| {
            let to = cast.receiver.person.identifier().to_owned();
            let text = "x".repeat(TEXT_BYTES + 1);
            Ok(vec![shown(Sender, Act::Write { to, text }, Refused(Why::TextTooLong))])
        }),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Private message to nobody", "Nobody has that nickname.", |cast| {
                let write = Act::Write { to: cast.free_name.clone(), text: "psst".to_owned() };
                Ok(vec![shown(Sender, write, Refused(Why::NobodyThere))])
            })
        },
        Scenario {
            arrival: Arrival::Nameless,
            ..scenario(
                "Nickname clash",
                "The sender claims the receiver's nickname. In `pychat` the claim seems to succeed, and the next join is refused.",
                clash,
            )
        },
        Scenario {
            quiet: NOT_ANNOUNCED,
            ..scenario(
                "Rename",
                "The sender takes another nickname in the room that both are in, and then says something.",
                rename,
            )
        },
        scenario(
            "Room destroyed while in it",
            "Both are in it and are out afterwards; what they say then is refused. Where the sender's dialect has no command for it, \
             a simple client does it.",
            destroyed,
        ),
        scenario("Destroying somebody else's room", "The room's owner is an account, and not the sender.", |_| {
            together([shown(Sender, Act::Destroy, Refused(Why::NotTheOwner))])
        }),
        scenario("Creating a room that is there", "", |_| {
            together([shown(Sender, Act::Create, Refused(Why::RoomExists))])
        }),
        scenario("Password room, without a password", "The room got its password when the receiver was in it.", |_| {
            guarded(Act::SetPassword(PASSWORD), [shown(Sender, join(), Refused(Why::PasswordMissing))])
        }),
        scenario("Password room, with a wrong password", "", |_| {
            guarded(Act::SetPassword(PASSWORD), [shown(Sender, with_password("low tide"), Refused(Why::PasswordWrong))])
        }),
        scenario("Password room, with the password", "", |_| {
            guarded(Act::SetPassword(PASSWORD), [shown(Sender, with_password(PASSWORD), Done)])
        }),
        scenario(
            "Permission room, asked",
            "A join asks the owner, who was in the extended mode of `simple` and was told so.",
            |_| guarded(Act::AskMe, [shown(Sender, join(), Refused(Why::MustWait))]),
        ),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Permission room, approved", "The owner says yes.", |cast| {
                let asked = step(Sender, join(), Refused(Why::MustWait));
                guarded(Act::AskMe, [asked, shown(Keeper, decide(cast, true), Done)])
            })
        },
        scenario("Permission room, in after the approval", "The sender joins again.", |cast| {
            let asked = step(Sender, join(), Refused(Why::MustWait));
            guarded(Act::AskMe, [asked, step(Keeper, decide(cast, true), Done), shown(Sender, join(), Done)])
        }),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Permission room, rejected", "The owner says no; the next join asks again.", |cast| {
                let asking = || step(Sender, join(), Refused(Why::MustWait));
                guarded(Act::AskMe, [asking(), shown(Keeper, decide(cast, false), Done), asking()])
            })
        },
        Scenario {
            arrival: Arrival::Account,
            ..scenario(
                "Permission room, an admin comes",
                "The sender is logged in with a token, and its account helps to run the room: nobody is asked.",
                |cast| {
                    let appointed = Act::Appoint(cast.sender.person.identifier().to_owned());
                    guarded(Act::AskMe, [step(Keeper, appointed, Done), shown(Sender, join(), Done)])
                },
            )
        },
        Scenario {
            quiet: NO_ACTION,
            ..scenario(
                "History",
                "The sender joined, said something and left; then the receiver joins and asks for the room's history.",
                history,
            )
        },
    ]
}
