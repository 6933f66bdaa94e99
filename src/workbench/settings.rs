//! Settings: how the user wants to be spoken to, sessions and tokens, and for administrators the server.

use axum::extract::State;
use maud::{Markup, html};

use super::Shared;
use super::fields::FormFields;
use super::model_form::{self, ModelAnswered};
use super::page::{Failed, Response, button, csrf, moment, page, refused, rich, shorter, to};
use super::session::{Posted, SignedIn};
use super::values::bytes;
use crate::app::ModelWish;
use crate::domain::language::Language;
use crate::domain::person::Preferences;
use crate::text::browser;
use crate::text::catalog::Words;

/// Days that a token may last.
const DAYS: [i64; 4] = [1, 7, 30, 365];

/// What stands on the page besides what is in force.
struct Said<'a> {
    answered: ModelAnswered,
    typed: Option<ModelWish>,
    wrong: Option<String>,
    done: Option<&'a str>,
    token: Option<String>,
    /// A zone that was not taken.
    typed_zone: Option<String>,
}

impl Said<'_> {
    const NOTHING: Said<'static> =
        Said { answered: ModelAnswered::Nothing, typed: None, wrong: None, done: None, token: None, typed_zone: None };
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    shown(&shared, &who, Said::NOTHING).await
}

async fn shown(shared: &Shared, who: &SignedIn, said: Said<'_>) -> Result<Response, Failed> {
    let words = who.words;
    let preferences = shared.app.preferences(&who.user).await?;
    let is_admin = shared.app.is_admin(&who.user).await?;
    let is_wrong = said.wrong.is_some();
    let body = html! {
        h1 { (words.say("settings-title")) }
        @if let Some(wrong) = &said.wrong { p.wrong role="alert" tabindex="-1" autofocus dir="auto" { (shorter(wrong, 500)) } }
        @if let Some(done) = said.done { p.health.good role="status" tabindex="-1" autofocus dir="auto" { (done) } }
        section { h2 { (words.say("settings-you")) } (yours(who, &preferences, said.typed_zone.as_deref())) }
        @if is_admin {
            section #model-settings {
                h2 { (words.say("settings-model")) }
                (model_form::form(shared, who, "/settings/model", &words.say("settings-save"), &shared.app.model(), said.typed.as_ref(), &said.answered))
            }
        }
        section { h2 { (words.say("settings-sessions")) } (sessions(shared, who).await?) }
        @if shared.app.users().public_keys().is_some() {
            section { h2 { (words.say("settings-tokens")) } (tokens(who, said.token.as_deref())) }
        }
        @if is_admin {
            section { h2 { (words.say("settings-people")) } p { (words.say("settings-people-hint")) } p { a.button href="/settings/people" { (words.say("settings-people-open")) } } }
            section { h2 { (words.say("settings-backup")) } (backup(shared, who).await?) }
            section { h2 { (words.say("settings-limits")) } (limits(shared, words)) }
        }
    };
    let title = words.say("settings-title");
    Ok(if is_wrong { refused(who, &title, &body) } else { page(who, &title, &body) })
}

fn yours(who: &SignedIn, preferences: &Preferences, typed_zone: Option<&str>) -> Markup {
    let words = who.words;
    let chosen = preferences.language.as_deref().unwrap_or_default();
    html! {
        form.stack method="post" action="/settings" {
            (csrf(who))
            div.columns {
                div {
                    label for="language" { (words.say("settings-language")) }
                    select #language name="language" {
                        option value="" selected[chosen.is_empty()] { (words.say("settings-by-browser")) }
                        @for language in Language::ALL { option value=(language.tag()) lang=(language.tag()) selected[chosen == language.tag()] { (own_name(language)) } }
                    }
                }
                div {
                    label for="zone" { (words.say("settings-zone")) }
                    input #zone name="zone" value=(typed_zone.or(preferences.zone.as_deref()).unwrap_or_default()) spellcheck="false" autocomplete="off" placeholder="Europe/Berlin" aria-describedby="zone-hint";
                    p #zone-hint .hint { (words.say("settings-zone-hint")) }
                }
            }
            button.primary { (words.say("settings-save")) }
        }
    }
}

/// What a language calls itself.
fn own_name(language: Language) -> &'static str {
    match language {
        Language::English => "English",
        Language::German => "Deutsch",
    }
}

pub(super) async fn save(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    match shared.app.set_preferences(&who.user, &fields.text("language"), &fields.text("zone")).await {
        Ok(()) => Ok(to("/settings")),
        Err(error) => {
            let Some(why) = error.refusal(who.words) else { return Err(error.into()) };
            let typed_zone = Some(fields.text("zone"));
            shown(&shared, who, Said { wrong: Some(why), typed_zone, ..Said::NOTHING }).await
        }
    }
}

