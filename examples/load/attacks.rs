//! What strangers and users can send to hold memory, threads or places: a list, as data.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

const MB: usize = 1024 * 1024;

/// One way to hurt a server. Each of its connections sends a head and then a chunk again and again.
pub struct Attack {
    pub name: &'static str,
    pub connections: usize,
    pub head: Vec<u8>,
    pub chunk: Vec<u8>,
    pub chunks: usize,
    /// Before each chunk.
    pub pause: Duration,
    pub then: Then,
}

/// What a connection does when all is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It reads the answer to its end, and comes again.
    Read,
    /// It reads nothing and stays.
    Stay,
}

/// Whom the attacks pretend to be.
pub struct Caller {
    pub host: String,
    /// Of a user with a large log.
    pub token: String,
    /// A session of the same user.
    pub cookie: String,
}

pub fn all(caller: &Caller) -> Vec<Attack> {
    [strangers(caller), unread(caller), bodies(caller), reads(caller), sockets(caller)].into_iter().flatten().collect()
}

impl Caller {
    fn head(&self, line: &str, fields: &[&str]) -> Vec<u8> {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{line} HTTP/1.1\r\nhost: {}\r\n{fields}\r\n", self.host).into_bytes()
    }

    fn bearer(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    fn session(&self) -> String {
        format!("cookie: {}", self.cookie)
    }

    /// A push whose body is sent as a chunk.
    fn push(&self, name: &'static str, connections: usize, body: Vec<u8>, encoding: &str) -> Attack {
        let head =
            self.head("POST /sync/notes", &[&self.bearer(), encoding, "connection: close", &format!("content-length: {}", body.len())]);
        Attack { chunk: body, chunks: 1, ..Attack::of(name, connections, head, Then::Read) }
    }
}

impl Attack {
    fn of(name: &'static str, connections: usize, head: Vec<u8>, then: Then) -> Self {
        Attack { name, connections, head, chunk: Vec::new(), chunks: 0, pause: Duration::ZERO, then }
    }
}

const FORM: &str = "content-type: application/x-www-form-urlencoded";
const CHUNKED: &str = "transfer-encoding: chunked";
const GZIP: &str = "content-encoding: gzip";
const PLAIN: &str = "content-encoding: identity";

fn strangers(caller: &Caller) -> Vec<Attack> {
    let zeros = chunked(&gzip(&vec![0; 64 * MB]));
    let login = |fields: &[&str]| caller.head("POST /login", &[&[FORM, "connection: close"], fields].concat());
    // Signed by nobody: all of it is read before it is refused.
    let forged = format!("token={}{}", caller.token, "x".repeat(4_000));
    vec![
        Attack {
            chunk: zeros.clone(),
            chunks: 1_000,
            ..Attack::of("forms that unpack without end", 8, login(&[GZIP, CHUNKED]), Then::Read)
        },
        Attack {
            chunk: zeros,
            chunks: 1_000,
            ..Attack::of("pushes without a token that unpack without end", 8, caller.head("POST /sync/notes", &[GZIP, CHUNKED]), Then::Read)
        },
        Attack {
            chunk: vec![0; 16 * 1024],
            chunks: 1_000,
            ..Attack::of("HTTP/2 without an upgrade", 50, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), Then::Read)
        },
        Attack {
            chunk: vec![b'x'; 15 * 1024],
            chunks: 1,
            ..Attack::of("heads without an end", 1_000, format!("GET / HTTP/1.1\r\nhost: {}\r\nx: ", caller.host).into_bytes(), Then::Stay)
        },
        Attack {
            chunk: vec![b'x'],
            chunks: 60_000,
            pause: Duration::from_secs(1),
            ..Attack::of("forms of a byte a second", 1_000, login(&["content-length: 60000"]), Then::Read)
        },
        Attack::of("scrapes again and again", 40, caller.head("GET /metrics", &["connection: close"]), Then::Read),
        Attack {
            chunk: forged.clone().into_bytes(),
            chunks: 1,
            ..Attack::of("sign-ins with forged tokens", 40, login(&[&format!("content-length: {}", forged.len())]), Then::Read)
        },
    ]
}

fn unread(caller: &Caller) -> Vec<Attack> {
    let stay = |name, path: &str, who: &str| Attack::of(name, 40, caller.head(&format!("GET {path}"), &[who]), Then::Stay);
    vec![
        stay("pulls that nobody reads", "/sync/notes/pull?collection=notes", &caller.bearer()),
        stay("streams that nobody reads", "/sync/notes/stream", &caller.bearer()),
        stay("missions that nobody reads", "/missions/large", &caller.session()),
        stay("change logs that nobody reads", "/missions/large/log", &caller.session()),
    ]
}

fn bodies(caller: &Caller) -> Vec<Attack> {
    let with = |value: &str| format!("{{\"clientId\":\"c\",\"changes\":[],\"x\":{value}}}").into_bytes();
    let values = |count: usize| with(&format!("[{}0]", "0,".repeat(count)));
    let unfinished = caller.head("POST /sync/notes", &[&caller.bearer(), &format!("content-length: {}", 30 * MB)]);
    let steady = caller.head("POST /sync/notes", &[&caller.bearer(), &format!("content-length: {MB}")]);
    let packed = gzip(&with(&format!("\"{}\"", " ".repeat(30 * MB))));
    vec![
        Attack { chunk: vec![b' '; MB], chunks: 29, ..Attack::of("pushes that stop before their end", 40, unfinished, Then::Stay) },
        Attack {
            chunk: vec![b' '; 1_024],
            chunks: 1_024,
            pause: Duration::from_secs(1),
            ..Attack::of("pushes of a kilobyte a second", 500, steady, Then::Read)
        },
        caller.push("pushes of 30 MB in 30 KB", 40, packed, GZIP),
        caller.push("pushes of 7,000,000 values", 8, values(7_000_000), PLAIN),
        caller.push("pushes of 900,000 values", 8, values(900_000), PLAIN),
    ]
}

fn reads(caller: &Caller) -> Vec<Attack> {
    let read =
        |name, path: &str, who: &str| Attack::of(name, 40, caller.head(&format!("GET {path}"), &[who, "connection: close"]), Then::Read);
    vec![
        read("pulls again and again", "/sync/notes/pull?collection=notes", &caller.bearer()),
        read("missions again and again", "/missions/large", &caller.session()),
        read("change logs again and again", "/missions/large/log", &caller.session()),
        read("overviews again and again", "/", &caller.session()),
    ]
}

fn sockets(caller: &Caller) -> Vec<Attack> {
    let upgrade = |fields: &[&str]| {
        let own = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
        caller.head("GET /ws", &[&own, fields].concat())
    };
    let auth = frame(&json!({"type": "auth", "token": caller.token}).to_string());
    vec![
        Attack::of("sockets that say nothing", 1_000, upgrade(&[]), Then::Stay),
        Attack::of("sockets of another site", 1_000, upgrade(&["origin: https://elsewhere.example"]), Then::Read),
        Attack {
            chunk: frame("ping").repeat(1_000),
            chunks: 10_000,
            ..Attack::of("sockets that ask and never listen", 40, [upgrade(&[]), auth].concat(), Then::Stay)
        },
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

/// A chunk of a body (RFC 9112, section 7.1).
fn chunked(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A text of a client (RFC 6455, section 5.2), masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let head = if length < 126 { vec![0x81, 0x80 | length as u8] } else { [&[0x81, 0xfe], &length.to_be_bytes()[..]].concat() };
    [&head, &[0; 4][..], text.as_bytes()].concat()
}
