//! Talking as a test does that ends with the first surprise.

use serde_json::{Value, json};

use super::client::{Client, parsed, shortened};
use super::dialect::{Dialect, Message, Transport, command, request, sign_up};
use super::node::Node;
use super::token::token_of;

impl Client {
    /// A client that has claimed `nickname` and is in `room`, over the transport of the dialect's original server.
    pub async fn member(node: &Node, dialect: Dialect, nickname: &str, room: &str) -> Self {
        let mut client = Self::named(node, dialect, nickname).await;
        client.join(room).await;
        client
    }

    /// A client that has claimed `nickname`, over the transport of the dialect's original server.
    pub async fn named(node: &Node, dialect: Dialect, nickname: &str) -> Self {
        let transport = match dialect {
            Dialect::Action | Dialect::Simple => Transport::WebSocket,
            Dialect::Pychat | Dialect::Scrp => Transport::Tcp,
        };
        let mut client = Self::connect(node, dialect, transport).await;
        client.claim(nickname).await;
        client
    }

    /// A client that is logged in as an account, by a token in the address.
    pub async fn account(node: &Node, dialect: Dialect, account: &str) -> Self {
        Self::by_token(node, dialect, &token_of(account)).await
    }

    pub async fn by_token(node: &Node, dialect: Dialect, token: &str) -> Self {
        let client = Self::dial_with(node.address("http"), dialect, &format!("token={token}")).await;
        let mut client = client.unwrap_or_else(|error| panic!("cannot connect with a token: {error}"));
        client.greet().await;
        // Whoever gets an answer is logged in.
        client.expect_quiet().await;
        client
    }

    /// Begins the extended mode where names and replies need it; nothing happens the second time.
    pub async fn greet(&mut self) {
        if let (Some(greeting), None) = (self.dialect().greeting(), self.own()) {
            self.must(greeting).await;
        }
    }

    /// In `scrp` the name is an account's, which is made where there is none.
    pub async fn claim(&mut self, nickname: &str) {
        self.try_claim(nickname).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub async fn try_claim(&mut self, nickname: &str) -> Result<(), String> {
        self.greet().await;
        if self.dialect() == Dialect::Scrp {
            let reply = self.try_ask(&sign_up(nickname)).await?;
            if let Some(error) = self.dialect().error(&reply).filter(|error| *error != "USER_ALREADY_EXISTS") {
                return Err(format!("{nickname} cannot sign up: {error}"));
            }
        }
        let reply = self.try_ask(&self.dialect().claim(nickname)).await?;
        match self.dialect().error(&reply) {
            Some(error) => Err(format!("the name {nickname} was refused: {error}")),
            None => Ok(()),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.try_send(text).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub async fn expect_quiet(&mut self) {
        self.try_quiet().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The end of the connection, over WebSocket with the code and the reason of the close frame.
    pub async fn expect_closed(&mut self) -> Option<(u16, String)> {
        self.try_closed().await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn frame(&mut self) -> String {
        self.try_frame().await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn ask(&mut self, request: &str) -> Value {
        self.try_ask(request).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks for something that has to succeed.
    pub async fn must(&mut self, request: &str) {
        let reply = self.ask(request).await;
        assert_eq!(self.dialect().error(&reply), None, "{} was refused", shortened(request));
    }

    /// Asks for something that has to be refused; gives the text of the error.
    pub async fn refused(&mut self, request: &str) -> String {
        let reply = self.ask(request).await;
        let error = self.dialect().error(&reply).map(str::to_owned);
        error.unwrap_or_else(|| panic!("{request} was not refused: {reply}"))
    }

    /// Joins `room` and reads the news of one's own coming. Where a join does not make the room it is made before.
    pub async fn join(&mut self, room: &str) {
        self.greet().await;
        let mut reply = self.ask(&self.dialect().join(room)).await;
        if self.dialect() == Dialect::Simple && reply["code"] == "channel_not_found" {
            let created = self.ask(&command("create", &format!("#{room}"))).await;
            // Somebody else may have made it meanwhile.
            let error = self.dialect().error(&created);
            assert!(error.is_none_or(|error| error == "channel_exists"), "cannot create {room}: {created}");
            reply = self.ask(&self.dialect().join(room)).await;
        }
        if self.dialect() == Dialect::Scrp && reply["err"] == 404 {
            let wishes = json!({"room_id": room, "room_nickname": room, "room_access": 0});
            // Whoever makes it is in it.
            reply = self.ask(&request("CREATE_ROOM", wishes)).await;
            if self.dialect().error(&reply) == Some("ROOM_ALREADY_EXISTS") {
                reply = self.ask(&self.dialect().join(room)).await;
            }
        }
        assert_eq!(self.dialect().error(&reply), None, "the join of {room} was refused");
        if self.dialect() == Dialect::Pychat {
            let joined = self.frame().await;
            assert_eq!(parsed(&joined)["type"], "userJoined", "received {joined}");
        }
    }

    /// The acknowledged sending of `text`; the sender's own copy stays to be read, where the dialect has one.
    pub async fn say(&mut self, room: &str, text: &str) {
        self.must(&self.dialect().say(room, text)).await;
    }

    /// The next message of a room; the coming and going of members is passed over, a reply is not.
    pub async fn message(&mut self) -> Message {
        loop {
            let frame = self.frame().await;
            let value = parsed(&frame);
            assert!(!self.dialect().is_reply(&value), "awaited a message, received {frame}");
            if let Some(message) = self.dialect().message(&value) {
                return message;
            }
        }
    }

    /// The acknowledged writing of a private message.
    pub async fn write(&mut self, to: &str, text: &str) {
        self.greet().await;
        self.must(&self.dialect().write(to, text)).await;
    }

    /// The next private message; whatever happens in rooms is passed over, a reply is not.
    pub async fn private_message(&mut self) -> Message {
        loop {
            let frame = self.frame().await;
            let value = parsed(&frame);
            assert!(!self.dialect().is_reply(&value), "awaited a private message, received {frame}");
            if let Some(message) = self.dialect().private_message(&value) {
                return message;
            }
        }
    }

    pub async fn expect_private(&mut self, author: &str, text: &str) {
        let expected = Message { author: author.to_owned(), text: text.to_owned() };
        assert_eq!(self.private_message().await, expected);
    }

    pub async fn expect_message(&mut self, author: &str, text: &str) {
        let expected = Message { author: author.to_owned(), text: text.to_owned() };
        assert_eq!(self.message().await, expected);
    }

    /// The bodies of the records that pychat's HISTORY gives for `bounds`.
    pub async fn history(&mut self, bounds: &str) -> Vec<Value> {
        self.must(format!("HISTORY {bounds}").trim_end()).await;
        let records = self.take_waiting(|frame| frame["type"] == "history");
        records.into_iter().map(|mut record| record["body"].take()).collect()
    }
}
