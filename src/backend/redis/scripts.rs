//! The Lua scripts, loaded by their hash on first use.

use redis::Script;

pub struct Scripts {
    pub publish: Script,
    pub enter: Script,
    pub leave: Script,
    pub catch_up: Script,
    pub claim: Script,
    pub release: Script,
    pub renew: Script,
}

impl Scripts {
    pub fn new() -> Self {
        let appending = |code: &str| Script::new(&format!("{}\n{code}", include_str!("lua/append.lua")));
        Self {
            publish: appending(include_str!("lua/publish.lua")),
            enter: appending(include_str!("lua/enter.lua")),
            leave: appending(include_str!("lua/leave.lua")),
            catch_up: Script::new(include_str!("lua/catch_up.lua")),
            claim: Script::new(include_str!("lua/claim.lua")),
            release: Script::new(include_str!("lua/release.lua")),
            renew: Script::new(include_str!("lua/renew.lua")),
        }
    }
}
