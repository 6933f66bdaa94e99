//! The model that plans are made with: what is in force, what can be had, and how it is changed while the program runs.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use zeroize::Zeroizing;

use super::{App, AppError, WrongValue};
use crate::domain::ids::UserId;
use crate::domain::price::Price;
use crate::durable::write_over;
use crate::planner::provider::{ModelSample, Provider, ProviderError, ProviderSettings};

/// Models that are listed.
const LISTED: usize = 200;
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(60);
/// How long a key that was typed for a trial is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(15);
/// Characters of an address, a key or a name.
const LONGEST: usize = 2_000;

/// The model server in force and the file that keeps it.
pub struct ModelKeeper {
    settings: Mutex<ProviderSettings>,
    /// Of its tokens.
    price: Mutex<Option<Price>>,
    fixed: FixedParts,
    file: PathBuf,
    /// The last key that somebody typed for a trial, so that nobody has to type it again to keep it.
    typed: Mutex<Option<TypedKey>>,
}

/// A key that was typed: by whom, when, and for which server.
struct TypedKey {
    who: UserId,
    at: Timestamp,
    origin: String,
    key: Zeroizing<String>,
}

/// Which parts are given from outside, and where; those cannot be changed here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedParts {
    pub address: Option<String>,
    pub key: Option<String>,
    pub model: Option<String>,
    pub price: Option<String>,
}

/// The model as its administrator sees it; a key is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelView {
    pub address: String,
    pub model: String,
    pub has_key: bool,
    pub price: Option<Price>,
    /// Whether somebody said which model is meant.
    pub is_chosen: bool,
    pub fixed: FixedParts,
}

/// What somebody wants the model to be. What is fixed does not count.
#[derive(Default)]
pub struct ModelWish {
    pub address: String,
    pub model: String,
    /// Empty: the one that is kept, if the server stays the same.
    pub key: Zeroizing<String>,
    pub without_key: bool,
    /// `None`: it stays.
    pub price: Option<String>,
}

impl ModelKeeper {
    /// `file` is where changes are kept.
    pub fn new(settings: ProviderSettings, price: Option<Price>, fixed: FixedParts, file: PathBuf) -> Self {
        ModelKeeper { settings: Mutex::new(settings), price: Mutex::new(price), fixed, file, typed: Mutex::default() }
    }

    fn is_chosen(&self) -> bool {
        self.fixed.address.is_some() || self.fixed.model.is_some() || self.file.exists()
    }

    fn settings(&self) -> ProviderSettings {
        locked(&self.settings).clone()
    }

    /// Remembers a key that was typed for a trial.
    fn remember(&self, who: &UserId, wish: &ModelWish, settings: &ProviderSettings, at: Timestamp) {
        let key = Zeroizing::new(wish.key.trim().to_owned());
        if !key.is_empty() {
            let origin = settings.url.origin().ascii_serialization();
            *locked(&self.typed) = Some(TypedKey { who: who.clone(), at, origin, key });
        }
    }

    /// The key that somebody typed for a server a moment ago.
    fn typed_for(&self, who: &UserId, url: &reqwest::Url, now: Timestamp) -> Option<Zeroizing<String>> {
        let typed = locked(&self.typed);
        let typed = typed.as_ref().filter(|typed| typed.who == *who && typed.origin == url.origin().ascii_serialization())?;
        (now.duration_since(typed.at).abs() < REMEMBERED).then(|| typed.key.clone())
    }

    /// The settings that a wish leads to.
    fn wished(&self, who: &UserId, wish: &ModelWish, now: Timestamp) -> Result<ProviderSettings, AppError> {
        let wrong = |wrong: WrongValue| Err(AppError::Wrong(wrong));
        let mut settings = self.settings();
        if [&wish.address, &wish.model, &*wish.key].iter().any(|text| text.chars().count() > LONGEST) {
            return wrong(WrongValue::TooLong);
        }
        if self.fixed.address.is_none() {
            let url = wish.address.trim().parse::<reqwest::Url>().ok();
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let Some(url) = url else { return wrong(WrongValue::Address) };
            if !url.username().is_empty() || url.password().is_some() {
                return wrong(WrongValue::AddressPassword);
            }
            // Secrets belong to the server that they were given for.
            if url.origin() != settings.url.origin() {
                if self.fixed.key.is_some() || !settings.headers.is_empty() {
                    return wrong(WrongValue::KeyOfAnother);
                }
                settings.api_key = None;
            }
            settings.url = url;
        }
        if self.fixed.model.is_none() {
            settings.model = wish.model.trim().to_owned();
        }
        if self.fixed.key.is_none() {
            let key = wish.key.trim();
            if key.chars().any(|letter| !letter.is_ascii_graphic()) {
                return wrong(WrongValue::Key);
            }
            if wish.without_key {
                settings.api_key = None;
            } else if !key.is_empty() {
                settings.api_key = Some(key.to_owned());
            } else if let Some(typed) = self.typed_for(who, &settings.url, now) {
                settings.api_key = Some((*typed).clone());
            }
        }
        Ok(settings)
    }

