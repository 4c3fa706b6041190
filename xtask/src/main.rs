//! The project's own automation. `cargo xtask` alone prints what there is.
fn main() {}
