//! mana-ai: a self-hosted background runner for AI missions, one binary with one SQLite file.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// Everything printed passes `text::Printable`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
#![deny(unsafe_code)]

pub mod app;
#[cfg(test)]
mod architecture;
pub mod auth;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod durable;
pub mod exchange;
pub mod grants;
pub mod http;
pub mod inputs;
pub mod memory;
pub mod metrics;
pub mod modules;
pub mod planner;
pub mod projection;
pub mod runner;
pub mod steps;
pub mod store;
pub mod sync;
pub mod templates;
pub mod text;
pub mod turns;
pub mod web;
pub mod webhooks;
pub mod workbench;
