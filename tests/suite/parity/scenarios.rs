//! The table: every scenario as steps with their outcomes.

use super::cast::Role::{self, Keeper, Receiver, Sender};
use super::cast::{Cast, Step};
use super::scenarios_of_accounts::of_accounts;
use super::scripts::{
    ODD, PASSWORD, TEXT_BYTES, clash, decide, destroyed, guarded, history, in_by_approval, join, made_by_join, maker,
    nameless, rename, room, say, saying, shown, step, together, unless_strangers, with_password,
};
use super::words::Verdict::{Done, Refused};
use super::words::{Act, Change, Reason, Why};

pub struct Scenario {
    /// As the page and every report call it.
    pub title: &'static str,
    /// What the page says about it.
    pub about: &'static str,
    /// Why nobody else is told, where nobody is.
    pub quiet: Reason,
    pub start: Start,
    /// Pure: it is asked for the page and for each run.
    pub script: fn(&Cast) -> Script,
}

/// How a client comes to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// With a nickname where the dialect has them, and as an account where it knows nothing else.
    Guest,
    /// Without a nickname.
    Nameless,
    /// Logged in, with a token where the dialect has a word for that.
    Account,
}

/// How everybody comes.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub sender: Arrival,
    pub receiver: Arrival,
    /// Sender and receiver are friends, and so accounts.
    pub friends: bool,
    /// Sender and receiver are the same account.
    pub one_account: bool,
    /// Who is not there yet.
    pub away: &'static [Role],
}

pub const GUESTS: Start =
    Start { sender: Arrival::Guest, receiver: Arrival::Guest, friends: false, one_account: false, away: &[] };

/// The steps, or why the sender or the receiver cannot take part.
pub type Script = Result<Vec<Step>, Reason>;

pub const REFUSED: Reason = "The request was refused, and nobody else hears of it.";
pub const NOT_CONCERNED: Reason = "It is between the sender and somebody else.";
const NOT_ANNOUNCED: Reason = "Nobody is told; the next event carries the new name.";
pub const NO_ACTION: Reason = "Nothing was asked for.";
pub const GONE: Reason = "The connection is gone.";

pub fn scenario(title: &'static str, about: &'static str, script: fn(&Cast) -> Script) -> Scenario {
    Scenario { title, about, quiet: REFUSED, start: GUESTS, script }
}

pub fn all() -> Vec<Scenario> {
    of_everybody().into_iter().chain(of_accounts()).collect()
}

fn of_everybody() -> Vec<Scenario> {
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
            start: Start { sender: Arrival::Nameless, ..GUESTS },
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
            "To the receiver, by nickname or, where there is none, by the session's UUID. Who speaks `scrp` may write to \
             guests, and among accounts to friends.",
            |cast| {
                let to = cast.receiver.person.identifier().to_owned();
                let text = "psst \"\\\u{2028}\u{1F92B}".to_owned();
                Ok(vec![shown(Sender, Act::Write { to, text }, unless_strangers(cast, Done))])
            },
        ),
        scenario("Private message over the limit", "", |cast| {
            let to = cast.receiver.person.identifier().to_owned();
            let text = "x".repeat(TEXT_BYTES + 1);
            Ok(vec![shown(Sender, Act::Write { to, text }, unless_strangers(cast, Refused(Why::TextTooLong)))])
        }),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Private message to nobody", "Nobody has that nickname.", |cast| {
                let write = Act::Write { to: cast.free_name.clone(), text: "psst".to_owned() };
                Ok(vec![shown(Sender, write, Refused(Why::NobodyThere))])
            })
        },
        Scenario {
            start: Start { sender: Arrival::Nameless, ..GUESTS },
            ..scenario(
                "Nickname clash",
                "The sender claims the receiver's nickname, in `scrp` by signing up. In `pychat` the claim seems to succeed, and the \
                 next join is refused; an account's id is refused at once.",
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
            guarded(Act::Change(Change::Password(PASSWORD)), [shown(Sender, join(), Refused(Why::PasswordMissing))])
        }),
        scenario("Password room, with a wrong password", "", |_| {
            guarded(
                Act::Change(Change::Password(PASSWORD)),
                [shown(Sender, with_password("low tide"), Refused(Why::PasswordWrong))],
            )
        }),
        scenario("Password room, with the password", "", |_| {
            guarded(Act::Change(Change::Password(PASSWORD)), [shown(Sender, with_password(PASSWORD), Done)])
        }),
        scenario(
            "Permission room, asked",
            "A join asks the owner, who was in the extended mode of `simple` and was told so.",
            |_| guarded(Act::Change(Change::Permission), [shown(Sender, join(), Refused(Why::MustWait))]),
        ),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Permission room, approved", "The owner says yes.", |cast| {
                let asked = step(Sender, join(), Refused(Why::MustWait));
                guarded(Act::Change(Change::Permission), [asked, shown(Keeper, decide(cast, true), Done)])
            })
        },
        scenario(
            "Permission room, in after the approval",
            "The sender joins again. Who speaks `scrp` is in already.",
            |cast| {
                let asked = step(Sender, join(), Refused(Why::MustWait));
                guarded(
                    Act::Change(Change::Permission),
                    [asked, step(Keeper, decide(cast, true), Done), shown(Sender, join(), in_by_approval(cast))],
                )
            },
        ),
        Scenario {
            quiet: NOT_CONCERNED,
            ..scenario("Permission room, rejected", "The owner says no; the next join asks again.", |cast| {
                let asking = || step(Sender, join(), Refused(Why::MustWait));
                guarded(Act::Change(Change::Permission), [asking(), shown(Keeper, decide(cast, false), Done), asking()])
            })
        },
        Scenario {
            start: Start { sender: Arrival::Account, ..GUESTS },
            ..scenario(
                "Permission room, an admin comes",
                "The sender is logged in, and its account helps to run the room: nobody is asked.",
                |cast| {
                    let appointed = Act::Appoint(cast.sender.person.identifier().to_owned());
                    guarded(
                        Act::Change(Change::Permission),
                        [step(Keeper, appointed, Done), shown(Sender, join(), Done)],
                    )
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
