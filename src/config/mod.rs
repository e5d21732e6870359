//! The configuration: declared once in `schema`, read by `load`, printed by `document`.

mod document;
mod load;
mod schema;

pub use document::{default_file, reference_page};
pub use load::{ConfigError, Overrides, load};
pub use schema::{Address, Config, Shutdown};
