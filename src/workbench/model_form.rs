//! The form of the model: where it is, its key, and what it answers.

use maud::{Markup, html};
use zeroize::Zeroizing;

use super::Shared;
use super::fields::FormFields;
use super::page::{Failed, csrf, rich, shorter};
use super::session::SignedIn;
use super::told::failure;
use super::values::seconds;
use crate::app::{AppError, FixedParts, ModelView, ModelWish};
use crate::planner::provider::ModelSample;
use crate::text::catalog::Words;

/// What came of a button of the form.
pub(super) enum ModelAnswered {
    Nothing,
    Models(Vec<String>),
    Sample(ModelSample),
    Refused(String),
    /// The model or its server failed: the name of the failure, and what the program says.
    Failed(&'static str, String),
}

/// What the form says.
pub(super) fn wish(fields: &FormFields) -> ModelWish {
    ModelWish {
        address: fields.text("address"),
        model: fields.text("model"),
        key: Zeroizing::new(fields.text("key")),
        without_key: fields.has("without-key"),
        price: fields.has("price").then(|| fields.text("price")),
    }
}

/// Does what a button of the form asks for; `None`: the model was saved.
pub(super) async fn act(shared: &Shared, who: &SignedIn, fields: &FormFields) -> Result<Option<ModelAnswered>, Failed> {
    let wish = wish(fields);
    let outcome = match fields.text("act").as_str() {
        "list" => shared.app.models_of(&who.user, &wish).await.map(|models| Some(ModelAnswered::Models(models))),
        "test" => shared.app.try_model(&who.user, &wish).await.map(|sample| Some(ModelAnswered::Sample(sample))),
        _ => shared.app.set_model(&who.user, &wish).await.map(|()| None),
    };
    match outcome {
        Ok(answered) => Ok(answered),
        Err(AppError::Model { name, why }) => Ok(Some(ModelAnswered::Failed(name, why))),
        Err(error) => match error.refusal(who.words) {
            Some(why) => Ok(Some(ModelAnswered::Refused(why))),
            None => Err(error.into()),
        },
    }
}

/// The form, with what was typed and what came of it.
pub(super) fn form(
    shared: &Shared,
    who: &SignedIn,
    action: &str,
    save: &str,
    view: &ModelView,
    typed: Option<&ModelWish>,
    answered: &ModelAnswered,
) -> Markup {
    let prices = action == "/settings/model";
    let words = who.words;
    let FixedParts { address, key, model, price } = &view.fixed;
    let shown_address = typed.filter(|_| address.is_none()).map_or(view.address.as_str(), |wish| &wish.address);
    let shown_model = typed.filter(|_| model.is_none()).map_or(view.model.as_str(), |wish| &wish.model);
    let shown_price = typed.and_then(|wish| wish.price.clone()).filter(|_| price.is_none());
    let shown_price = shown_price.unwrap_or_else(|| view.price.as_ref().map(ToString::to_string).unwrap_or_default());
    let is_typed = typed.is_some_and(|wish| shared.app.is_key_typed(&who.user, wish));
    html! {
        form.stack method="post" action=(action) {
            (csrf(who))
            (answer(words, answered))
            label for="address" { (words.say("settings-address")) }
            input #address name="address" type="url" value=(shown_address) readonly[address.is_some()] required spellcheck="false" autocomplete="off" aria-describedby="address-hint";
            p #address-hint .hint { @match address { Some(place) => (fixed(words, place)), None => (words.say("settings-address-hint")) } }
            label for="key" { (words.say("settings-key")) }
            @match key {
                Some(place) => p.hint #key { (fixed(words, place)) },
                None => {
                    input #key name="key" type="password" autocomplete="off" spellcheck="false" aria-describedby="key-hint";
                    p #key-hint .hint { @if is_typed { (words.say("settings-key-typed")) } @else if view.has_key { (words.say("settings-key-kept")) } @else { (words.say("settings-key-hint")) } }
                    @if view.has_key { label.choice { input type="checkbox" name="without-key" value="yes"; span { (words.say("settings-key-remove")) } } }
                }
            }
            label for="model" { (words.say("settings-model-name")) }
            input #model name="model" value=(shown_model) list="models" readonly[model.is_some()] spellcheck="false" autocomplete="off" dir="auto" aria-describedby="model-hint";
            p #model-hint .hint { @match model { Some(place) => (fixed(words, place)), None => (words.say("settings-model-hint")) } }
            @if let ModelAnswered::Models(models) = answered { datalist #models { @for name in models { option value=(name) {} } } }
            @if prices {
                label for="price" { (words.say("settings-price")) }
                input #price name="price" value=(shown_price) readonly[price.is_some()] maxlength="30" autocomplete="off" placeholder=(words.say("settings-price-example")) aria-describedby="price-hint";
                p #price-hint .hint { @match price { Some(place) => (fixed(words, place)), None => (words.say("settings-price-hint")) } }
            }
            div.actions {
                // Once the model has answered, what comes next is to keep it.
                @let has_answered = matches!(answered, ModelAnswered::Sample(_));
                button.primary[!has_answered] name="act" value="test" { (words.say("settings-test")) }
                @if model.is_none() { button name="act" value="list" { (words.say("settings-list")) } }
                @if !(address.is_some() && key.is_some() && model.is_some() && (price.is_some() || !prices)) { button.primary[has_answered] name="act" value="save" { (save) } }
            }
        }
    }
}

/// What fixes a setting.
pub(super) fn fixed(words: Words, place: &str) -> Markup {
    match place {
        "environment" => html! { (words.say("settings-fixed-environment")) },
        "demo" => html! { (words.say("settings-fixed-demo")) },
        place => rich(words, "settings-fixed", [("place", html! { b dir="auto" { (shorter(place, 200)) } })]),
    }
}

fn answer(words: Words, answered: &ModelAnswered) -> Markup {
    html! {
        @match answered {
            ModelAnswered::Nothing => {}
            ModelAnswered::Refused(why) => p.wrong role="alert" tabindex="-1" autofocus dir="auto" { (shorter(why, 600)) },
            ModelAnswered::Failed(name, why) => div tabindex="-1" autofocus { (failure(words, name, why)) },
            ModelAnswered::Models(models) => div.health role="status" tabindex="-1" autofocus {
                p { (words.with("settings-models", [("count", models.len().into())])) }
                div.row { @for name in models.iter().take(30) { button type="button" data-fills="model" value=(name) { (shorter(name, 80)) } } }
            },
            ModelAnswered::Sample(sample) => div.health.good role="status" tabindex="-1" autofocus {
                p { (words.with("settings-answered", [("model", shorter(&sample.model, 80).into()), ("took", seconds(words.language(), sample.latency.as_secs_f64()).into())])) }
                p.prose dir="auto" { (sample.text) }
            },
        }
    }
}
