//! Tests of what others wait, in a binary of their own: nothing else that is tested takes the processors meanwhile.

mod abuse;
mod crowd;
#[path = "../it/https.rs"]
mod https;
#[path = "../it/place.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod place;
