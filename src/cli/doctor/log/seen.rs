//! What a survey keeps of rows of one kind: how many, and the first few.

use super::Diagnosis;

/// Examples that are kept and told.
const EXAMPLES: usize = 3;
/// Characters of an example.
const CHARS: usize = 160;

#[derive(Default)]
pub(super) struct Tally {
    pub count: u64,
    examples: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            let example = example();
            let cut = example.char_indices().nth(CHARS).map_or(example.len(), |(at, _)| at);
            let end = if cut < example.len() { "…" } else { "" };
            self.examples.push(format!("{}{end}", &example[..cut]));
        }
    }

    /// How many there are of what, and the examples.
    pub fn told(&self, one: &str, more: &str) -> String {
        format!("{}, such as {}", counted(self.count, one, more), self.examples.join("; "))
    }

    /// What works, but not as its users may expect; `None` where there is nothing of the kind.
    pub fn warn(&self, one: &str, more: &str, fix: &str) -> Option<Diagnosis> {
        (self.count > 0).then(|| Diagnosis::warn(self.told(one, more), fix))
    }

    /// What makes the move fail.
    pub fn fail(&self, one: &str, more: &str, fix: &str) -> Option<Diagnosis> {
        (self.count > 0).then(|| Diagnosis::fail(self.told(one, more), fix))
    }
}

/// A count with its words.
pub(super) fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
