//! A Postgres that restarts, crashes, cuts connections, stalls, has no room or takes rights away while the program runs
//! (docs/design.md, section 18). `cargo test --test faults postgres:: -- --ignored` needs Debian's postgresql package.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use crate::common::faults::{Caller, assert_sound, logged, note, quiet};
use crate::common::{Mana, Served, get};

/// A Postgres of one test's own, with a role and a database of that role for the program.
struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    server: Child,
}

/// Runs a program as a user that the server agrees to be.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    // Should the test be killed, the server still ends.
    command.args(["--pdeathsig", "QUIT"]).arg(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Gives a directory to that user.
fn give(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        let id = |flag| String::from_utf8(Command::new("id").args([flag, "postgres"]).output().unwrap().stdout).unwrap();
        let [user, group] = ["-u", "-g"].map(|flag| id(flag).trim().parse().unwrap());
        chown(dir, Some(user), Some(group)).unwrap();
    }
}

impl Cluster {
    fn new() -> Self {
        let mut versions: Vec<PathBuf> =
            std::fs::read_dir("/usr/lib/postgresql").expect("Postgres").map(|entry| entry.unwrap().path().join("bin")).collect();
        versions.sort();
        let (dir, bin) = (tempfile::tempdir().unwrap(), versions.pop().unwrap());
        give(dir.path());
        let mut initdb = as_postgres(&bin.join("initdb"));
        initdb.arg("-D").arg(dir.path().join("data")).args(["-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync"]);
        assert!(initdb.status().unwrap().success());
        let settings = "listen_addresses = ''\nmax_connections = 20\n";
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join("data/postgresql.conf")).unwrap();
        std::io::Write::write_all(&mut file, settings.as_bytes()).unwrap();
        let server = Self::start(&bin, dir.path());
        let cluster = Cluster { dir, bin, server };
        cluster.admin().batch_execute("CREATE ROLE mana LOGIN").unwrap();
        cluster.admin().batch_execute("CREATE DATABASE app OWNER mana").unwrap();
        cluster
    }

    fn start(bin: &Path, dir: &Path) -> Child {
        let mut server = as_postgres(&bin.join("postgres"));
        server.arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
        let server = server.spawn().unwrap();
        let ready = || Command::new(bin.join("pg_isready")).arg("-q").arg("-h").arg(dir).status().unwrap().success();
        wait_for("the server", ready);
        server
    }

    fn signal(&self, signal: &str, pids: &[u32]) {
        let pids = pids.iter().map(u32::to_string);
        // One that ended meanwhile does not matter.
        let _ = Command::new("kill").arg(signal).args(pids).stderr(Stdio::null()).status().unwrap();
    }

    /// Ends the server in one of its ways, and starts it again after a while.
    fn restart(&mut self, signal: &str, pause: Duration) {
        self.signal(signal, &[self.server.id()]);
        self.server.wait().unwrap();
        std::thread::sleep(pause);
        self.server = Self::start(&self.bin, self.dir.path());
    }

    /// The server and the processes of its connections.
    fn processes(&self) -> Vec<u32> {
        let parent = self.server.id().to_string();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &parent]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        [self.server.id()].into_iter().chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
    }

    fn connect(&self, role: &str, database: &str) -> Result<Client, postgres::Error> {
        Client::connect(&format!("host={} user={role} dbname={database}", self.dir.path().display()), NoTls)
    }

    fn admin(&self) -> Client {
        self.connect("postgres", "postgres").unwrap()
    }

    /// The program on this server.
    fn mana(&self) -> Mana {
        quiet().with("MANA_AI_DATABASE", format!("postgres://mana@{}/app", self.dir.path().display().to_string().replace('/', "%2F")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal("-CONT", &self.processes());
        self.signal("-QUIT", &[self.server.id()]);
        let _ = self.server.wait();
    }
}

#[track_caller]
fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a client saw that pushed all the time.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<String>,
    refused: usize,
    longest: Duration,
}

/// Pushes one note after the other while something happens, each until it is taken, and then until one is taken.
fn push_while(served: &Served, caller: &Caller, name: &str, happens: impl FnOnce()) -> Seen {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let pushing = threads.spawn(|| {
            let mut seen = Seen::default();
            for n in 0.. {
                let note = note(&format!("{name}-{n}"));
                let taken_after = loop {
                    let (is_over, started) = (over.load(Ordering::SeqCst), Instant::now());
                    let (status, answer) = caller.push(served, std::slice::from_ref(&note));
                    seen.longest = seen.longest.max(started.elapsed());
                    if status == 200 {
                        break is_over;
                    }
                    assert_eq!(status, 503, "{answer}");
                    seen.refused += 1;
                    std::thread::sleep(Duration::from_millis(20));
                };
                seen.acknowledged.push(note["id"].as_str().unwrap().to_owned());
                if taken_after {
                    break;
                }
            }
            seen
        });
        happens();
        over.store(true, Ordering::SeqCst);
        pushing.join().unwrap()
    })
}

