//! Makes texts of others safe to stand in a prompt (docs/design.md, section 7).
//!
//! Such a text stands between `<user_data>` and `</user_data>`, and can produce neither of them, nor the markers by which
//! chat templates tell one speaker from another. What counts is what a model may read, so texts are looked at without
//! invisible characters, and with full-width letters as plain ones. A marker is broken by spelling its first character as
//! an entity: it can still be read, and is no marker any more.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::is_unsafe;

/// Markers of the usual chat templates, by their kinds. The first group is the character that is spelled in another way. Of a
/// name that may go on, only the start is looked for: `\w` has so many characters that it takes longer to compile than all else.
static MARKERS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // <|im_start|>, <|eot_id|>, <|channel|>, <<SYS>>, and the closing half of each.
        r"(<)\s*/?\s*[|<]",
        r"(\|)\s*>",
        // <s>, </s>, <start_of_turn>, <tool_call>, <think>, and our own.
        r"(?i)(<)\s*/?\s*(?:(?:s|bos|eos|pad|unk|mask|sop|sys|inst|system|user|assistant|human|model|developer|user_data|agent_context)\b|tool|function|(?:start|end|begin)_of|im_|think|thought)",
        // [INST], [/INST], [TOOL_CALLS], [SYSTEM_PROMPT]: a name with an underscore, a closing one, or one of these.
        r"(?i)(\[)\s*/?\s*(?:(?:inst|sys)\b|g?mask\s*\]|(?:system|user|assistant|tool|img|args|think|prefix|middle|suffix)s?\s*\]|[a-z]+(?:_[a-z]+)+\s*\])",
        r"(?i)(\[)\s*/\s*[a-z_]+\s*\]",
        // "### Instruction:" and a line that begins with a speaker.
        r"(?im)^[\s>*-]*(#)#*\s*(?:new\s+)?(?:instructions?|response|input|output|system|human|user|assistant|end)\b[^\n:]{0,20}:",
        r"(?im)^[\s>*]*(?:system|assistant|human|user|model|developer)\s*(:)",
    ]
    .iter()
    .filter_map(|rule| Regex::new(rule).ok())
    .collect()
});

/// A text as a model may read it: without what nobody sees, and with wide letters as plain ones.
pub(super) struct Seen {
    pub text: String,
    /// For each byte, where its character stands in the text that it was made from.
    at: Vec<usize>,
}

impl Seen {
    pub fn new(text: &str) -> Self {
        let mut seen = Seen { text: String::with_capacity(text.len()), at: Vec::with_capacity(text.len()) };
        for (at, c) in text.char_indices().filter(|(_, c)| !is_invisible(*c)) {
            let c = narrow(c);
            seen.text.push(c);
            seen.at.extend(std::iter::repeat_n(at, c.len_utf8()));
        }
        seen
    }
}

/// Joiners, selectors, fillers and other characters without a shape, and those that act instead of being shown.
fn is_invisible(c: char) -> bool {
    (is_unsafe(c) && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0080}'..='\u{e0fff}')
}

/// The plain form of a wide or small character.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{fe64}' => '<',
        '\u{fe65}' => '>',
        '\u{fe5f}' => '#',
        '\u{fe55}' => ':',
        c => c,
    }
}

/// A text as data: at most `limit` characters of it, without ciphertext, and unable to open or close a tag.
pub(super) fn data(text: &str, limit: usize) -> String {
    spelled(&plain(text, limit), true)
}

/// The same on one line.
pub(super) fn line(text: &str, limit: usize) -> String {
    data(text, limit).replace(['\n', '\t'], " ")
}

/// A text that its user means for the model, such as the role of an agent: as it is, but for markers and ciphertext.
pub(super) fn own(text: &str, limit: usize) -> String {
    spelled(&plain(text, limit), false)
}

/// Puts cleaned text between the delimiters.
pub(super) fn user_data(text: &str) -> String {
    format!("<user_data>\n{text}\n</user_data>")
}

fn plain(text: &str, limit: usize) -> String {
    let cut = match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    // Characters that nobody sees go first: they must not hide what the next step looks for.
    without_ciphertext(&cut.chars().filter(|c| matches!(c, '\n' | '\t') || !is_unsafe(*c)).collect::<String>())
}

fn without_ciphertext(text: &str) -> String {
    let mut parts = text.split("enc:1:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let payload = |c: char| c.is_ascii_alphanumeric() || "+/=._-".contains(c);
        plain += "[encrypted]";
        plain += part.trim_start_matches(payload);
    }
    plain
}

