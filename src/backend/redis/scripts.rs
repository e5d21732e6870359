//! The Lua scripts, loaded by their hash on first use.

use redis::Script;

macro_rules! scripts {
    ($($name:ident $(after $shared:literal)?;)+) => {
        pub struct Scripts {
            $(pub $name: Script,)+
        }

        impl Scripts {
            pub fn new() -> Self {
                Self {
                    $($name: Script::new(concat!(
                        $(include_str!(concat!("lua/", $shared, ".lua")), "\n",)?
                        include_str!(concat!("lua/", stringify!($name), ".lua"))
                    )),)+
                }
            }
        }
    };
}

scripts! {
    publish after "append";
    enter after "append";
    leave after "append";
    catch_up;
    claim;
    release;
    renew;
    create;
    destroy after "append";
    change after "runs";
    decide after "runs";
    appoint after "runs";
    register;
    forget_identity;
    revoke_one;
    revoke_begun;
}
