//! A server whose log goes to a file, at whatever level and in whatever form.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::Value;

use super::{Mana, get, request, wait_for};

/// A running server; it is killed when it goes out of scope.
pub struct Server {
    child: Child,
    pub port: u16,
    log: PathBuf,
    pub key: String,
}

impl Server {
    /// Starts `serve` with more arguments on a free port, and waits until it answers.
    #[track_caller]
    pub fn start(mana: &Mana, args: &[&str]) -> Self {
        let (log, said) = (mana.dir.path().join("log"), mana.dir.path().join("said"));
        let mut serve = mana.command(&[&["serve", "--port", "0"], args].concat());
        let mut child = serve.stdout(File::create(&said).unwrap()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        // The link for the first visitor stands on stdout; a log has the address too, where its level is not too high.
        let marks = [(&said, "http://127.0.0.1:"), (&log, "address=127.0.0.1:"), (&log, "\"address\":\"127.0.0.1:")];
        let port = wait_for("the server to tell its port", || {
            assert_eq!(child.try_wait().unwrap(), None, "{}", std::fs::read_to_string(&log).unwrap());
            marks.iter().find_map(|(file, mark)| {
                let text = std::fs::read_to_string(file).unwrap();
                let (digits, _) = text.split_once(mark)?.1.split_once(|c: char| !c.is_ascii_digit())?;
                digits.parse().ok()
            })
        });
        assert_eq!(get(&format!("http://127.0.0.1:{port}/health")).0, 200);
        let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap_or_default().trim().to_owned();
        Server { child, port, log, key }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Has it tick once, beside what else the test does; the statistics come when the runs of that tick have settled.
    pub fn ticking(&self) -> std::thread::JoinHandle<Value> {
        let (url, key) = (self.url("/internal/tick"), self.key.clone());
        std::thread::spawn(move || {
            let (status, body) = request("POST", &url, &[("x-service-key", &key)]);
            assert_eq!(status, 200, "{body}");
            serde_json::from_str(&body).unwrap()
        })
    }

    #[track_caller]
    pub fn tick(&self) -> Value {
        self.ticking().join().unwrap()
    }

    /// The whole lines of its log.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap();
        // What comes after the last end of a line is still being written.
        text[..text.rfind('\n').map_or(0, |at| at + 1)].to_owned()
    }

    /// Asks it to stop; answers all of its log.
    #[track_caller]
    pub fn stop(mut self) -> String {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
