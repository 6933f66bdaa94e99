//! A collector of traces, and the part of protobuf that it takes to read what it gets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

/// A field of a protobuf message: a number, or bytes.
#[derive(Clone)]
pub(super) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a protobuf message with their numbers, in their order.
#[derive(Clone, Default)]
pub(super) struct Message(Vec<(u64, Field)>);

impl Message {
    #[track_caller]
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let field = match tag & 7 {
                0 => Field::Number(varint(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    Field::Bytes(take(&mut bytes, length).to_vec())
                }
                5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
                kind => panic!("no kind of field: {kind}"),
            };
            fields.push((tag >> 3, field));
        }
        Message(fields)
    }

    pub fn all(&self, number: u64) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |(n, _)| *n == number).map(|(_, field)| field)
    }

    pub fn messages(&self, number: u64) -> Vec<Message> {
        self.all(number).filter_map(|field| if let Field::Bytes(bytes) = field { Some(Message::read(bytes)) } else { None }).collect()
    }

    pub fn message(&self, number: u64) -> Message {
        self.messages(number).pop().unwrap_or_default()
    }

    pub fn number(&self, number: u64) -> u64 {
        self.all(number).find_map(|field| if let Field::Number(value) = field { Some(*value) } else { None }).unwrap_or_default()
    }

    pub fn bytes(&self, number: u64) -> Vec<u8> {
        self.all(number).find_map(|field| if let Field::Bytes(bytes) = field { Some(bytes.clone()) } else { None }).unwrap_or_default()
    }

    pub fn text(&self, number: u64) -> String {
        String::from_utf8(self.bytes(number)).unwrap()
    }

    /// The value of an `AnyValue`.
    pub fn value(&self) -> Value {
        match self.0.first() {
            Some((1, Field::Bytes(text))) => json!(String::from_utf8(text.clone()).unwrap()),
            Some((2, Field::Number(flag))) => json!(*flag == 1),
            Some((3, Field::Number(number))) => json!(number.cast_signed()),
            Some((4, Field::Number(bits))) => json!(f64::from_bits(*bits)),
            _ => Value::Null,
        }
    }

    /// The attributes that stand in a field.
    pub fn attributes(&self, number: u64) -> BTreeMap<String, Value> {
        self.messages(number).iter().map(|pair| (pair.text(1), pair.message(2).value())).collect()
    }
}

pub(super) fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

/// A span as the collector got it.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    pub name: String,
    pub start: u64,
    pub end: u64,
    pub attributes: BTreeMap<String, Value>,
    /// 2 is an error.
    pub status: u64,
    pub service: Value,
}

pub(super) fn spans(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in Message::read(body).messages(1) {
        let service = resource.message(1).attributes(1).remove("service.name").unwrap_or_default();
        for span in resource.messages(2).iter().flat_map(|scope| scope.messages(2)) {
            spans.push(Span {
                trace: span.bytes(1),
                id: span.bytes(2),
                parent: span.bytes(4),
                name: span.text(5),
                start: span.number(7),
                end: span.number(8),
                attributes: span.attributes(9),
                status: span.message(15).number(3),
                service: service.clone(),
            });
        }
    }
    spans
}

/// A request to the collector.
pub(super) struct Posted {
    pub path: String,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// A collector of traces, in a thread of its own.
pub(super) struct Collector {
    pub address: std::net::SocketAddr,
    pub posted: Arc<Mutex<Vec<Posted>>>,
}

impl Collector {
    pub fn start() -> Self {
        Self::answering(200, Duration::ZERO)
    }

    pub fn answering(status: u16, delay: Duration) -> Self {
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let heard = Arc::clone(&posted);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            assert_eq!(method, Method::POST);
            let content_type = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
            assert_eq!(headers.get("content-encoding"), None, "as it is");
            heard.lock().unwrap().push(Posted { path: uri.path().to_owned(), content_type, body: body.to_vec() });
            async move {
                tokio::time::sleep(delay).await;
                (StatusCode::from_u16(status).unwrap(), [("content-type", "application/x-protobuf")], Vec::<u8>::new())
            }
        };
        let (ready, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
            });
        });
        Collector { address: address.recv().unwrap(), posted }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> usize {
        self.posted.lock().unwrap().len()
    }

    pub fn spans(&self) -> Vec<Span> {
        self.posted.lock().unwrap().iter().flat_map(|posted| spans(&posted.body)).collect()
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.posted.lock().unwrap().iter().flat_map(|posted| posted.body.clone()).collect()
    }
}