/// Checks that each note that was acknowledged is in the log once, and nothing else is wrong.
#[track_caller]
fn kept(mana: &Mana, seen: &[Seen]) {
    let logged = logged(mana);
    let once: BTreeSet<&String> = logged.iter().collect();
    assert_eq!(once.len(), logged.len(), "something is there twice");
    for id in seen.iter().flat_map(|seen| &seen.acknowledged) {
        assert!(once.contains(id), "{id} was acknowledged, and is lost");
    }
    assert_sound(mana);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_server_that_goes_and_comes_loses_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::new();
    let (served, mana) = cluster.mana().serve_kept();
    let caller = Caller::new(&mana, "anna");
    caller.pushed(&served, &[note("first")]);
    let pause = Duration::from_millis(700);
    let mut all = Vec::new();
    // A request waits for a server that is away for a moment; for longer, its client has to come again.
    for (name, signal, away) in [("fast", "-INT", pause), ("immediate", "-QUIT", 12 * pause)] {
        let seen = push_while(&served, &caller, name, || {
            std::thread::sleep(pause);
            cluster.restart(signal, away);
        });
        assert!(
            (seen.refused > 0 || away == pause) && seen.longest < Duration::from_secs(15),
            "{name}: {} in {:?}",
            seen.refused,
            seen.longest
        );
        all.push(seen);
    }
    // Nobody notices what was cut while it was idle.
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mana'";
    cluster.admin().batch_execute(cut).unwrap();
    caller.pushed(&served, &[note("after-cut")]);
    for _ in 0..6 {
        assert_eq!(caller.pulled(&served, "1970-01-01T00:00:00.000000Z").0.first().map(String::as_str), Some("first"));
    }
    all.push(push_while(&served, &caller, "cut", || {
        for _ in 0..20 {
            cluster.admin().batch_execute(cut).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
    }));
    kept(&mana, &all);
    assert_eq!(get(&served.url("/health")).0, 200);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_server_that_stalls_holds_no_request_up_for_ever() {
    let cluster = Cluster::new();
    let (served, mana) = cluster.mana().serve_kept();
    let caller = Caller::new(&mana, "anna");
    let seen = push_while(&served, &caller, "stall", || {
        std::thread::sleep(Duration::from_millis(500));
        let stalled = cluster.processes();
        cluster.signal("-STOP", &stalled);
        let started = Instant::now();
        // Whoever only reads hears of it as well, and so does whoever looks after the server.
        let (status, _) = get(&served.url("/health"));
        assert!(status == 503 && started.elapsed() < Duration::from_secs(20), "{status} after {:?}", started.elapsed());
        std::thread::sleep(Duration::from_secs(13));
        cluster.signal("-CONT", &stalled);
    });
    assert!(seen.refused > 0 && seen.longest < Duration::from_secs(20), "{} in {:?}", seen.refused, seen.longest);
    kept(&mana, &[seen]);
    // A command ends as well.
    let stalled = cluster.processes();
    cluster.signal("-STOP", &stalled);
    let started = Instant::now();
    mana.run(&["missions"]).fails(1, "does not answer");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    cluster.signal("-CONT", &stalled);
    assert_eq!(mana.run(&["missions"]).code, Some(0));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_server_without_room_for_connections_or_rows_is_waited_for() {
    let cluster = Cluster::new();
    let (served, mana) = cluster.mana().serve_kept();
    let caller = Caller::new(&mana, "anna");
    caller.pushed(&served, &[note("first")]);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mana' AND application_name LIKE 'mana-ai %'";
    let seen = push_while(&served, &caller, "full", || {
        let mut taken = Vec::new();
        // The places of the program too, as they get free.
        let mut admin = cluster.admin();
        for _ in 0..3 {
            while let Ok(client) = cluster.connect("mana", "postgres") {
                taken.push(client);
            }
            admin.batch_execute(cut).unwrap();
        }
        assert!(taken.len() > 10);
        std::thread::sleep(Duration::from_secs(2));
    });
    kept(&mana, &[seen]);
    // A right that is taken away, and given back.
    cluster.connect("postgres", "app").unwrap().batch_execute("REVOKE INSERT ON public.sync_changes FROM mana").unwrap();
    caller.refused(&served, &[note("no-right")]);
    mana.run(&["doctor", "--json"]).fails(1, "");
    cluster.connect("postgres", "app").unwrap().batch_execute("GRANT INSERT ON public.sync_changes TO mana").unwrap();
    caller.pushed(&served, &[note("right-again")]);
    // Whoever holds the lock of the log and stands still is not waited for.
    let mut other = cluster.connect("mana", "app").unwrap();
    other.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({})", 0x4d41_4e41_0001_i64)).unwrap();
    caller.refused(&served, &[note("locked")]);
    drop(other);
    let late = note("late");
    wait_for("the lock", || caller.push(&served, std::slice::from_ref(&late)).0 == 200);
    assert_sound(&mana);
}

/// A small disk, where the system allows to make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(dir.path()).stderr(Stdio::null()).status();
        mount.unwrap().success().then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs the Postgres server programs, and the right to mount"]
fn a_full_disk_refuses_what_it_cannot_keep() {
    let Some(disk) = SmallDisk::new() else { return eprintln!("not looked at: no small disk can be mounted here") };
    let cluster = Cluster::new();
    give(disk.0.path());
    let space = format!("CREATE TABLESPACE small OWNER mana LOCATION '{}'", disk.0.path().display());
    cluster.admin().batch_execute(&space).unwrap();
    cluster.admin().batch_execute("ALTER DATABASE app SET TABLESPACE small").unwrap();
    let (served, mana) = cluster.mana().serve_kept();
    let caller = Caller::new(&mana, "anna");
    let large = |id: &str| {
        let mut note = note(id);
        // Nothing that shrinks well.
        let noise = (0..30_000).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect::<String>();
        note["data"]["body"] = noise.into();
        note
    };
    let mut taken = Vec::new();
    let refused = (0..100).any(|n| {
        let note = large(&format!("n{n}"));
        let (status, answer) = caller.push(&served, std::slice::from_ref(&note));
        if status == 200 {
            taken.push(format!("n{n}"));
        }
        assert!([200, 503].contains(&status), "{answer}");
        status == 503
    });
    assert!(refused && !taken.is_empty());
    let larger = Command::new("mount").args(["-o", "remount,size=200m"]).arg(disk.0.path()).status().unwrap();
    assert!(larger.success());
    let last = large("last");
    wait_for("room", || caller.push(&served, std::slice::from_ref(&last)).0 == 200);
    taken.push("last".into());
    kept(&mana, &[Seen { acknowledged: taken, ..Seen::default() }]);
    drop(served);
    drop(cluster);
}

/// Makes a certificate for `db.example`, which signs itself, and its key.
fn certificate(dir: &Path) -> [PathBuf; 2] {
    let files = ["server.crt", "server.key"].map(|name| dir.join(name));
    let mut openssl = as_postgres(Path::new("openssl"));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=db.example", "-addext", "subjectAltName=DNS:db.example", "-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-out").arg(&files[0]).arg("-keyout").arg(&files[1]);
    assert!(openssl.status().unwrap().success());
    files
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_server_elsewhere_shows_its_certificate_or_hears_nothing() {
    const PLACE: &str = "127.61.84.7";
    let mut cluster = Cluster::new();
    let reach = |name: &str, options: &str| {
        let address = format!("postgres://mana@{name}/app?hostaddr={PLACE}{options}");
        quiet().with("MANA_AI_DATABASE", address).with("BUSY_TIMEOUT_MS", 2_000)
    };
    let mut admin = cluster.admin();
    admin.batch_execute(&format!("ALTER SYSTEM SET listen_addresses = '{PLACE}'")).unwrap();
    cluster.restart("-INT", Duration::ZERO);
    reach("db.example", "").run(&["missions"]).fails(1, "TLS");

    let [shown, key] = certificate(cluster.dir.path());
    let mut admin = cluster.admin();
    for (setting, file) in [("ssl_cert_file", &shown), ("ssl_key_file", &key)] {
        admin.batch_execute(&format!("ALTER SYSTEM SET {setting} = '{}'", file.display())).unwrap();
    }
    admin.batch_execute("ALTER SYSTEM SET ssl = on").unwrap();
    cluster.restart("-INT", Duration::ZERO);
    reach("db.example", "").run(&["missions"]).fails(1, "certificate");
    let trusted = format!("&sslrootcert={}", shown.display());
    reach("other.example", &trusted).run(&["missions"]).fails(1, "certificate");

    let (served, mana) = reach("db.example", &trusted).serve_kept();
    Caller::new(&mana, "anna").pushed(&served, &[note("first")]);
    let is_private = "SELECT count(*), bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'mana'";
    let row = cluster.admin().query_one(is_private, &[]).unwrap();
    assert!(row.get::<_, i64>(0) > 1 && row.get::<_, bool>(1), "{row:?}");
}
