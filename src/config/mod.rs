//! The configuration: declared once in `schema`, read by `load`, printed by `document`, checked by `load` and `auth`.

mod auth;
mod document;
mod known;
mod load;
mod schema;
mod values;

pub use document::{default_file, reference_page};
pub use load::{ConfigError, Overrides, load};
pub use schema::{Address, Auth, Config, LoginProvider, Shutdown};
pub use values::{Protocol, TextList, WebUrl};
