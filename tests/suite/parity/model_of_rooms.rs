//! The room in the model: who comes, who goes, and who stays a member all the same.

use super::cast::{AllShown, Role};
use super::model::Model;
use super::words::{Happening, News, Sight};

impl Model {
    pub(super) fn create(&mut self, role: Role, shown: &mut AllShown) {
        let actor = self.cast.actor(role);
        if actor.account {
            self.owner = Some(role);
            self.members.push(role);
        }
        if actor.words.is_of_accounts() {
            self.inside.insert(role);
        }
        for role in self.connected.clone() {
            self.show(role, &Sight::Created, shown);
        }
    }

    pub(super) fn destroy(&mut self, shown: &mut AllShown) {
        let inside = std::mem::take(&mut self.inside);
        (self.owner, self.members) = (None, Vec::new());
        for role in self.connected.union(&inside).copied().collect::<Vec<_>>() {
            self.show(role, &Sight::Destroyed { inside: inside.contains(&role) }, shown);
        }
    }

    pub(super) fn join(&mut self, role: Role, shown: &mut AllShown) {
        let who = self.person(role);
        self.inside.insert(role);
        if self.members.contains(&role) {
            return self.happen(Happening::Came(who), shown);
        }
        if self.cast.actor(role).words.is_of_accounts() {
            self.members.push(role);
        }
        self.happen(Happening::Joined(who), shown);
    }

    pub(super) fn leave(&mut self, role: Role, shown: &mut AllShown) {
        if !self.inside.contains(&role) {
            return;
        }
        let who = self.person(role);
        if !self.connected.contains(&role) {
            self.inside.remove(&role);
        }
        let stays = self.members.contains(&role) && !self.cast.actor(role).words.is_of_accounts();
        self.happen(if stays { Happening::Went(who) } else { Happening::Left(who) }, shown);
        self.inside.remove(&role);
        if !stays {
            self.put_out(role);
        }
    }

    pub(super) fn put_out(&mut self, role: Role) {
        self.inside.remove(&role);
        self.members.retain(|member| *member != role);
    }

    /// Who is a member for good is away, and told later what it misses.
    pub(super) fn disconnect(&mut self, role: Role, shown: &mut AllShown) {
        self.connected.remove(&role);
        if !self.cast.actor(role).words.is_of_accounts() {
            self.leave(role, shown);
        }
        self.spread(role, &News::Offline, shown);
    }

    /// Another connection of the same account ends.
    pub(super) fn arrive(&mut self, role: Role, shown: &mut AllShown) {
        let name = self.cast.actor(role).person.nickname.clone();
        let twin =
            name.and_then(|name| self.connected().find(|other| self.person(*other).nickname == Some(name.clone())));
        self.connected.insert(role);
        shown.entry(role).or_default().extend(self.missed.remove(&role).unwrap_or_default());
        let Some(twin) = twin else { return self.spread(role, &News::Online, shown) };
        self.show(twin, &Sight::Superseded, shown);
        self.connected.remove(&twin);
        if !self.cast.actor(twin).words.is_of_accounts() {
            self.leave(twin, shown);
        }
        self.inside.remove(&twin);
        if let Some(member) = self.members.iter_mut().find(|member| **member == twin) {
            *member = role;
            if self.cast.actor(role).words.is_of_accounts() {
                self.inside.insert(role);
            }
        }
    }

    pub(super) fn decide(&mut self, who: &str, approve: bool, shown: &mut AllShown) {
        let Some(applicant) = self.reached(who).filter(|role| self.waiting.remove(role)) else { return };
        self.show(applicant, &Sight::Decided { approved: approve }, shown);
        if approve && self.cast.actor(applicant).words.is_of_accounts() {
            // It hears of the room from then on.
            self.happen(Happening::Joined(self.person(applicant)), shown);
            self.inside.insert(applicant);
            self.members.push(applicant);
        }
    }

    /// What the account owned goes to the next member, or with it.
    pub(super) fn delete(&mut self, role: Role, shown: &mut AllShown) {
        let (who, was_member) = (self.person(role), self.members.contains(&role));
        let was_inside = self.inside.remove(&role);
        self.members.retain(|member| *member != role);
        if self.owner == Some(role) {
            self.owner = self.members.first().copied();
            match self.owner.map(|heir| self.person(heir)) {
                Some(to) => self.happen(Happening::Handed { to }, shown),
                None => self.destroy(shown),
            }
        }
        if was_member && was_inside {
            self.happen(Happening::Left(who), shown);
        }
        self.spread_from(role, was_member, &News::Deleted, shown);
        self.friends = false;
        self.cast.actor_mut(role).person.nickname = None;
    }
}
