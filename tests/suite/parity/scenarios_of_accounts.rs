//! The rest of the table: what accounts add.

use super::cast::Role::{Receiver, Sender};
use super::scenarios::{Arrival, GONE, GUESTS, NO_ACTION, NOT_CONCERNED, Scenario, Start, scenario};
use super::scripts::{PASSWORD, shown, together};
use super::scripts_of_accounts::{
    appoint, away, befriend, changing, destroyed_away, dismiss, hand_over, kick_by_admin, kick_by_owner, kick_of_owner,
    newer_login, of_sender, own_permission_room, owner_deleted, owner_leaves, presenting, put_out_away, settle,
    unfriend, write_to_friend, write_to_friend_away,
};
use super::words::Verdict::Done;
use super::words::{Act, Change, Profile, Reason};

const TO_ACCOUNTS: Reason = "Only those who speak `scrp` are told.";
const NOBODY_ELSE: Reason = "Nobody else knows the account.";
const NOT_FOR_GOOD: Reason = "Only members for good are told what they missed, and of one another's coming.";

const OWNER: Start = Start { sender: Arrival::Account, ..GUESTS };
const ACCOUNTS: Start = Start { receiver: Arrival::Account, ..OWNER };
const FRIENDS: Start = Start { friends: true, ..ACCOUNTS };

pub fn of_accounts() -> Vec<Scenario> {
    in_rooms().into_iter().chain(among_people()).collect()
}

fn in_rooms() -> Vec<Scenario> {
    vec![
        Scenario {
            start: OWNER,
            ..scenario(
                "Put out of a room by its owner",
                "Both are in the sender's own room; what the receiver says afterwards is refused.",
                kick_by_owner,
            )
        },
        Scenario {
            start: OWNER,
            ..scenario("Put out of a room by an admin", "The sender helps to run the room.", kick_by_admin)
        },
        Scenario {
            start: OWNER,
            ..scenario("Putting the owner out", "The sender helps to run the room that both are in.", kick_of_owner)
        },
        Scenario {
            start: ACCOUNTS,
            ..scenario(
                "Admin appointed",
                "Both are accounts, in the sender's own room; the receiver is appointed. In `scrp` only members for good have \
                 roles, which one becomes by `scrp`.",
                appoint,
            )
        },
        Scenario { start: ACCOUNTS, ..scenario("Admin dismissed", "The same, and the opposite.", dismiss) },
        Scenario {
            start: ACCOUNTS,
            ..scenario("Room handed over", "The sender's own room becomes the receiver's.", hand_over)
        },
        Scenario {
            start: OWNER,
            quiet: TO_ACCOUNTS,
            ..scenario("Room's nickname changed", "Both are in the sender's own room.", |cast| {
                changing(cast, Change::Nickname("The red room"))
            })
        },
        Scenario {
            start: OWNER,
            quiet: TO_ACCOUNTS,
            ..scenario("Room's description changed", "", |cast| changing(cast, Change::Description("All in red")))
        },
        Scenario {
            start: OWNER,
            quiet: TO_ACCOUNTS,
            ..scenario("Room's access changed", "It gets a password.", |cast| {
                changing(cast, Change::Password(PASSWORD))
            })
        },
        Scenario {
            start: OWNER,
            ..scenario(
                "The owner leaves",
                "Both are in the sender's own room. In `scrp` an owner cannot leave; in other dialects it stays a member for good.",
                owner_leaves,
            )
        },
        Scenario {
            start: OWNER,
            ..scenario(
                "The owner's account is deleted",
                "The room goes to the receiver where that is a member for good, which one becomes by `scrp`; else it is destroyed.",
                owner_deleted,
            )
        },
        Scenario {
            quiet: NOT_FOR_GOOD,
            ..scenario(
                "A member comes back",
                "Both were in the room; the receiver's connection ended, the sender said something, and the receiver is back.",
                away,
            )
        },
        Scenario {
            start: OWNER,
            quiet: NOT_FOR_GOOD,
            ..scenario(
                "A member that was put out comes back",
                "The receiver was away when the sender, in its own room, said something, put the receiver out, and said more.",
                put_out_away,
            )
        },
        Scenario {
            quiet: NOT_FOR_GOOD,
            ..scenario(
                "A member of a destroyed room comes back",
                "Both were in the room, and the receiver was away when it was destroyed. Where the sender's dialect has no command \
                 for that, a simple client did it.",
                destroyed_away,
            )
        },
        Scenario {
            start: Start { one_account: true, away: &[Receiver], ..ACCOUNTS },
            quiet: NO_ACTION,
            ..scenario(
                "A newer login",
                "The sender is in a room; the receiver logs in to the same account, and the sender's connection ends.",
                newer_login,
            )
        },
        Scenario {
            start: Start { receiver: Arrival::Account, ..GUESTS },
            ..scenario("The receiver's own permission room, asked", "", |cast| own_permission_room(cast, None))
        },
        Scenario {
            start: Start { receiver: Arrival::Account, ..GUESTS },
            quiet: NOT_CONCERNED,
            ..scenario("The receiver's own permission room, approved", "The receiver says yes.", |cast| {
                own_permission_room(cast, Some(true))
            })
        },
    ]
}

fn among_people() -> Vec<Scenario> {
    vec![
        Scenario {
            start: ACCOUNTS,
            ..scenario(
                "Friend request",
                "Both are accounts. Who speaks another dialect is told when it speaks `scrp`.",
                befriend,
            )
        },
        Scenario {
            start: ACCOUNTS,
            ..scenario("Friend request approved", "The sender asked, the receiver agrees.", |cast| settle(cast, true))
        },
        Scenario { start: ACCOUNTS, ..scenario("Friend request rejected", "", |cast| settle(cast, false)) },
        Scenario { start: FRIENDS, ..scenario("Friends no more", "The sender parts from the receiver.", unfriend) },
        Scenario {
            start: FRIENDS,
            ..scenario("Private message to a friend", "Both are accounts and friends.", write_to_friend)
        },
        Scenario {
            start: Start { away: &[Receiver], ..FRIENDS },
            ..scenario(
                "Private message to a friend who is away",
                "The sender has written; the receiver comes.",
                write_to_friend_away,
            )
        },
        Scenario {
            start: Start { away: &[Sender], ..FRIENDS },
            quiet: NO_ACTION,
            ..scenario("A friend comes online", "The sender logs in.", |_| of_sender(Act::Arrive))
        },
        Scenario {
            start: FRIENDS,
            quiet: GONE,
            ..scenario("A friend goes offline", "The sender's connection ends.", |_| of_sender(Act::Disconnect))
        },
        Scenario {
            start: FRIENDS,
            ..scenario("A friend's display nickname changes", "", |_| presenting(Profile::Nickname("Somebody else")))
        },
        Scenario {
            quiet: TO_ACCOUNTS,
            ..scenario("A member's description changes", "Both are in a room.", |_| {
                together([shown(Sender, Act::Present(Profile::Description("I am red today")), Done)])
            })
        },
        Scenario {
            start: FRIENDS,
            quiet: NOBODY_ELSE,
            ..scenario("A friend's account is deleted", "", |_| of_sender(Act::Delete))
        },
    ]
}
