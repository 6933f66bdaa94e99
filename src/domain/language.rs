//! The languages in which the program speaks with people.

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    #[default]
    English,
    German,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// As HTML and HTTP name it.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// The language of a tag such as `de` or `de-AT`.
    pub fn parse(tag: &str) -> Option<Language> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The one that a browser asks for first (`Accept-Language`), English where it asks for none of ours.
    pub fn accepted(header: &str) -> Language {
        let mut best = (0.0, Language::English);
        for wish in header.split(',') {
            let (tag, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()).unwrap_or(0.0);
            // Of equal wishes the first counts.
            if let Some(language) = Language::parse(tag.trim()).filter(|_| weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_asks_for_first() {
        for (header, language) in [
            ("", Language::English),
            ("de", Language::German),
            ("de-AT,de;q=0.9,en;q=0.8", Language::German),
            ("en-GB, de;q=0.9", Language::English),
            ("fr, DE;q=0.5, en;q=0.3", Language::German),
            ("en;q=0.3, de;q=0.5", Language::German),
            ("de;q=0, fr", Language::English),
            ("*", Language::English),
            ("de;q=x,;;,q=1", Language::English),
            ("deutsch", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
