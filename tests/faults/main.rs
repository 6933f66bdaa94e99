//! Disks, clocks, files, callers and model servers that fail while the program runs. Apart from the other tests, whose time
//! their load would take.

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod disk;
mod file;
mod load;
mod model;
mod postgres;
