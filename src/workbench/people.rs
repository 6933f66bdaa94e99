//! People: who uses the server, invitations by link, roles, and the removal of somebody with everything.

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, button, csrf, moment, page, refused, rich, shorter, to};
use super::session::{Posted, SignedIn};
use super::settings::person_of;
use crate::app::{AppError, PeopleRefusal};
use crate::domain::ids::UserId;
use crate::domain::person::PersonRole;
use crate::store::Person;
use crate::text::catalog::{Words, text_id};

pub(super) async fn list(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let body = body(&shared, &who, None, None).await?;
    Ok(page(&who, &who.words.say("settings-people"), &body))
}

async fn body(shared: &Shared, who: &SignedIn, wrong: Option<&str>, link: Option<&str>) -> Result<Markup, Failed> {
    let words = who.words;
    let people = shared.app.people(&who.user).await?;
    let strangers = shared.app.strangers(&who.user).await?;
    let admins = people.iter().filter(|person| person.role == PersonRole::Admin).count();
    let removals = shared.app.removals(&who.user).await?;
    let has_links = shared.app.users().public_keys().is_some();
    Ok(html! {
        p { a href="/settings" { (words.say("settings-back")) } }
        h1 { (words.say("settings-people")) }
        @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus dir="auto" { (shorter(wrong, 300)) } }
        @if let Some(link) = link {
            div.health.good role="status" {
                p { label for="link" { (words.say("settings-invite-link")) } }
                textarea #link readonly autofocus rows="4" spellcheck="false" { "\n" (link) }
                p.hint { (words.say("settings-invite-once")) }
            }
        }
        @if has_links { section {
            h2 { (words.say("settings-invite")) }
            form.stack method="post" action="/settings/people" {
                (csrf(who))
                label for="person" { (words.say("settings-invite-name")) }
                input #person name="person" required maxlength="200" autocomplete="off" dir="auto";
                label for="role" { (words.say("settings-role")) }
                select #role name="role" { option value="member" { (words.say("settings-member")) } option value="admin" { (words.say("settings-admin")) } }
                p.hint { (words.say("settings-role-hint")) }
                button.primary { (words.say("settings-invite-make")) }
            }
        } }
        @for name in &removals { p.hint role="status" { (rich(words, "settings-removing", [("person", html! { bdi { (shorter(name, 80)) } })])) } }
        ul.plain {
            @for person in &people { li { (entry(who, person, admins == 1)) } }
            @for name in &strangers { li { (stranger(words, name)) } }
        }
    })
}

/// Somebody who has data here and is no person of this server.
fn stranger(words: Words, name: &str) -> Markup {
    html! {
        div.head {
            div { b { bdi { (shorter(name, 80)) } } p.hint { (words.say("settings-stranger")) } }
            div.actions { (remove_button(words, name)) }
        }
    }
}

fn remove_button(words: Words, name: &str) -> Markup {
    html! {
        form action="/settings/people/remove" {
            input type="hidden" name="person" value=(name);
            button { (words.say("settings-remove")) }
        }
    }
}

/// Somebody who uses this server; the only administrator stays one.
fn entry(who: &SignedIn, person: &Person, is_one_admin: bool) -> Markup {
    let words = who.words;
    let (name, is_admin) = (person.user.as_str(), person.role == PersonRole::Admin);
    let is_last_admin = is_admin && is_one_admin;
    let post = |place: &str, label: &str, more: &[(&str, &str)]| {
        let fields: Vec<(&str, &str)> = [("person", name)].into_iter().chain(more.iter().copied()).collect();
        button(who, place, label, &fields, "")
    };
    let other = if is_admin { PersonRole::Member } else { PersonRole::Admin };
    let label = if is_admin { words.say("settings-make-member") } else { words.say("settings-make-admin") };
    html! {
        div.head {
            div {
                b { bdi { (shorter(name, 80)) } } " "
                span.badge { @if is_admin { (words.say("settings-admin")) } @else { (words.say("settings-member")) } }
                p.hint { @match person.joined_at {
                    Some(at) => (rich(words, "settings-joined", [("at", moment(at))])),
                    None => (rich(words, "settings-invited", [("at", moment(person.added_at))])),
                } }
            }
            div.actions {
                @if is_last_admin { span.hint { (words.say("settings-only-admin")) } }
                @else { (post("/settings/people/role", &label, &[("role", other.as_str())])) }
                @if person.joined_at.is_none() {
                    (post("/settings/people/link", &words.say("settings-invite-again"), &[]))
                    (post("/settings/people/uninvite", &words.say("settings-uninvite"), &[]))
                } @else if person.user != who.user {
                    (post("/settings/people/sign-out", &words.say("settings-sign-out"), &[]))
                }
                @if person.joined_at.is_some() && !is_last_admin { (remove_button(words, name)) }
            }
        }
    }
}

