//! What the program promises, seen from outside: through the binary, its HTTP surface and its files. One binary, so that the
//! library is linked once.

#[path = "../common/mod.rs"]
mod common;

mod auth;
mod blocked;
mod cadence;
mod carried_out;
mod change_log;
mod crash;
mod decisions;
mod exchange;
mod forms;
mod grants;
mod hostile_texts;
mod inputs;
mod insights;
mod isolation;
mod iterations;
mod large_pages;
mod limits;
mod logs;
mod planner;
mod postgres;
mod projection;
mod queries;
mod records;
mod removal;
mod repair;
mod restore;
mod reviews;
mod runner;
mod runs;
mod serve;
mod settings;
mod setup;
mod soak;
mod storage;
mod store_story;
mod streams;
mod sync;
mod sync_model;
mod template_modules;
mod templates;
mod tick;
mod traces;
mod upkeep;
mod webhooks;
