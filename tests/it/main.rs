//! Tests of the whole product, in one binary.

mod documents;
mod tree;
