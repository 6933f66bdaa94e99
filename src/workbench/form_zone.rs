//! The zone in which a form shows and takes times: that of the user's settings, else that of the browser, else the server's.
//!
//! A form carries its zone along, since the browser may be in another one when it is sent.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use cookie::Cookie;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::fields::FormFields;
use super::page::SignedIn;
use crate::app::App;
use crate::domain::zone;

/// The cookie in which the script tells the zone of the browser.
const COOKIE_NAME: &str = "zone";
/// The field of a form.
const FIELD: &str = "form-zone";
/// Characters of the longest name that is looked up.
const LONGEST: usize = 60;

pub(super) struct FormZone {
    zone: TimeZone,
    /// Whether its reader may take it for another.
    is_named: bool,
}

/// The zone that the browser of a request says it is in.
pub(super) fn of_browser(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let found = lines.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == COOKIE_NAME)?;
    Some(found.value().to_owned()).filter(|name| find(name).is_some())
}

fn find(name: &str) -> Option<TimeZone> {
    zone::find(name).filter(|_| name.len() <= LONGEST)
}

impl FormZone {
    /// The zone that a user chose, else that of their browser, where it is known.
    pub fn own(who: &SignedIn) -> Option<TimeZone> {
        who.zone.as_deref().or(who.browser_zone.as_deref()).and_then(find)
    }

    /// Whether times of a zone are those that a user is shown.
    pub fn is_of(who: &SignedIn, zone: &TimeZone) -> bool {
        FormZone::own(who).is_some_and(|own| own.iana_name() == zone.iana_name())
    }

    /// For a form that is made now.
    pub fn of(who: &SignedIn, app: &App) -> Self {
        let zone = FormZone::own(who).unwrap_or_else(|| app.zone().clone());
        FormZone { is_named: who.browser_zone.is_none() || who.browser_zone.as_deref() != zone.iana_name(), zone }
    }

    /// Of a form that was sent.
    pub fn sent(fields: &FormFields, who: &SignedIn, app: &App) -> Self {
        let of_form = FormZone::of(who, app);
        match find(&fields.text(FIELD)) {
            Some(zone) => FormZone { zone, ..of_form },
            None => of_form,
        }
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub fn name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// What the form carries along.
    pub fn hidden(&self) -> Markup {
        html! { input type="hidden" name=(FIELD) value=(self.name()); }
    }

    /// What the label of a time says besides.
    pub fn beside(&self) -> Markup {
        html! { @if self.is_named { " (" (self.name()) ")" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_believed_only_where_it_names_a_zone() {
        for (sent, zone) in [
            ("zone=Europe/Berlin; mana_session_1=x", Some("Europe/Berlin")),
            ("a=b; zone=America/Argentina/Buenos_Aires", Some("America/Argentina/Buenos_Aires")),
            ("zone=Mars/Olympus", None),
            ("zone=", None),
            ("zones=Europe/Berlin", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, sent.parse().unwrap())]);
            assert_eq!(of_browser(&headers).as_deref(), zone, "{sent}");
        }
    }
}
