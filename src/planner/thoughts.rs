//! Takes what a reasoning model thought aloud out of its answer (docs/design.md, section 7).

use std::sync::LazyLock;

use regex::Regex;

/// The tags between which models think, with `<>`, `[]` or `◁▷` around them, and namespaces before them.
const TAG: &str = r"(?:\w+:)?(?:think|thinking|thought|thoughts|reasoning|reflection)";

static OPENING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"(?i)[<\[◁]{TAG}[>\]▷]")).ok());
static CLOSING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"(?i)[<\[◁]/{TAG}[>\]▷]")).ok());

/// A part of an answer in channels: `<|channel|>NAME…<|message|>TEXT`, up to the next mark that ends it.
static CHANNEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?s)<\|?channel\|?>\s*(?P<name>\w+)(?P<to>[^<]*(?:<\|constrain\|>[^<]*)?)<\|message\|>(?P<text>.*?)(?:<\|(?:end|call|return|start)\|>|$)").ok()
});

/// What the model said, and what it thought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    pub said: String,
    pub thought: String,
}

/// Divides an answer. A JSON object is all said, whatever its texts hold.
pub fn divide(text: &str) -> Parts {
    let text = text.trim();
    if text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return Parts { said: text.to_owned(), thought: String::new() };
    }
    let Some((opening, closing)) = OPENING.as_ref().zip(CLOSING.as_ref()) else {
        return Parts { said: text.to_owned(), thought: String::new() };
    };
    let Parts { said: text, mut thought } = of_channels(text);
    let (mut said, mut rest) = (String::new(), text.as_str());
    // What comes before a closing tag was thought, also where the opening one is not told.
    while let Some(end) = closing.find(rest) {
        let before = &rest[..end.start()];
        let start = opening.find(before);
        said += &before[..start.map_or(0, |start| start.start())];
        thought += &before[start.map_or(0, |start| start.end())..];
        thought.push('\n');
        rest = &rest[end.end()..];
    }
    // Thoughts that were not finished are no answer.
    let start = opening.find(rest);
    said += &rest[..start.map_or(rest.len(), |start| start.start())];
    thought += &rest[start.map_or(rest.len(), |start| start.end())..];
    Parts { said: said.trim().to_owned(), thought: thought.trim().to_owned() }
}

/// The channels of an answer: `final` is said, a call of a tool is kept with its name, and everything else is thought.
fn of_channels(text: &str) -> Parts {
    let Some(channel) = CHANNEL.as_ref().filter(|channel| channel.is_match(text)) else {
        return Parts { said: text.to_owned(), thought: String::new() };
    };
    let mut parts = Parts::default();
    for part in channel.captures_iter(text) {
        let is_call = part["to"].contains("to=");
        if is_call {
            parts.said += part["to"].split("to=").nth(1).and_then(|to| to.split_whitespace().next()).unwrap_or_default();
            parts.said.push(' ');
        }
        let said = is_call || &part["name"] == "final";
        let into = if said { &mut parts.said } else { &mut parts.thought };
        *into += &part["text"];
        into.push('\n');
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, said: &str, thought: &str) {
        assert_eq!(divide(text), Parts { said: said.into(), thought: thought.into() }, "{text}");
    }

    #[test]
    fn thoughts_are_told_from_what_is_said() {
        check("hello", "hello", "");
        check("<think>hm</think>\nhello", "hello", "hm");
        check("hm, maybe ```json {} ``` or so\n</think>\n\nhello", "hello", "hm, maybe ```json {} ``` or so");
        check("<think>one</think> and <thinking>two</thinking> three", "and  three", "one\ntwo");
        check("<think>it never", "", "it never");
        check("hello <THINK>it never", "hello", "it never");
        check("[THINK]hm[/THINK]hello", "hello", "hm");
        check("◁think▷hm◁/think▷hello", "hello", "hm");
        check("<seed:think>hm</seed:think>hello", "hello", "hm");
        check("", "", "");
    }

    #[test]
    fn a_json_object_is_left_alone() {
        let plan = r#"{"summary": "write about <think> tags </think>", "steps": []}"#;
        check(plan, plan, "");
    }

    #[test]
    fn of_channels_the_final_one_is_said() {
        check("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>hello<|return|>", "hello", "hm");
        check(
            r#"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.create_task <|constrain|>json<|message|>{"title":"x"}<|call|>"#,
            r#"functions.create_task {"title":"x"}"#,
            "hm",
        );
        check("<|channel|>analysis<|message|>it never", "", "it never");
    }
}