/// The address under which this server was asked, for links to it.
fn whole(shared: &Shared, headers: &HeaderMap, path: &str) -> String {
    if let Some(url) = &shared.public_url {
        return format!("{}{path}", url.trim_end_matches('/'));
    }
    let scheme = if headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https") { "https" } else { "http" };
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}{path}")
}

fn role(text: &str) -> Result<PersonRole, Failed> {
    PersonRole::parse(text).ok_or_else(|| Failed::Form(text_id("common-form-old-why")))
}

pub(super) async fn invite(State(shared): State<Shared>, headers: HeaderMap, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    let outcome = shared.app.invite(&who.user, &fields.text("person"), role(&fields.text("role"))?).await;
    linked(&shared, who, &headers, outcome).await
}

pub(super) async fn link(State(shared): State<Shared>, headers: HeaderMap, posted: Posted) -> Result<Response, Failed> {
    let outcome = shared.app.invite_again(&posted.who.user, &person_of(&posted.fields)).await;
    linked(&shared, &posted.who, &headers, outcome).await
}

async fn linked(shared: &Shared, who: &SignedIn, headers: &HeaderMap, outcome: Result<String, AppError>) -> Result<Response, Failed> {
    let title = who.words.say("settings-people");
    let wrong = match outcome {
        Ok(path) => {
            let link = whole(shared, headers, &path);
            return Ok(page(who, &title, &body(shared, who, None, Some(&link)).await?));
        }
        Err(error) => match error.refusal(who.words) {
            Some(why) => why,
            None => return Err(error.into()),
        },
    };
    Ok(refused(who, &title, &body(shared, who, Some(&wrong), None).await?))
}

pub(super) async fn set_role(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    match shared.app.set_role(&who.user, &person_of(fields), role(&fields.text("role"))?).await {
        Ok(()) => Ok(to("/settings/people")),
        Err(AppError::People(PeopleRefusal::LastAdmin)) => {
            let wrong = who.words.say("settings-last-admin");
            Ok(refused(who, &who.words.say("settings-people"), &body(&shared, who, Some(&wrong), None).await?))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct WhichPerson {
    #[serde(default)]
    person: String,
}

/// Asks whether somebody is to be removed: whoever wants it types their id.
pub(super) async fn ask(State(shared): State<Shared>, who: SignedIn, Query(which): Query<WhichPerson>) -> Result<Response, Failed> {
    let person = UserId::from(which.person.as_str());
    if !shared.app.is_somebody(&who.user, &person).await? {
        return Err(Failed::NotFound);
    }
    Ok(page(&who, &who.words.say("settings-remove-title"), &sure(&who, &person, None)))
}

fn sure(who: &SignedIn, person: &UserId, wrong: Option<&str>) -> Markup {
    let words = who.words;
    let name = html! { bdi { (shorter(person, 80)) } };
    html! {
        p { a href="/settings/people" { (words.say("settings-people-back")) } }
        h1 { (words.say("settings-remove-title")) }
        @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
        p { (rich(words, "settings-remove-what", [("person", name.clone())])) }
        ul {
            li { (words.say("settings-remove-gone")) }
            li { (words.say("settings-remove-out")) }
            li { (words.say("settings-remove-stays")) }
        }
        form.stack method="post" action="/settings/people/remove" {
            (csrf(who))
            input type="hidden" name="person" value=(person);
            label for="typed" { (rich(words, "settings-remove-type", [("person", name)])) }
            input #typed name="typed" required maxlength="300" autocomplete="off" autocapitalize="none" spellcheck="false" dir="auto";
            div.actions { button.danger { (words.say("settings-remove-sure")) } a.button href="/settings/people" { (words.say("common-cancel")) } }
        }
    }
}

pub(super) async fn remove(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    let person = person_of(fields);
    let wrong = match shared.app.remove_person(&who.user, &person, &fields.text("typed")).await {
        Ok(()) => return Ok(to(if person == who.user { "/" } else { "/settings/people" })),
        Err(AppError::People(PeopleRefusal::Unconfirmed)) => who.words.say("settings-remove-mistyped"),
        Err(AppError::People(PeopleRefusal::LastAdmin)) => who.words.say("settings-last-admin"),
        Err(error) => return Err(error.into()),
    };
    Ok(refused(who, &who.words.say("settings-remove-title"), &sure(who, &person, Some(&wrong))))
}

pub(super) async fn uninvite(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    shared.app.uninvite(&posted.who.user, &person_of(&posted.fields)).await?;
    Ok(to("/settings/people"))
}

pub(super) async fn sign_out(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    shared.app.sign_out_everywhere(&posted.who.user, &person_of(&posted.fields)).await?;
    Ok(to("/settings/people"))
}
