//! What sessions answer, on a host of the tests.

mod commands;
mod grants;
mod input;
mod model;
mod topics;
