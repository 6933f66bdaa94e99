//! A Postgres of this program's own that keeps what it commits, also when it is cut off.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tempfile::TempDir;

/// A server, with the settings that Debian's has, on a socket alone; it ends when it goes out of scope.
pub struct Cluster {
    programs: PathBuf,
    dir: TempDir,
    server: Option<Child>,
}

impl Cluster {
    /// Makes it and starts it. It ends with the thread that does so.
    pub fn start() -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").expect("the programs of a Postgres server, such as Debian's package has");
        let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(version).expect("a version of Postgres");
        let mut cluster = Cluster { programs: newest.join("bin"), dir: tempfile::tempdir().expect("a directory"), server: None };
        let (as_other, dir) = (cluster.command("true"), cluster.dir.path().to_owned());
        if as_other.get_program() == "setpriv" {
            let owned = Command::new("chown").arg("postgres").arg(&dir).status();
            assert!(owned.expect("chown").success(), "the directory cannot be given to the user postgres");
        }
        let mut made = cluster.command("initdb");
        made.args(["-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync", "-D"]).arg(cluster.data());
        assert!(made.stdout(Stdio::null()).status().expect("initdb").success(), "no database could be made");
        cluster.start_again();
        cluster
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    /// One of the programs of Postgres, as somebody who is not root, which it refuses to be.
    pub fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "QUIT"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path());
        command
    }

    /// Starts it after it was stopped, and waits until it has recovered.
    pub fn start_again(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log")).expect("a log");
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(self.dir.path()).args(["-c", "listen_addresses=", "-c", "max_connections=300"]);
        self.server = Some(server.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("the server starts"));
        let started = Instant::now();
        while let Err(error) = Client::connect(&self.address("postgres"), NoTls) {
            assert!(started.elapsed() < Duration::from_secs(60), "Postgres does not start: {error}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it without letting it finish anything.
    pub fn cut_off(&mut self) {
        let stopped = self.command("pg_ctl").args(["-m", "immediate", "-s", "stop", "-D"]).arg(self.data()).status();
        assert!(stopped.expect("pg_ctl").success(), "Postgres does not stop");
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
    }

    pub fn address(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.socket().display().to_string().replace('/', "%2F"))
    }

    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.address(database), NoTls).expect("a connection")
    }

    /// Makes a database, and answers its address.
    pub fn create(&self, database: &str) -> String {
        self.connect("postgres").batch_execute(&format!("CREATE DATABASE {database}")).expect("a database");
        self.address(database)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.cut_off();
        }
    }
}
