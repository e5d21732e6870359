//! The gateway's page, used as people use it.

use super::browser::Browser;

impl Browser {
    pub async fn sign_in(&self, nickname: &str) {
        self.shows("#status[data-state=online]").await;
        self.fill("#nickname", nickname).await;
        self.click("#login").await;
        self.shows("body[data-view=chat]").await;
    }

    pub async fn join(&self, room: &str) {
        self.fill("#room", room).await;
        self.click("#join").await;
        self.shows(&format!("#rooms [data-room={room}]")).await;
    }

    pub async fn say(&self, text: &str) {
        self.fill("#composer", text).await;
        self.click("#send").await;
    }

    /// The message is in the list, once.
    pub async fn shows_message(&self, author: &str, text: &str) {
        let css = format!("#messages li[data-author='{author}'][data-text='{text}']");
        self.shows(&css).await;
        assert_eq!(self.count(&css).await, 1, "{css}");
    }
}
