//! Friends: asked, approved, parted from. And the one list of all requests that wait for an account.

use super::keeping::done;
use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{Asked, Asker, BackendError, Settled};
use crate::chat::{Applicant, Nickname, PendingRequest, Push, Refusal, Reply, RequestId, RequestKind, RoomId, Verdict};

impl Chat {
    pub(super) async fn befriend(&self, who: &Participant, other: &Nickname, text: String) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let own = self.user(account).await?;
        self.must_exist(other).await?;
        if account == other {
            return Err(Refusal::Forbidden);
        }
        let request = PendingRequest {
            id: self.numbers.request().await?,
            kind: RequestKind::Friend(account.clone()),
            from: account.to_string(),
            text: text.clone(),
            asked_s: self.clock.unix_us() / 1_000_000,
        };
        let asked = self.backend.friends.ask_friend(other, &request).await;
        match asked.map_err(|error| unavailable("befriend", &error))? {
            Asked::Done => {
                let (from, nickname) = (account.clone(), own.nickname);
                self.notify(other, &Push::FriendRequest { request: request.id, from, nickname, text }).await;
                Ok(Reply::Done)
            }
            Asked::Before => Ok(Reply::Done),
            Asked::AlreadyFriends => Err(Refusal::AlreadyFriends),
            Asked::Unknown => Err(Refusal::UserNotFound),
            Asked::TooMany => Err(Refusal::TooMany),
        }
    }

    pub(super) async fn unfriend(&self, who: &Participant, other: &Nickname) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let parted = self.backend.friends.part(account, other).await;
        if parted.map_err(|error| unavailable("unfriend", &error))? {
            self.notify(other, &Push::FriendRemoved { account: account.clone() }).await;
            return Ok(Reply::Done);
        }
        self.must_exist(other).await?;
        Err(Refusal::NotFriends)
    }

    pub(super) async fn friends(&self, who: &Participant) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let friends = self.backend.friends.friends(account).await.map_err(|error| unavailable("friends", &error))?;
        Ok(Reply::Users { users: self.users(friends).await?, next: None })
    }

    /// Everything that waits for the account's decision, oldest first.
    pub(super) async fn requests(&self, who: &Participant) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let waiting = self.backend.friends.friend_requests(account).await;
        let mut requests = waiting.map_err(|error| unavailable("requests", &error))?;
        for (room, applicants) in self.applications(account).await? {
            requests.extend(applicants.into_iter().map(|applicant| PendingRequest {
                id: applicant.request,
                kind: RequestKind::Room(room.clone()),
                from: applicant.identifier,
                text: String::new(),
                asked_s: applicant.asked_s,
            }));
        }
        requests.sort_by_key(|request| (request.asked_s, request.id));
        Ok(Reply::Requests { requests })
    }

    /// Who waits for the permission of the rooms that an account runs.
    async fn applications(&self, account: &Nickname) -> Result<Vec<(RoomId, Vec<Applicant>)>, Refusal> {
        let failed = |error: BackendError| unavailable("applications", &error);
        let mut applications = Vec::new();
        for enrolment in self.backend.members.enrolments(account).await.map_err(failed)? {
            let view = self.backend.rooms.view(&enrolment.room).await.map_err(failed)?;
            if let Some(view) = view.filter(|view| view.is_run_by(account) && !view.applicants.is_empty()) {
                applications.push((enrolment.room, view.applicants));
            }
        }
        Ok(applications)
    }

    /// Decides a request, whatever it asks for.
    pub(super) async fn settle_request(&self, who: &Participant, request: RequestId, verdict: Verdict) -> Outcome {
        match self.try_settle(who, request, verdict).await {
            Ok(afterwards) => Outcome { result: Ok(Reply::Done), afterwards },
            Err(refusal) => Outcome::refused(refusal),
        }
    }

    async fn try_settle(
        &self,
        who: &Participant,
        request: RequestId,
        verdict: Verdict,
    ) -> Result<Option<Settling>, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let approved = verdict == Verdict::Approve;
        let settled = self.backend.friends.settle_friend(account, request, approved).await;
        match settled.map_err(|error| unavailable("settle", &error))? {
            Settled::Done(PendingRequest { kind: RequestKind::Friend(asker), .. }) => {
                if verdict != Verdict::Ignore {
                    let kind = RequestKind::Friend(account.clone());
                    self.notify(&asker, &Push::Decided { request, kind, approved }).await;
                }
                Ok(None)
            }
            Settled::TooMany => Err(Refusal::TooMany),
            Settled::Done(_) | Settled::Nothing => self.settle_application(account, request, verdict).await,
        }
    }

    async fn settle_application(
        &self,
        account: &Nickname,
        request: RequestId,
        verdict: Verdict,
    ) -> Result<Option<Settling>, Refusal> {
        let waits = |applicants: &[Applicant]| applicants.iter().any(|applicant| applicant.request == request);
        let found = self.applications(account).await?.into_iter().find(|(_, applicants)| waits(applicants));
        let (room, _) = found.ok_or(Refusal::RequestNotFound)?;
        let approved = verdict == Verdict::Approve;
        let decided = self.backend.rooms.decide(&room, account, &Asker::Request(request), approved).await;
        let applicant = done("decide", decided).map_err(|refusal| match refusal {
            // Somebody else was quicker.
            Refusal::NoSuchApplicant | Refusal::RoomNotFound => Refusal::RequestNotFound,
            other => other,
        })?;
        Ok((verdict != Verdict::Ignore).then_some(Settling::Decided { applicant, room, approved }))
    }
}
