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
    pub register: Script,
    pub forget_identity: Script,
    pub revoke_one: Script,
    pub revoke_begun: Script,
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
            register: Script::new(include_str!("lua/register.lua")),
            forget_identity: Script::new(include_str!("lua/forget_identity.lua")),
            revoke_one: Script::new(include_str!("lua/revoke_one.lua")),
            revoke_begun: Script::new(include_str!("lua/revoke_begun.lua")),
        }
    }
}
