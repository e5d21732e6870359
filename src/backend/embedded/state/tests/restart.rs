//! What another process finds on the disk.

use super::bench::{account, bench, guest, name, room, step};
use super::people::{befriend, put, sign_up};
use super::rooms::enrol;
use crate::backend::{Broker, Census, Claimant, Friends, Holder, Inbox, Members, NodeCount, Presence, Rooms, Users};
use crate::chat::{Epoch, Position, RoomRecord};

#[test]
fn members_for_good_are_members_after_a_restart() {
    let (red, blue) = (room("red"), room("blue"));
    let mut bench = bench();
    let record = RoomRecord { owner: Some(name("olga")), ..RoomRecord::default() };
    let id = red.clone();
    bench.done(vec![step(move |node| async move { node.create(&id, &record).await })]);
    bench.done(vec![enrol(&red, "mia"), enrol(&blue, "mia"), enrol(&red, "adam")]);
    let told = Position { epoch: Epoch::new(5), offset: 9 };
    let (id, gone) = (red.clone(), room("gone"));
    bench.done(vec![step(move |node| async move { node.told(&name("mia"), &[(id, told), (gone, told)]).await })]);
    let mut bench = bench.restart();
    let rolls = |id: &_| bench.state.rooms[id].roll.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((rolls(&red), rolls(&blue)), (vec!["olga".into(), "mia".into(), "adam".into()], vec!["mia".into()]));
    assert!(bench.state.empty.is_empty(), "somebody is in the room that nobody created");
    let list = bench.answer(|node| async move { node.enrolments(&name("mia")).await });
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|enrolment| enrolment.is_member));
    assert_eq!(list[1].told, Some(told));

    let id = blue.clone();
    bench.done(vec![step(move |node| async move { node.resign(&id, &account("mia"), false).await })]);
    let mut bench = bench.restart();
    assert_eq!(bench.state.empty.len(), 1);
    let list = bench.answer(|node| async move { node.enrolments(&name("mia")).await });
    assert_eq!((&list[0].room, list[0].is_member), (&blue, false));
}

#[test]
fn people_and_what_is_between_them_outlive_a_restart() {
    let mut bench = bench();
    let holder = Holder { session: guest(1).session, reads_inbox: true };
    bench.done(vec![sign_up("mia"), sign_up("bob"), sign_up("zoe"), put("mia"), put("mia")]);
    bench.done(befriend("mia", "bob", 1));
    bench.done(vec![
        step(|node| async move { node.delete_user(&name("zoe")).await }),
        step(|node| async move { node.report(&NodeCount { online: 3, ..NodeCount::default() }).await }),
        step(move |node| async move { node.claim(&name("mia"), holder, Claimant::Account).await }),
    ]);
    bench.state.clock.advance(5_000);
    bench.done(vec![step(move |node| async move { node.release(&name("mia"), holder.session).await })]);
    let before = bench.state.accounts.user(&name("mia")).unwrap();
    assert_eq!(before.last_active_s, before.signed_up_s + 5);

    let mut bench = bench.restart();
    assert_eq!(bench.state.accounts.user(&name("mia")), Some(before));
    assert_eq!(bench.state.search_users("some", None, 9).found, [name("bob"), name("mia")]);
    assert_eq!(bench.answer(|node| async move { node.friends(&name("mia")).await }), [name("bob")]);
    let mail = bench.answer(|node| async move { node.mail(&name("mia"), 0, 9).await });
    assert_eq!(mail.len(), 2);
    let deletions = bench.answer(|node| async move { node.deletions(&[name("zoe"), name("mia")]).await });
    assert!(matches!(deletions[..], [Some(_), None]));
    let census = bench.answer(|node| async move { node.census().await });
    assert_eq!((census.users, census.users_max, census.online_max), (2, 3, 3));
}

#[test]
fn numbers_are_never_given_twice() {
    let mut bench = bench();
    let first = bench.answer(|node| async move { node.lease_numbers(10).await });
    let second = bench.answer(|node| async move { node.lease_numbers(10).await });
    let mut bench = bench.restart();
    let third = bench.answer(|node| async move { node.lease_numbers(u32::MAX).await });
    assert_eq!((second - first, third - second), (10, 10));
    let wrapped = bench.answer(|node| async move { node.lease_numbers(1).await });
    assert_eq!(wrapped, third - 1, "they wrap around");
}

#[test]
fn mail_is_numbered_upwards_whatever_was_discarded() {
    let mut bench = bench();
    bench.done(vec![sign_up("mia"), put("mia")]);
    let read =
        |bench: &mut super::bench::Bench| bench.answer(|node| async move { node.mail(&name("mia"), 0, 9).await });
    let first = read(&mut bench)[0].number;
    bench.done(vec![step(move |node| async move { node.discard(&name("mia"), &[first, first, 7]).await })]);
    assert!(read(&mut bench).is_empty());
    let mut bench = bench.restart();
    bench.done(vec![put("mia")]);
    assert!(read(&mut bench)[0].number > first);
}
