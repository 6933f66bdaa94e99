//! From a mission to a plan: writes the prompt, asks the model, reads the answer (DESIGN, section 7).
//!
//! This room must not know the store, when missions run, or what becomes of a plan.

pub mod answer;
pub mod prompt;
pub mod provider;
pub mod tools;

use std::time::{Duration, Instant};

use crate::domain::iteration::{ErrorDetails, Plan, Usage};
use crate::domain::policy::Policy;
use prompt::Material;
use provider::{Kind, Provider, ProviderError, Settings};
use tools::{Catalog, Offered};

/// Makes plans with one model server and one tool catalog.
pub struct Planner {
    provider: Provider,
    catalog: Catalog,
    prompt_version: String,
}

/// What a request for a plan came to.
#[derive(Debug)]
pub struct Planned {
    pub outcome: Result<Plan, PlanError>,
    pub usage: Usage,
    /// The model that answered, or was asked.
    pub model: String,
    /// How long the requests took together.
    pub latency: Duration,
    /// Requests that were made.
    pub rounds: u32,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    #[error("{0}")]
    Provider(#[from] ProviderError),
    #[error("the model's answer is not a plan: {0}")]
    Parse(#[from] answer::NoPlan),
}

impl PlanError {
    /// As the failed iteration tells it.
    pub fn details(&self) -> ErrorDetails {
        let (name, phase) = match self {
            PlanError::Provider(error) => (format!("Provider:{}", error.kind.as_str()), "planner"),
            PlanError::Parse(_) => ("ParseFailure".into(), "parse"),
        };
        ErrorDetails { name, message: self.to_string(), phase: phase.into() }
    }

    /// The provider's failure, where it was one.
    pub fn provider_kind(&self) -> Option<Kind> {
        match self {
            PlanError::Provider(error) => Some(error.kind),
            PlanError::Parse(_) => None,
        }
    }
}

impl Planner {
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn new(settings: Settings, catalog: Catalog) -> Result<Self, reqwest::Error> {
        Ok(Planner { provider: Provider::new(settings)?, catalog, prompt_version: prompt::version() })
    }

    /// The tools that a policy does not deny.
    pub fn offered(&self, policy: &Policy) -> Vec<Offered<'_>> {
        self.catalog.offered(policy)
    }

    pub fn prompt_version(&self) -> &str {
        &self.prompt_version
    }

    /// The provider's name in metrics.
    pub fn provider_name(&self) -> String {
        self.provider.name()
    }

    /// Asks the model for a plan.
    pub async fn plan(&self, material: &Material<'_>) -> Planned {
        let started = Instant::now();
        let answer = self.provider.ask(&prompt::write(material)).await;
        let latency = started.elapsed();
        match answer {
            Err(error) => {
                let model = self.provider.model().to_owned();
                Planned { outcome: Err(error.into()), usage: Usage::default(), model, latency, rounds: 1 }
            }
            Ok(answer) => Planned {
                outcome: answer::read(&answer.text, material.offered).map_err(PlanError::from),
                usage: answer.usage,
                model: answer.model,
                latency,
                rounds: 1,
            },
        }
    }
}