pub(super) async fn model(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    match model_form::act(&shared, who, fields).await? {
        None => shown(&shared, who, Said { done: Some(&who.words.say("settings-model-saved")), ..Said::NOTHING }).await,
        Some(answered) => shown(&shared, who, Said { answered, typed: Some(model_form::wish(fields)), ..Said::NOTHING }).await,
    }
}

async fn sessions(shared: &Shared, who: &SignedIn) -> Result<Markup, Failed> {
    let words = who.words;
    let sessions = shared.app.sessions_of(&who.user).await?;
    Ok(html! {
        ul.plain { @for session in &sessions {
            li {
                @let browser = html! { strong { (browser::named(words, session.browser)) } };
                (rich(words, "settings-session", [("browser", browser), ("since", moment(session.created_at)), ("until", moment(session.expires_at))])) " "
                @if session.id == who.session { span.badge.good { (words.say("settings-session-this")) } }
                @else { (button(who, "/settings/sessions/end", &words.say("settings-session-end"), &[("session", &session.id)], "")) }
            }
        } }
    })
}

pub(super) async fn end_session(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    shared.app.end_session_of(&posted.who.user, &posted.fields.text("session")).await?;
    Ok(to("/settings"))
}

fn tokens(who: &SignedIn, made: Option<&str>) -> Markup {
    let words = who.words;
    html! {
        p { (words.say("settings-tokens-hint")) }
        @if let Some(token) = made {
            div.health.good role="status" {
                p { label for="token" { (words.say("settings-token-made")) } }
                textarea #token readonly autofocus rows="4" spellcheck="false" { "\n" (token) }
            }
        }
        form.row method="post" action="/settings/tokens" {
            (csrf(who))
            label for="days" { (words.say("settings-token-days")) }
            select #days name="days" { @for days in DAYS { option value=(days) selected[days == 30] { (words.with("settings-days", [("count", days.into())])) } } }
            button { (words.say("settings-token-make")) }
        }
    }
}

pub(super) async fn make_token(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let days = posted.fields.text("days").parse().unwrap_or_default();
    let token = shared.app.make_token(&posted.who.user, days)?;
    shown(&shared, &posted.who, Said { token: Some(token), ..Said::NOTHING }).await
}

async fn backup(shared: &Shared, who: &SignedIn) -> Result<Markup, Failed> {
    let words = who.words;
    if !shared.app.can_back_up() {
        return Ok(html! { p.hint { (words.say("settings-backup-elsewhere")) } });
    }
    let last = shared.app.last_backup().await?;
    Ok(html! {
        p { @match last { Some(at) => (rich(words, "settings-backup-last", [("at", moment(at))])), None => (words.say("settings-backup-none")) } }
        (button(who, "/settings/backup", &words.say("settings-backup-now"), &[], ""))
        p.hint { (words.say("settings-backup-hint")) }
    })
}

pub(super) async fn back_up(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = &posted.who;
    match shared.app.back_up(&who.user).await {
        Ok(file) => {
            let done = who.words.with("settings-backup-made", [("file", file.display().to_string().into())]);
            shown(&shared, who, Said { done: Some(&done), ..Said::NOTHING }).await
        }
        Err(error) => {
            let Some(why) = error.refusal(who.words) else { return Err(error.into()) };
            shown(&shared, who, Said { wrong: Some(why), ..Said::NOTHING }).await
        }
    }
}

fn limits(shared: &Shared, words: Words) -> Markup {
    let limits = shared.app.limits();
    let told = |most: Option<u64>| match most {
        Some(most) => words.with("settings-limit", [("count", most.into())]),
        None => words.say("settings-no-limit").into_owned(),
    };
    html! {
        dl {
            dt { (words.say("settings-limit-plans")) } dd { (told(limits.unreviewed_plans)) }
            dt { (words.say("settings-limit-calls")) } dd { (told(limits.calls_per_day)) }
            dt { (words.say("settings-limit-tokens")) } dd { (told(limits.tokens_per_day)) }
            dt { (words.say("settings-limit-rows")) } dd { (told(limits.rows)) }
            dt { (words.say("settings-limit-bytes")) } dd { @match limits.bytes { Some(most) => (words.with("settings-limit-size", [("size", bytes(words.language(), most).into())])), None => (words.say("settings-no-limit")) } }
            dt { (words.say("settings-server-zone")) } dd { (shared.app.zone().iana_name().unwrap_or("UTC")) }
        }
        p.hint { (words.say("settings-limits-hint")) }
    }
}

/// The fields of a form that names somebody.
pub(super) fn person_of(fields: &FormFields) -> crate::domain::ids::UserId {
    fields.text("person").into()
}
