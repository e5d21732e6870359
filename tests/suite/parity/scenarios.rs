//! The table: every scenario as steps with their outcomes.

use super::model::Role::{Keeper, Receiver, Sender};
use super::model::{Cast, Step};
use super::scripts::{
    ODD, PASSWORD, TEXT_BYTES, clash, decide, destroyed, guarded, history, join, made_by_join, maker, nameless, rename,
    room, say, saying, shown, step, together, with_password,
};
use super::words::Verdict::{Done, Refused};
use super::words::{Act, Reason, Why};

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
const NOT_ANNOUNCED: Reason = "Nobody is told; the next event carries the new name.";
const NO_ACTION: Reason = "Nothing was asked for.";
const GONE: Reason = "The connection is gone.";

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
        Scenario {
            arrival: Arrival::Nameless,
            ..scenario(
                "Somebody without a nickname",
                "The sender joins the room that the receiver is in, says something and leaves.",
                nameless,
            )
        },
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