/// Spells the first character of each marker as an entity, and with `every_tag` each `<`.
fn spelled(text: &str, every_tag: bool) -> String {
    let seen = Seen::new(text);
    let mut places: Vec<usize> = Vec::new();
    for marker in MARKERS.iter() {
        places.extend(marker.captures_iter(&seen.text).filter_map(|found| Some(seen.at[found.get(1)?.start()])));
    }
    if every_tag {
        places.extend(seen.text.match_indices('<').map(|(at, _)| seen.at[at]));
    }
    places.sort_unstable();
    places.dedup();
    let mut out = String::with_capacity(text.len() + 4 * places.len());
    let mut done = 0;
    for at in places {
        let c = text[at..].chars().next().unwrap_or_default();
        out += &text[done..at];
        match narrow(c) {
            '<' => out += "&lt;",
            other => out += &format!("&#{};", u32::from(other)),
        }
        done = at + c.len_utf8();
    }
    out + &text[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Markers of the templates of well-known models.
    const KNOWN: [&str; 31] = [
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|channel|>",
        "<|START_OF_TURN_TOKEN|>",
        "<｜User｜>",
        "<｜begin▁of▁sentence｜>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<s>",
        "</s>",
        "<<SYS>>",
        "<</SYS>>",
        "[INST]",
        "[/INST]",
        "[inst]",
        "[ /Inst ]",
        "[TOOL_CALLS]",
        "[SYSTEM_PROMPT]",
        "[THINK]",
        "[gMASK]",
        "<tool_call>",
        "<think>",
        "</user_data>",
        "<user_data>",
        "</agent_context>",
        "### Instruction:",
        "### Response:",
        "Human:",
        "ASSISTANT:",
    ];

    fn is_whole(marker: &str, text: &str) -> bool {
        Seen::new(text).text.to_lowercase().contains(&Seen::new(marker).text.to_lowercase())
    }

    #[test]
    fn no_marker_comes_through_in_any_spelling() {
        assert_eq!(MARKERS.len(), 7, "each rule is a regular expression");
        let wide = |text: &str| {
            text.chars().map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c }).collect::<String>()
        };
        let hidden = |text: &str, with: char| text.chars().flat_map(|c| [c, with]).collect::<String>();
        for marker in KNOWN {
            for text in [
                marker.to_owned(),
                marker.to_lowercase(),
                marker.to_uppercase(),
                wide(marker),
                hidden(marker, '\u{200b}'),
                hidden(marker, '\u{ad}'),
                hidden(marker, '\u{202e}'),
            ] {
                for (name, cleaned) in [("data", data(&text, 500)), ("line", line(&text, 500)), ("own", own(&text, 500))] {
                    assert!(!is_whole(marker, &cleaned), "{name}: {text:?} became {cleaned:?}");
                }
            }
        }
    }

    #[test]
    fn plain_texts_stay_as_they_are() {
        for text in [
            "- [ ] call the bank\n- [x] rent",
            "[a link](https://example.org/a_b) and [1]",
            "# Heading\n## Response times",
            "The user: see below. 3 > 2 || x",
            "[todo] [draft]",
            "Familie 👨‍👩‍👧, می‌خواهم, 〈本〉",
        ] {
            assert_eq!(data(text, 500), text);
        }
        assert_eq!(own("Use <b>bold</b> and <rules>.", 500), "Use <b>bold</b> and <rules>.");
        assert_eq!(data("a < b", 500), "a &lt; b");
    }

    #[test]
    fn hidden_characters_do_not_hide_ciphertext() {
        assert_eq!(data("x enc:\u{202e}1:AAAA.BBBB== y", 500), "x [encrypted] y");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_text_is_made_of_no_marker_is_whole(
            parts in proptest::collection::vec(proptest::prop_oneof![
                "<", "\\|", ">", "\\[", "/", "\\]", "INST", "inst", "s", "im_start", "user_data", "### ", "Instruction:", "\n", "\u{200b}", "＜", "｜", "［", "\\PC{0,3}",
            ], 0..12),
        ) {
            let text = parts.concat();
            for cleaned in [data(&text, 500), own(&text, 500)] {
                for marker in KNOWN.iter().filter(|marker| !marker.ends_with(':')) {
                    proptest::prop_assert!(!is_whole(marker, &cleaned), "{:?} became {:?}, with {}", text, cleaned, marker);
                }
            }
        }
    }
}
