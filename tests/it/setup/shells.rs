//! Completions, man pages and the version.

use super::*;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// The commands of a help text.
fn commands(mana: &Mana, path: &[&str]) -> Vec<String> {
    let help = mana.run(&[path, &["--help"]].concat()).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Texts that go on stand further to the right.
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command, the commands of commands too.
fn all_commands(mana: &Mana) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for command in commands(mana, &[]) {
        let nested = commands(mana, &[&command]);
        all.push(vec![command.clone()]);
        all.extend(nested.into_iter().map(|name| vec![command.clone(), name]));
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// Whether a program is installed here.
fn installed(program: &str) -> bool {
    output(Command::new("sh").args(["-c", &format!("command -v {program}")])).code == Some(0)
}

#[test]
fn completions_name_every_command_and_are_accepted_by_their_shell() {
    let mana = Mana::new();
    for shell in SHELLS {
        let ran = mana.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        for command in all_commands(&mana) {
            assert!(ran.stdout.contains(command.last().unwrap()), "{command:?} for {shell}");
        }
        for text in ["data-dir", "mana-ai", "llm-model", "otlp-endpoint", "log-format"] {
            assert!(ran.stdout.contains(text), "{text} for {shell}");
        }
        assert!(!ran.stdout.contains("api-key"), "secrets have no flag");
        if matches!(shell, "bash" | "zsh" | "fish") && installed(shell) {
            let file = mana.dir.path().join(shell);
            std::fs::write(&file, &ran.stdout).unwrap();
            let read = output(Command::new(shell).arg("-n").arg(&file));
            assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{shell}");
        }
    }
    mana.run(&["completions", "tcsh"]).fails(2, "tcsh");
    mana.run(&["completions"]).fails(2, "<SHELL>");
}

#[test]
fn bash_completes_commands_flags_and_files() {
    let mana = Mana::new();
    std::fs::write(mana.dir.path().join("completions"), mana.run(&["completions", "bash"]).stdout).unwrap();
    let completed = |words: &[&str]| {
        let script = r#"source ./completions
            name=$(complete -p mana-ai); name=${name##*-F }; name=${name%% *}
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
            "$name" mana-ai "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let ran = output(Command::new("bash").current_dir(mana.dir.path()).args(["-c", script, "bash"]).args(words));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["mana-ai", "doc"]), ["doctor"]);
    assert_eq!(completed(&["mana-ai", "grant", "i"]), ["issue", "inspect"]);
    assert_eq!(completed(&["mana-ai", "doctor", "--js"]), ["--json"]);
    assert_eq!(completed(&["mana-ai", "import", "--skip"]), ["--skip-bad"]);
}

#[test]
fn they_need_no_configuration_and_make_nothing() {
    let mana = Mana::new().with("PORT", "http").with("MANA_AI_CONFIG", "/no/such/file.toml");
    for args in [&["completions", "bash"][..], &["man"], &["--version"], &["--help"]] {
        let ran = mana.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0);
}

/// Checks that the programs which show a page have nothing to say against it.
#[track_caller]
fn accepted(page: &Path) {
    let name = page.display();
    assert!(!read(page).chars().any(|c| c.is_control() && c != '\n'), "{name}");
    if installed("groff") {
        let ran = output(Command::new("groff").args(["-man", "-ww", "-Tutf8", "-Kutf8", "-z"]).arg(page));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
    }
    if installed("man") {
        let ran = output(Command::new("man").args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page).env("MANWIDTH", "80"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
    }
    if installed("mandoc") {
        let ran = output(Command::new("mandoc").args(["-man", "-Tlint", "-Werror"]).arg(page));
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stdout);
    }
}

/// The text of a page without the marks of its language.
fn words(page: &str) -> String {
    page.replace(r"\-", "-").replace(r"\fB", "").replace(r"\fI", "").replace(r"\fR", "").replace(r"\&", "").replace(r"\*(Aq", "'")
}

#[test]
fn the_main_page_tells_of_every_command() {
    let mana = Mana::new();
    let ran = mana.run(&["man"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let page = mana.dir.path().join("mana-ai.1");
    std::fs::write(&page, &ran.stdout).unwrap();
    accepted(&page);
    assert!(ran.stdout.contains(".TH mana-ai 1"), "{:.300}", ran.stdout);
    for command in commands(&mana, &[]) {
        assert!(words(&ran.stdout).contains(&format!("mana-ai-{command}(1)")), "{command}");
    }
}

#[test]
fn every_command_has_a_page_with_its_flags() {
    let mana = Mana::new();
    let dir = mana.dir.path().join("man");
    let ran = mana.run(&["man", "man"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut expected: BTreeSet<String> = all_commands(&mana).iter().map(|path| format!("mana-ai-{}.1", path.join("-"))).collect();
    expected.insert("mana-ai.1".into());
    let made: BTreeSet<String> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(expected.is_subset(&made), "missing: {:?}", expected.difference(&made).collect::<Vec<_>>());
    for name in &made {
        accepted(&dir.join(name));
    }
    for path in all_commands(&mana) {
        let page = words(&read(dir.join(format!("mana-ai-{}.1", path.join("-")))));
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = mana.run(&args).stdout;
        let flags = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3);
        for flag in flags.map(|flag| flag.trim_end_matches(|c: char| !c.is_alphanumeric())) {
            assert!(page.contains(flag), "{flag} of {path:?}");
        }
    }
    assert_eq!(mana.run(&["man"]).stdout, read(dir.join("mana-ai.1")), "the main page is the same");
    let before = tree(&dir);
    assert_eq!(mana.run(&["man", "man"]).code, Some(0), "once more");
    assert_eq!(tree(&dir), before);
}

#[test]
fn pages_that_cannot_be_written_are_told() {
    let mana = Mana::new();
    std::fs::write(mana.dir.path().join("file"), "").unwrap();
    mana.run(&["man", "file"]).fails(1, "file");
    mana.run(&["man", "file/below"]).fails(1, "file/below");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mana = Mana::new();
    for args in [&["man"][..], &["completions", "bash"]] {
        let mut child = mana.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
    }
}

#[test]
fn the_version_tells_the_commit_and_the_build() {
    let mana = Mana::new();
    let ran = mana.run(&["--version"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    assert_eq!(lines[0], concat!("mana-ai ", env!("CARGO_PKG_VERSION")));
    let commit = lines[1].strip_prefix("commit: ").unwrap();
    // A program that is being worked on is of no commit.
    let hash = commit.trim_end_matches("-dirty");
    let is_hash = (7..=40).contains(&hash.len()) && hash.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    assert!(is_hash || commit == "development", "{commit}");
    let build = lines[2].strip_prefix("build: ").unwrap();
    assert!(["debug, ", "release, "].iter().any(|profile| build.starts_with(profile)) && build.contains("rustc 1."), "{build}");
    let short = mana.run(&["-V"]).stdout;
    assert!(short.starts_with(&format!("mana-ai {}", env!("CARGO_PKG_VERSION"))), "{short}");
}
