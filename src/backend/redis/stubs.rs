use super::super::*;
use super::super::{attempts::*, census::*, friends::*, inbox::*, members::*, search::*, users::*};
use super::Redis;
use crate::chat::*;
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Users for Redis {
    async fn sign_up(&self, account: &Nickname, password_hash: &str, nickname: &str) -> Result<bool, BackendError> {
        todo!()
    }
    async fn user(&self, account: &Nickname) -> Result<Option<User>, BackendError> {
        todo!()
    }
    async fn change_user(&self, account: &Nickname, change: &UserChange) -> Result<bool, BackendError> {
        todo!()
    }
    async fn delete_user(&self, account: &Nickname) -> Result<(), BackendError> {
        todo!()
    }
    async fn deletions(&self, accounts: &[Nickname]) -> Result<Vec<Option<i64>>, BackendError> {
        todo!()
    }
}

#[async_trait]
impl Friends for Redis {
    async fn friends(&self, account: &Nickname) -> Result<Vec<Nickname>, BackendError> {
        todo!()
    }
    async fn ask_friend(&self, to: &Nickname, request: &PendingRequest) -> Result<Asked, BackendError> {
        todo!()
    }
    async fn friend_requests(&self, account: &Nickname) -> Result<Vec<PendingRequest>, BackendError> {
        todo!()
    }
    async fn settle_friend(
        &self,
        account: &Nickname,
        request: RequestId,
        approve: bool,
    ) -> Result<Settled, BackendError> {
        todo!()
    }
    async fn part(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError> {
        todo!()
    }
}

#[async_trait]
impl Inbox for Redis {
    async fn put(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>) -> Result<Put, BackendError> {
        todo!()
    }
    async fn mail(&self, account: &Nickname, after: u64, limit: usize) -> Result<Vec<Mail>, BackendError> {
        todo!()
    }
    async fn discard(&self, account: &Nickname, numbers: &[u64]) -> Result<(), BackendError> {
        todo!()
    }
}

#[async_trait]
impl Members for Redis {
    async fn enrol(
        &self,
        room: &RoomId,
        who: &Actor,
        ticket: &Ticket,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        todo!()
    }
    async fn resign(
        &self,
        room: &RoomId,
        who: &Actor,
        deleted: bool,
    ) -> Result<Result<Resigned, RoomFault>, BackendError> {
        todo!()
    }
    async fn remove(&self, room: &RoomId, by: &Actor, who: &Actor) -> Result<Result<(), RoomFault>, BackendError> {
        todo!()
    }
    async fn hand_over(&self, room: &RoomId, by: &Actor, to: &Nickname) -> Result<Result<(), RoomFault>, BackendError> {
        todo!()
    }
    async fn roll(&self, room: &RoomId, skip: usize, limit: usize) -> Result<Option<Vec<Member>>, BackendError> {
        todo!()
    }
    async fn enrolments(&self, account: &Nickname) -> Result<Vec<Enrolment>, BackendError> {
        todo!()
    }
    async fn told(&self, account: &Nickname, positions: &[(RoomId, Position)]) -> Result<(), BackendError> {
        todo!()
    }
    async fn forget_enrolment(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError> {
        todo!()
    }
}

#[async_trait]
impl Attempts for Redis {
    async fn attempt(&self, key: &str) -> Result<bool, BackendError> {
        todo!()
    }
    async fn succeeded(&self, key: &str) -> Result<(), BackendError> {
        todo!()
    }
}

#[async_trait]
impl Search for Redis {
    async fn search_users(
        &self,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Nickname>, BackendError> {
        todo!()
    }
    async fn search_rooms(&self, query: &str, after: Option<&str>, limit: usize) -> Result<Page<RoomId>, BackendError> {
        todo!()
    }
}

#[async_trait]
impl Census for Redis {
    async fn report(&self, count: &NodeCount) -> Result<(), BackendError> {
        todo!()
    }
    async fn census(&self) -> Result<ClusterCount, BackendError> {
        todo!()
    }
}
