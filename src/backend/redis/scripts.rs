//! The Lua scripts, loaded by their hash on first use.
//!
//! Each begins with a shebang, by which Redis refuses it as a whole, before its first line, when it is out of memory, read-only or
//! without the replicas it must have. Those that free, end what somebody may do, or keep a lease are carried out even out of
//! memory (`frees`): a leave that waits for memory would be a ghost, and without its lease a living node would be taken for dead.

use redis::Script;

macro_rules! flags_of {
    (frees) => {
        " flags=allow-oom"
    };
}

macro_rules! scripts {
    ($($name:ident $([$frees:ident])? $(after $($shared:literal)+)?;)+) => {
        pub struct Scripts {
            $(pub $name: Script,)+
        }

        impl Scripts {
            /// The scripts for a cluster publish on channels that have a slot, as keys have.
            pub fn new(in_cluster: bool) -> Self {
                let script = |text: &str| match in_cluster {
                    true => Script::new(&text.replace("'PUBLISH'", "'SPUBLISH'")),
                    false => Script::new(text),
                };
                Self {
                    $($name: script(concat!(
                        "#!lua", $(flags_of!($frees),)? "\n",
                        $($(include_str!(concat!("lua/", $shared, ".lua")), "\n",)+)?
                        include_str!(concat!("lua/", stringify!($name), ".lua"))
                    )),)+
                }
            }
        }
    };
}

scripts! {
    publish after "epoch" "append";
    enter after "fence" "noted" "epoch" "append" "applicants" "door";
    leave [frees] after "epoch" "append" "members";
    enrol after "epoch" "append" "applicants" "door" "members";
    resign [frees] after "epoch" "append" "members" "demolish";
    remove [frees] after "epoch" "append" "members";
    hand_over after "epoch" "append";
    catch_up [frees] after "epoch";
    note;
    claim after "fence" "noted";
    release [frees];
    renew [frees];
    lock [frees];
    remember after "fence" "noted";
    take_over [frees];
    abandon [frees];
    create after "epoch" "append" "members";
    destroy [frees] after "epoch" "append" "demolish";
    change after "epoch" "append" "runs";
    decide after "epoch" "append" "runs" "applicants" "members";
    appoint after "epoch" "append" "runs";
    register;
    forget_identity [frees];
    revoke_one [frees];
    revoke_begun [frees];
    enlist;
    unlist [frees];
    told;
    sign_up;
    change_user;
    delete_user [frees];
    ask_friend;
    befriend;
    settle_friend;
    put;
    discard [frees];
    attempt;
    grow;
}
