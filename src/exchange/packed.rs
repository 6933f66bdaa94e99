//! Files that are compressed, or in another encoding than UTF-8: what the first bytes of a file say, and the bytes in it.
//!
//! What is read is told by its first bytes, whatever its name; what is written by the end of its name.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::ImportError;

/// Bytes by which a file is told.
const START: u64 = 1_024;
/// The largest window of a zstd file that is read, as a power of two: 128 MB, as the command `zstd` takes without being asked.
const WINDOW: u32 = 27;

/// What is in a file, without its compression and its byte order mark.
///
/// # Errors
/// When the start of the file cannot be read, or is not UTF-8.
pub(super) fn unpacked(file: Box<dyn BufRead + Send>) -> Result<Box<dyn BufRead + Send>, ImportError> {
    let (start, file) = started(file)?;
    let file: Box<dyn BufRead + Send> = if start.starts_with(b"\x1f\x8b") {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else if start.starts_with(b"\x28\xb5\x2f\xfd") {
        let mut decoder = zstd::Decoder::with_buffer(file).map_err(ImportError::Read)?;
        decoder.window_log_max(WINDOW).map_err(ImportError::Read)?;
        Box::new(BufReader::new(decoder))
    } else {
        file
    };
    let (start, mut file) = started(file)?;
    if let Some(encoding) = foreign(&start) {
        return Err(ImportError::Encoding(encoding));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        file.read_exact(&mut [0; 3]).map_err(ImportError::Read)?;
    }
    Ok(file)
}

/// The start of a file, and the whole of it. A pipe may give fewer bytes at a time.
fn started(mut file: Box<dyn BufRead + Send>) -> Result<(Vec<u8>, Box<dyn BufRead + Send>), ImportError> {
    let mut start = Vec::new();
    (&mut file).take(START).read_to_end(&mut start).map_err(ImportError::Read)?;
    Ok((start.clone(), Box::new(Cursor::new(start).chain(file))))
}

/// The encoding of a text that is not UTF-8: by its byte order mark, or by the zero bytes that stand beside each letter.
fn foreign(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, letter, ..] | [letter, 0, ..] if letter.is_ascii_graphic() => Some("UTF-16"),
        _ => None,
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the end of a name: `.gz`, `.zst`, or another.
    pub fn of(file: &Path) -> Self {
        match file.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Packing::Gzip,
            Some("zst") => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// Writes a file, compressed or not.
pub enum Packer<W: Write> {
    /// As it is.
    Plain(W),
    /// As gzip.
    Gzip(GzEncoder<W>),
    /// As zstd.
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Packer<W> {
    /// Writes to `to`.
    ///
    /// # Errors
    /// When there is no memory for the compression.
    pub fn new(to: W, packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Packer::Plain(to),
            Packing::Gzip => Packer::Gzip(GzEncoder::new(to, Compression::default())),
            Packing::Zstd => Packer::Zstd(zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        })
    }

    /// Writes the end, and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Packer::Plain(to) => Ok(to),
            Packer::Gzip(encoder) => encoder.finish(),
            Packer::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Packer::Plain(to) => to.write(bytes),
            Packer::Gzip(encoder) => encoder.write(bytes),
            Packer::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packer::Plain(to) => to.flush(),
            Packer::Gzip(encoder) => encoder.flush(),
            Packer::Zstd(encoder) => encoder.flush(),
        }
    }
}
