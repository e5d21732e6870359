//! Who somebody is: tokens of our own, and the providers at which people log in.
//!
//! Owns signatures, claims, the exchange with a provider, and the rules about origins. Refuses to know HTTP servers, pages
//! and cookies (`http` has them) and where accounts are kept (`service` and `backend` know).

mod keys;
mod oauth2;
mod oidc;
mod origins;
mod outbound;
mod outcome;
mod provider;
mod relying_party;
mod resume_token;
mod settings;
mod tokens;

pub use origins::Origins;
pub use outcome::Outcome;
pub use provider::ProviderFault;
pub use relying_party::{Arrival, Departure, Flow, RelyingParty};
pub use resume_token::ResumeToken;
pub use settings::{OAuth2Settings, ProviderKind, ProviderSettings, TokenSettings};
pub use tokens::{Purpose, TokenFault, Tokens};