    /// The price that a wish leads to.
    fn wished_price(&self, wish: &ModelWish) -> Result<Option<Price>, AppError> {
        match &wish.price {
            Some(text) if self.fixed.price.is_none() => Price::parse(text).ok_or_else(|| WrongValue::Price.into()),
            _ => Ok(locked(&self.price).clone()),
        }
    }

    /// What is kept, as the file has it.
    fn text(&self, settings: &ProviderSettings, price: Option<&Price>) -> Zeroizing<String> {
        let mut table = toml::Table::new();
        let mut add = |key: &str, fixed: &Option<String>, value: Option<&str>| {
            if let Some(value) = value.filter(|_| fixed.is_none()) {
                table.insert(key.to_owned(), value.to_owned().into());
            }
        };
        add("llm_url", &self.fixed.address, Some(settings.url.as_str()));
        add("llm_model", &self.fixed.model, Some(&settings.model));
        add("llm_api_key", &self.fixed.key, settings.api_key.as_deref());
        add("llm_price_per_million_tokens", &self.fixed.price, price.map(Price::to_string).as_deref());
        Zeroizing::new(table.to_string())
    }
}

impl App {
    /// The model in force.
    pub fn model(&self) -> ModelView {
        let settings = self.model.settings();
        let mut address = settings.url.clone();
        // An address that was given from outside may have secrets.
        if address.query().is_some() {
            address.set_query(Some("********"));
        }
        if !address.username().is_empty() || address.password().is_some() {
            // Neither fails for an address with a host.
            let _ = address.set_username("********");
            let _ = address.set_password(None);
        }
        ModelView {
            address: address.to_string(),
            model: settings.model,
            has_key: settings.api_key.is_some(),
            price: self.token_price(),
            is_chosen: self.model.is_chosen(),
            fixed: self.model.fixed.clone(),
        }
    }

    /// What a million tokens cost; `None`: nobody said so.
    pub fn token_price(&self) -> Option<Price> {
        locked(&self.model.price).clone()
    }

    /// The models that a server lists.
    ///
    /// # Errors
    /// Where an administrator is needed, what is wrong with the wish, or what the server says.
    pub async fn models_of(&self, who: &UserId, wish: &ModelWish) -> Result<Vec<String>, AppError> {
        let settings = self.trial(who, wish).await?;
        let mut models = provider(settings)?.models().await.map_err(failed)?;
        models.truncate(LISTED);
        models.sort();
        Ok(models)
    }

    /// A first answer of a model; nothing is kept.
    ///
    /// # Errors
    /// Where an administrator is needed, what is wrong with the wish, or what the server says.
    pub async fn try_model(&self, who: &UserId, wish: &ModelWish) -> Result<ModelSample, AppError> {
        let settings = named(self.trial(who, wish).await?)?;
        provider(settings)?.sample().await.map_err(failed)
    }

    /// Plans with another model from now on, also after a restart.
    ///
    /// # Errors
    /// Where an administrator is needed, what is wrong with the wish, or that it cannot be kept.
    pub async fn set_model(&self, who: &UserId, wish: &ModelWish) -> Result<(), AppError> {
        self.as_admin(who).await?;
        let settings = named(self.model.wished(who, wish, self.now())?)?;
        let price = self.model.wished_price(wish)?;
        let (text, file) = (self.model.text(&settings, price.as_ref()), self.model.file.clone());
        let kept = tokio::task::spawn_blocking(move || write_over(&file, &text, 0o600)).await;
        let failed = |reason: String| AppError::Wrong(WrongValue::NotSaved(reason));
        kept.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        self.runner.use_provider(settings.clone()).await.map_err(|error| failed(error.to_string()))?;
        *locked(&self.model.settings) = settings;
        *locked(&self.model.price) = price;
        *locked(&self.model.typed) = None;
        Ok(())
    }

    /// Whether an administrator typed a key for the server of a wish a moment ago.
    pub fn is_key_typed(&self, who: &UserId, wish: &ModelWish) -> bool {
        let url = wish.address.trim().parse::<reqwest::Url>();
        url.is_ok_and(|url| self.model.typed_for(who, &url, self.now()).is_some())
    }

