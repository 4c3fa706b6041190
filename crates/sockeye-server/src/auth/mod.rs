//! Who may do what: tokens, webhooks, and the [`Grant`] that both end in.

mod grant;

pub use grant::{Grant, Patterns};
