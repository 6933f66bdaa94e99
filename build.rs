//! Tells cargo which folders are embedded, because `include_dir!` does not notice new files, and what `--version` says.

use std::path::Path;
use std::process::Command;

fn main() {
    for dir in ["schema", "fixtures", "templates"] {
        println!("cargo::rerun-if-changed={dir}");
    }
    println!("cargo::rerun-if-env-changed=MANA_AI_COMMIT");
    let get = |name: &str| std::env::var(name).unwrap_or_default();
    let profile = get("PROFILE");
    println!("cargo::rustc-env=MANA_AI_BUILD_COMMIT={}", commit(&profile));
    println!("cargo::rustc-env=MANA_AI_BUILD={profile}, {}, {}", get("TARGET"), output(&get("RUSTC"), &["--version"]).unwrap_or_default());
}

/// The commit: given, of the repository, or of the published package.
fn commit(profile: &str) -> String {
    if let Some(given) = std::env::var("MANA_AI_COMMIT").ok().filter(|commit| !commit.is_empty()) {
        return given;
    }
    if let Ok(package) = std::fs::read_to_string(".cargo_vcs_info.json") {
        let hash = package.split("\"sha1\": \"").nth(1).and_then(|rest| rest.get(..12));
        return hash.unwrap_or("unknown commit").to_owned();
    }
    if profile != "release" {
        // To build again after each commit is too much for a program that is being worked on.
        return "development".into();
    }
    // One that is not there, as in a further worktree, would count as changed each time.
    for file in [".git/HEAD", ".git/logs/HEAD", "src", "Cargo.lock"].into_iter().filter(|file| Path::new(file).exists()) {
        println!("cargo::rerun-if-changed={file}");
    }
    output("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).unwrap_or_else(|| "unknown commit".into())
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
