//! Joint outcomes drawn by one look-up.
