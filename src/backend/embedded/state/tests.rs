//! What a commit that fails leaves behind: nothing of what its batch did. And what a restart finds: everything else.

mod bench;
mod people;
mod restart;
mod rooms;
