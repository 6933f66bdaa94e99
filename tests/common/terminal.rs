//! The program on a pseudo terminal, which `script` of util-linux makes.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::wait_for;

pub const ENTER: &str = "\r";
pub const CTRL_C: &str = "\u{3}";

pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    /// How much of the screen was looked at, without its colours.
    seen: usize,
}

impl Terminal {
    /// Runs a command with stdin, stdout and stderr on a terminal, save for what `redirect` says in words of the shell.
    pub fn open(command: &Command, redirect: &str) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| quoted(word.to_str().unwrap())).collect();
        // What the tests ignore, such as interrupts where they run in the background, a terminal does not.
        let mut script = Command::new("env");
        script.args(["--default-signal", "script"]);
        script.env_clear().env("TERM", "xterm").envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.current_dir(command.get_current_dir().unwrap());
        script.args(["-qefc", &format!("exec {} {redirect}", words.join(" ")), "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("script of util-linux");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shown) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut part) {
                shown.lock().unwrap().extend_from_slice(&part[..n]);
            }
        });
        Terminal { keys: child.stdin.take(), child, screen, reader: Some(reader), seen: 0 }
    }

    /// All that was shown, with colours and all.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the screen shows a text, in whatever case, after the place where the last one was found.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let found = wait_for(text, || {
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let screen = plain(&self.raw()).to_lowercase();
            let at = screen.get(self.seen..).and_then(|rest| rest.find(&text.to_lowercase()));
            at.map(|at| Some(self.seen + at + text.len())).or(ended.then_some(None))
        });
        self.seen = found.unwrap_or_else(|| panic!("it ended without {text:?}:\n{}", self.raw()));
    }

    pub fn types(&mut self, keys: &str) {
        // A program that ended reads nothing.
        let _ = self.keys.as_mut().unwrap().write_all(keys.as_bytes());
    }

    /// Types until the screen shows the next text. A question whose answer is not shown throws away what was typed before it
    /// was ready to read, so this may take a second try.
    #[track_caller]
    pub fn types_until_it_shows(&mut self, keys: &str, next: &str) {
        let mut typed: Option<Instant> = None;
        wait_for(next, || {
            if typed.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                self.types(keys);
                typed = Some(Instant::now());
            }
            let screen = plain(&self.raw()).to_lowercase();
            screen.get(self.seen..).is_some_and(|rest| rest.contains(&next.to_lowercase())).then_some(())
        });
    }

    /// Types until the program ends; answers the exit code and all that was shown.
    pub fn leave(mut self, keys: &str) -> (Option<i32>, String) {
        wait_for("the end of the program", || {
            self.types(keys);
            self.child.try_wait().unwrap()
        });
        self.end()
    }

    /// Waits for the end; answers the exit code and all that was shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        wait_for("the end of the program", || self.child.try_wait().unwrap());
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, self.raw())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // With the terminal gone, the program gets the hang-up signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A word for the shell.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A screen without colours and moves of the cursor.
pub fn plain(screen: &str) -> String {
    let mut text = String::new();
    let mut chars = screen.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            text.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else {
            chars.next();
        }
    }
    text
}
