//! Texts of other people on their way to a terminal.
//!
//! A title, a name or an id may hold control sequences that move the cursor, rewrite what stands above or change the
//! title of the window, and bidirectional controls that show a line in another order than it is read. Everything that
//! a command prints passes one of the two writers of this room, so that no command has to remember it. This room must
//! not know what is printed, but for the words of reasons, which are made here from their values.

pub mod browser;
pub mod cadence;
pub mod catalog;
pub mod decision;
pub mod module;
pub mod obstacle;
pub mod phrase;
pub mod run;
pub mod saying;
pub mod schedule;
pub mod standing;
pub mod told;

use std::io::{self, Write};

/// Whether a character acts on a terminal, or on the order of the text around it, instead of being shown.
pub fn is_unsafe(c: char) -> bool {
    // C0, DEL and C1.
    c.is_control()
        || matches!(c,
            // Marks, embeddings, overrides and isolates of the bidirectional algorithm, and the old shaping controls.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line and paragraph separator.
            | '\u{2028}' | '\u{2029}'
            // A byte order mark, anchors of interlinear notes.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags: letters that nobody sees.
            | '\u{e0000}'..='\u{e007f}')
}

/// A text on one line, without unsafe characters: a line break or a tab in it becomes a blank.
pub fn printable(text: &str) -> String {
    text.chars().filter_map(|c| if is_break(c) { Some(' ') } else { Some(c).filter(|c| !is_unsafe(*c)) }).collect()
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// JSON as it was, with every unsafe character spelled `\uXXXX`: in JSON without indentation they stand inside strings
/// only, so the value stays the same.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut units) {
                let digit = |place: u32| char::from_digit(u32::from(*unit) >> (4 * place) & 0xf, 16);
                out.push_str("\\u");
                out.extend([3, 2, 1, 0].into_iter().filter_map(digit));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// What becomes of unsafe characters in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are left out; lines and tabs stay.
    Prose,
    /// One call of `write` is one line: breaks inside it become blanks. The colors that the program gives itself stay.
    Line,
    /// One call of `write` is one line of JSON, in which they are spelled as escapes.
    Json,
}

/// A writer whose bytes are safe to see on a terminal.
pub struct Printable<W: Write> {
    inner: W,
    mode: Mode,
    /// The start of a character whose end has not come yet.
    rest: Vec<u8>,
}

impl<W: Write> Printable<W> {
    pub fn new(inner: W, mode: Mode) -> Self {
        Printable { inner, mode, rest: Vec::new() }
    }

    /// Writes a word of the program itself in a color.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn paint(&mut self, color: u8, word: &str) -> io::Result<()> {
        write!(self.inner, "\x1b[{color}m{}\x1b[0m", printable(word))
    }

    fn pass(&self, text: &str) -> String {
        match self.mode {
            Mode::Prose => text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_unsafe(*c)).collect(),
            Mode::Line | Mode::Json => {
                let (line, end) = text.strip_suffix('\n').map_or((text, ""), |line| (line, "\n"));
                if self.mode == Mode::Json { escaped(line) + end } else { colored(line) + end }
            }
        }
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut text = String::with_capacity(rest.len());
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text += chunk.valid();
            let invalid = chunk.invalid();
            // What is cut off at the end goes on in the next call; longer than a character it is none.
            if chunks.peek().is_none() && !invalid.is_empty() && is_start(invalid) {
                self.rest = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        let text = self.pass(&text);
        self.inner.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether bytes could be the start of a character.
fn is_start(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// A line without unsafe characters, except for sequences that choose a color or a weight.
fn colored(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        let (before, sequence) = rest.split_at(at);
        out += &printable(before);
        let end = sequence[2..].find(|c: char| !(c.is_ascii_digit() || c == ';')).map(|end| end + 2);
        match end.filter(|end| sequence[*end..].starts_with('m')) {
            Some(end) => {
                out += &sequence[..=end];
                rest = &sequence[end + 1..];
            }
            None => rest = &sequence[1..],
        }
    }
    out + &printable(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(mode: Mode, writes: &[&[u8]]) -> String {
        let mut out = Printable::new(Vec::new(), mode);
        for bytes in writes {
            out.write_all(bytes).unwrap();
        }
        String::from_utf8(out.inner).unwrap()
    }

    #[test]
    fn what_acts_on_a_terminal_is_not_printed() {
        let hostile = "a\u{1b}]0;x\u{7}b\u{9b}31mc\r\nd\u{202e}e\u{2028}f\u{feff}g\u{e0041}h\u{200d}i";
        assert_eq!(printable(hostile), "a]0;xb31mc  de fgh\u{200d}i");
        assert_eq!(through(Mode::Prose, &["a\u{1b}[2J\tb\u{202e}\r\nc\n".as_bytes()]), "a[2J\tb\nc\n");
        assert_eq!(
            through(Mode::Line, &["\u{1b}[31mred\u{1b}[0m a\nb \u{1b}[2J\u{1b}[;c\n".as_bytes()]),
            "\u{1b}[31mred\u{1b}[0m a b [2J[;c\n"
        );
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a\u{202e}": "x\u{9b}y\u{e0041}z\u{7f}", "b": "\u{1b}\n"});
        let text = through(Mode::Json, &[format!("{value}\n").as_bytes()]);
        assert!(text.trim_end().chars().all(|c| !is_unsafe(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_into_writes_the_same_is_printed(text in "\\PC{0,12}|[\u{1b}\u{9b}\u{202e}ä€😀a\n]{0,12}", at in 0_usize..48) {
            let (bytes, at) = (text.as_bytes(), at.min(text.len()));
            prop_assert_eq!(through(Mode::Prose, &[&bytes[..at], &bytes[at..]]), through(Mode::Prose, &[bytes]));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(through(Mode::Prose, &[b"a\xffb\xc3", b"\xa4", b"\xe2\x82", b"x"]), "a\u{fffd}bä\u{fffd}x");
    }
}