    /// The settings of a trial, which takes no longer than a page can wait.
    async fn trial(&self, who: &UserId, wish: &ModelWish) -> Result<ProviderSettings, AppError> {
        self.as_admin(who).await?;
        let settings = self.model.wished(who, wish, self.now())?;
        self.model.remember(who, wish, &settings, self.now());
        Ok(ProviderSettings { timeout: settings.timeout.min(TRIAL), ..settings })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn named(settings: ProviderSettings) -> Result<ProviderSettings, AppError> {
    match settings.model.is_empty() {
        true => Err(WrongValue::NoModel.into()),
        false => Ok(settings),
    }
}

fn failed(error: ProviderError) -> AppError {
    AppError::Model { name: error.kind.as_str(), why: error.message }
}

fn provider(settings: ProviderSettings) -> Result<Provider, AppError> {
    Provider::new(settings).map_err(|error| AppError::Parameter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::planner::dialect::Dialect;

    fn keeper(fixed: FixedParts) -> ModelKeeper {
        let settings = ProviderSettings {
            url: "http://127.0.0.1:1".parse().unwrap(),
            api_key: Some("old-key".into()),
            model: "old".into(),
            timeout: Duration::from_secs(1),
            dialect: Dialect::Auto,
            headers: Default::default(),
        };
        ModelKeeper::new(settings, Price::parse("0.60 EUR").unwrap(), fixed, "unused".into())
    }

    fn wish(address: &str, key: &str) -> ModelWish {
        ModelWish { address: address.into(), model: "new".into(), key: Zeroizing::new(key.into()), without_key: false, price: None }
    }

    fn wished(keeper: &ModelKeeper, address: &str, key: &str) -> Result<ProviderSettings, AppError> {
        keeper.wished(&"anna".into(), &wish(address, key), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_typed_key_is_remembered_for_its_user_its_server_and_a_while() {
        let keeper = keeper(FixedParts::default());
        let tried = wished(&keeper, "http://h:7", "typed-key").unwrap();
        keeper.remember(&"anna".into(), &wish("http://h:7", "typed-key"), &tried, Timestamp::UNIX_EPOCH);
        let key = |who: &str, address: &str, minutes: i64| {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
            keeper.wished(&who.into(), &wish(address, ""), now).unwrap().api_key
        };
        assert_eq!(key("anna", "http://h:7/v1", 1), Some("typed-key".into()));
        for (who, address, minutes) in
            [("ben", "http://h:7", 1), ("anna", "http://h:8", 1), ("anna", "http://evil", 1), ("anna", "http://h:7", 16)]
        {
            assert_eq!(key(who, address, minutes), None, "{who} {address} {minutes}");
        }
    }

    #[test]
    fn a_key_that_is_kept_goes_to_no_other_server() {
        let keeper = keeper(FixedParts::default());
        let key = |address: &str, given: &str| wished(&keeper, address, given).unwrap().api_key;
        assert_eq!(key("http://127.0.0.1:1/v1", ""), Some("old-key".into()));
        for other in ["http://127.0.0.1:2", "https://127.0.0.1:1", "http://evil.example"] {
            assert_eq!((key(other, ""), key(other, "new-key")), (None, Some("new-key".into())), "{other}");
        }
    }

    #[test]
    fn secrets_from_outside_go_to_no_other_server() {
        let key = keeper(FixedParts { key: Some("environment".into()), ..FixedParts::default() });
        let headers = keeper(FixedParts::default());
        locked(&headers.settings).headers.insert("x-secret", "s".parse().unwrap());
        for keeper in [key, headers] {
            assert!(wished(&keeper, "http://evil.example", "").is_err());
            assert_eq!(wished(&keeper, "http://127.0.0.1:1/v1", "").unwrap().api_key, Some("old-key".into()));
        }
    }

    #[test]
    fn what_is_given_from_outside_stays() {
        let given = || Some("environment".to_owned());
        let keeper = keeper(FixedParts { address: given(), key: given(), model: given(), price: given() });
        let settings = wished(&keeper, "http://evil.example", "x").unwrap();
        assert_eq!(
            (settings.url.as_str(), settings.api_key.as_deref(), settings.model.as_str()),
            ("http://127.0.0.1:1/", Some("old-key"), "old")
        );
        assert_eq!(*keeper.text(&settings, keeper.wished_price(&wish("", "")).unwrap().as_ref()), "");
    }

    #[test]
    fn what_is_no_address_or_key_is_refused() {
        let keeper = keeper(FixedParts::default());
        for (address, key) in
            [("", ""), ("file:///etc/passwd", ""), ("ftp://h", ""), ("http://u:p@h", ""), ("http://h", "a b"), ("http://h", "a\nb")]
        {
            assert!(wished(&keeper, address, key).is_err(), "{address:?} {key:?}");
        }
        assert!(wished(&keeper, &format!("http://h/{}", "x".repeat(3_000)), "").is_err());
        let price = keeper.wished_price(&ModelWish { price: Some("1,5".into()), ..wish("", "") }).unwrap();
        let text = keeper.text(&wished(&keeper, "http://h:7", "k\"ey").unwrap(), price.as_ref());
        let table: toml::Table = text.parse().unwrap();
        assert_eq!((table["llm_url"].as_str(), table["llm_api_key"].as_str()), (Some("http://h:7/"), Some("k\"ey")));
        assert_eq!(table["llm_price_per_million_tokens"].as_str(), Some("1.50"));
        assert!(keeper.wished_price(&ModelWish { price: Some("cheap".into()), ..wish("", "") }).is_err());
    }
}
