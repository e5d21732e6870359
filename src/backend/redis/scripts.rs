//! The Lua scripts, loaded by their hash on first use.

use redis::Script;

macro_rules! scripts {
    ($($name:ident $(after $($shared:literal)+)?;)+) => {
        pub struct Scripts {
            $(pub $name: Script,)+
        }

        impl Scripts {
            pub fn new() -> Self {
                Self {
                    $($name: Script::new(concat!(
                        $($(include_str!(concat!("lua/", $shared, ".lua")), "\n",)+)?
                        include_str!(concat!("lua/", stringify!($name), ".lua"))
                    )),)+
                }
            }
        }
    };
}

scripts! {
    publish after "append";
    enter after "append" "applicants" "door";
    leave after "append" "members";
    enrol after "append" "applicants" "door" "members";
    resign after "append" "members" "demolish";
    remove after "append" "members";
    hand_over after "append";
    catch_up;
    claim;
    release;
    renew;
    remember;
    take_over;
    abandon;
    create after "members";
    destroy after "append" "demolish";
    change after "append" "runs";
    decide after "append" "runs" "applicants" "members";
    appoint after "append" "runs";
    register;
    forget_identity;
    revoke_one;
    revoke_begun;
    enlist;
    unlist;
    told;
    sign_up;
    change_user;
    delete_user;
    ask_friend;
    befriend;
    settle_friend;
    put;
    discard;
    attempt;
    grow;
}
