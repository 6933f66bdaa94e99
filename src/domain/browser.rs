//! Which browser somebody signed in with, by two short names. What a browser sends says more, and none of that is kept.

/// Bytes of a header that are looked at: those of real browsers have about a hundred.
const MOST_BYTES: usize = 512;

/// A browser and what it runs on, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignInBrowser {
    pub name: Option<BrowserName>,
    pub system: Option<BrowserSystem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserName {
    Chrome,
    Edge,
    Firefox,
    Opera,
    Safari,
    SamsungInternet,
    Vivaldi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserSystem {
    Android,
    ChromeOs,
    Ipad,
    Iphone,
    Linux,
    MacOs,
    Windows,
}

/// What tells a browser from others, the first that is there: most call themselves Chrome and Safari, too.
const NAMES: [(&str, BrowserName); 15] = [
    ("Edg/", BrowserName::Edge),
    ("EdgA/", BrowserName::Edge),
    ("EdgiOS/", BrowserName::Edge),
    ("Edge/", BrowserName::Edge),
    ("OPR/", BrowserName::Opera),
    ("OPT/", BrowserName::Opera),
    ("OPX/", BrowserName::Opera),
    ("Vivaldi/", BrowserName::Vivaldi),
    ("SamsungBrowser/", BrowserName::SamsungInternet),
    ("Firefox/", BrowserName::Firefox),
    ("FxiOS/", BrowserName::Firefox),
    ("Chrome/", BrowserName::Chrome),
    ("CriOS/", BrowserName::Chrome),
    ("Chromium/", BrowserName::Chrome),
    // A view within another app does not say its version so.
    ("Version/", BrowserName::Safari),
];

/// The same for systems: Android is a Linux, and an iPhone is "like Mac OS X".
const SYSTEMS: [(&str, BrowserSystem); 8] = [
    ("iPhone", BrowserSystem::Iphone),
    ("iPad", BrowserSystem::Ipad),
    ("Android", BrowserSystem::Android),
    ("Windows", BrowserSystem::Windows),
    ("CrOS ", BrowserSystem::ChromeOs),
    ("Macintosh", BrowserSystem::MacOs),
    ("Linux", BrowserSystem::Linux),
    ("X11;", BrowserSystem::Linux),
];

impl SignInBrowser {
    /// What a `User-Agent` header tells.
    ///
    /// ```
    /// use mana_ai::domain::browser::{BrowserName, BrowserSystem, SignInBrowser};
    ///
    /// let told = SignInBrowser::of("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0");
    /// assert_eq!(told, SignInBrowser { name: Some(BrowserName::Firefox), system: Some(BrowserSystem::Linux) });
    /// ```
    pub fn of(header: &str) -> Self {
        let header = &header[..header.floor_char_boundary(MOST_BYTES)];
        // Programs that fetch pages name a system in words of their own.
        if !header.starts_with("Mozilla/") {
            return SignInBrowser::default();
        }
        let system = first(&SYSTEMS, header);
        let is_apple = matches!(system, Some(BrowserSystem::Iphone | BrowserSystem::Ipad | BrowserSystem::MacOs));
        // Small browsers on the engine of Safari speak as Safari does, and Safari runs nowhere else.
        let name = first(&NAMES, header).filter(|name| is_apple || *name != BrowserName::Safari);
        SignInBrowser { name, system }
    }
}

fn first<T: Copy>(signs: &[(&str, T)], header: &str) -> Option<T> {
    signs.iter().find(|(sign, _)| header.contains(sign)).map(|(_, told)| *told)
}

impl BrowserName {
    const ALL: [BrowserName; 7] = [
        BrowserName::Chrome,
        BrowserName::Edge,
        BrowserName::Firefox,
        BrowserName::Opera,
        BrowserName::Safari,
        BrowserName::SamsungInternet,
        BrowserName::Vivaldi,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            BrowserName::Chrome => "chrome",
            BrowserName::Edge => "edge",
            BrowserName::Firefox => "firefox",
            BrowserName::Opera => "opera",
            BrowserName::Safari => "safari",
            BrowserName::SamsungInternet => "samsung",
            BrowserName::Vivaldi => "vivaldi",
        }
    }

    pub fn parse(stored: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == stored)
    }
}

impl BrowserSystem {
    const ALL: [BrowserSystem; 7] = [
        BrowserSystem::Android,
        BrowserSystem::ChromeOs,
        BrowserSystem::Ipad,
        BrowserSystem::Iphone,
        BrowserSystem::Linux,
        BrowserSystem::MacOs,
        BrowserSystem::Windows,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            BrowserSystem::Android => "android",
            BrowserSystem::ChromeOs => "chromeos",
            BrowserSystem::Ipad => "ipad",
            BrowserSystem::Iphone => "iphone",
            BrowserSystem::Linux => "linux",
            BrowserSystem::MacOs => "macos",
            BrowserSystem::Windows => "windows",
        }
    }

    pub fn parse(stored: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.as_str() == stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_by_what_it_sends() {
        for (header, told) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "firefox linux"),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "firefox windows"),
            ("Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "firefox android"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 \
                 Safari/604.1",
                "firefox iphone",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "chrome linux"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "chrome android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "chrome chromeos",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77 Mobile/15E148 \
                 Safari/604.1",
                "chrome ipad",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 \
                 Mobile/15E148 Safari/604.1",
                "safari iphone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "safari macos",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 \
                 Edg/142.0.0.0",
                "edge windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 \
                 OPR/125.0.0.0",
                "opera macos",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile \
                 Safari/537.36",
                "samsung android",
            ),
            ("Mozilla/5.0 (X11; OpenBSD amd64; rv:145.0) Gecko/20100101 Firefox/145.0", "firefox linux"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15", "- linux"),
            ("curl/8.14.1 (x86_64-pc-linux-gnu) Firefox/1", "- -"),
            ("Mozilla/5.0", "- -"),
            ("", "- -"),
        ] {
            let SignInBrowser { name, system } = SignInBrowser::of(header);
            let found = format!("{} {}", name.map_or("-", BrowserName::as_str), system.map_or("-", BrowserSystem::as_str));
            assert_eq!(found, told, "{header}");
        }
    }

    #[test]
    fn a_header_is_not_read_to_its_end() {
        let long = format!("Mozilla/5.0 {}Firefox/145.0", "ä".repeat(MOST_BYTES));
        assert_eq!(SignInBrowser::of(&long), SignInBrowser::default());
    }

    #[test]
    fn what_is_stored_is_read_again() {
        assert!(BrowserName::ALL.into_iter().all(|name| BrowserName::parse(name.as_str()) == Some(name)));
        assert!(BrowserSystem::ALL.into_iter().all(|system| BrowserSystem::parse(system.as_str()) == Some(system)));
        assert_eq!((BrowserName::parse(""), BrowserSystem::parse("<b>")), (None, None));
    }
}
