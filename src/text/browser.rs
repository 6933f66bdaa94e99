//! The browser that somebody signed in with, in words.

use super::catalog::Words;
use crate::domain::browser::{BrowserName, BrowserSystem, SignInBrowser};

/// Such as "Firefox on Linux".
pub fn named(words: Words, browser: SignInBrowser) -> String {
    let name = browser.name.map_or_else(|| words.say("settings-browser-unknown"), |name| brand(name).into());
    let system = browser.system.map_or("", BrowserSystem::as_str);
    words.with("settings-browser", [("browser", name.into()), ("system", system.into())])
}

/// The name that its maker gave it.
fn brand(name: BrowserName) -> &'static str {
    match name {
        BrowserName::Chrome => "Chrome",
        BrowserName::Edge => "Edge",
        BrowserName::Firefox => "Firefox",
        BrowserName::Opera => "Opera",
        BrowserName::Safari => "Safari",
        BrowserName::SamsungInternet => "Samsung Internet",
        BrowserName::Vivaldi => "Vivaldi",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;

    #[test]
    fn a_browser_is_named_with_its_system() {
        for (name, system, english, german) in [
            (Some(BrowserName::Firefox), Some(BrowserSystem::Linux), "Firefox on Linux", "Firefox unter Linux"),
            (Some(BrowserName::Chrome), Some(BrowserSystem::Android), "Chrome on Android", "Chrome unter Android"),
            (Some(BrowserName::Safari), Some(BrowserSystem::Iphone), "Safari on iPhone", "Safari auf dem iPhone"),
            (Some(BrowserName::Edge), None, "Edge", "Edge"),
            (None, Some(BrowserSystem::MacOs), "A browser on macOS", "Ein Browser unter macOS"),
            (None, None, "A browser", "Ein Browser"),
        ] {
            let browser = SignInBrowser { name, system };
            assert_eq!(named(Words::ENGLISH, browser), english);
            assert_eq!(named(Words::of(Language::German), browser), german);
        }
    }
}
