//! From a mission to a plan: writes the prompt, asks the model, reads the answer (docs/design.md, section 7).
//!
//! This room must not know the store, when missions run, or what becomes of a plan.

pub mod answer;
pub mod check;
pub mod dialect;
mod endpoint;
mod fence;
mod guard;
pub mod prompt;
pub mod provider;
mod refusal;
mod response;
mod text_calls;
mod thoughts;
pub mod tools;
mod usage;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::domain::iteration::{ErrorDetails, Plan, Usage};
use crate::domain::policy::Policy;
use crate::domain::round::{Round, RoundAnswer};
use crate::text;
use crate::text::catalog::Words;
use crate::text::told::Told;
use crate::web::ClientError;
use dialect::RequestForm;
use prompt::{Material, Prompt};
use provider::{Message, ModelAnswer, Provider, ProviderError, ProviderErrorKind, ProviderSettings};
use refusal::RequestPart;
use tools::{Catalog, Offered, Tool};

/// What a run says whose tokens the model server did not count.
const ESTIMATED: &str = "the model server told no usable token counts; they were estimated from the sizes sent and received";

/// Makes plans with one model server and one tool catalog.
pub struct Planner {
    /// May be replaced while plans are made; each plan is made with one.
    provider: RwLock<Arc<Provider>>,
    catalog: Catalog,
    prompt_version: OnceLock<String>,
    /// Tokens that the model reads and writes at most.
    context_tokens: u64,
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
    /// The questions that the model was asked: one, or two where the first answer had to be corrected.
    pub rounds: Vec<Round>,
    /// What the user should know about the plan.
    pub notes: Vec<Told>,
    /// The one of the notes that tells that the server read less than it was sent.
    pub read_less: Option<PromptCut>,
    /// Texts in the prompt that read like orders to the model.
    pub suspected_injections: usize,
    /// Characters of the prompt.
    pub prompt_chars: u64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    #[error("{0}")]
    Provider(#[from] ProviderError),
    #[error("the model's answer is not a plan that can be used, also after it was asked to correct it: {}", .0.join("; "))]
    Parse(Vec<String>),
}

impl Planned {
    /// How often the model was asked.
    pub fn calls(&self) -> u32 {
        u32::try_from(self.rounds.len()).unwrap_or(u32::MAX)
    }
}

impl PlanError {
    /// As the failed iteration tells it.
    pub fn details(&self) -> ErrorDetails {
        let (name, phase) = match self {
            PlanError::Provider(error) => (format!("Provider:{}", error.kind.as_str()), "calling-llm"),
            PlanError::Parse(_) => ("ParseFailure".into(), "parsing-response"),
        };
        ErrorDetails { name, message: self.to_string(), phase: phase.into() }
    }

    /// The same as it is stored with a run.
    pub fn told(&self) -> Told {
        match text::run::failure(&self.details().name) {
            Some(id) => Told::in_short(self.to_string(), id),
            None => self.to_string().into(),
        }
    }

    /// The provider's failure, where it was one.
    pub fn provider_kind(&self) -> Option<ProviderErrorKind> {
        match self {
            PlanError::Provider(error) if error.kind != ProviderErrorKind::Machine => Some(error.kind),
            PlanError::Provider(_) | PlanError::Parse(_) => None,
        }
    }

    /// What this machine could not do, where the model was not even asked.
    pub fn of_machine(&self) -> Option<&str> {
        match self {
            PlanError::Provider(error) if error.kind == ProviderErrorKind::Machine => Some(&error.message),
            PlanError::Provider(_) | PlanError::Parse(_) => None,
        }
    }
}

impl Planner {
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn new(settings: ProviderSettings, catalog: Catalog, context_tokens: u64) -> Result<Self, ClientError> {
        let provider = RwLock::new(Arc::new(Provider::new(settings)?));
        Ok(Planner { provider, catalog, prompt_version: OnceLock::new(), context_tokens })
    }

    /// Makes the plans that begin from now on with another model server.
    ///
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn use_provider(&self, settings: ProviderSettings) -> Result<(), ClientError> {
        let provider = Arc::new(Provider::new(settings)?);
        *self.provider.write().unwrap_or_else(PoisonError::into_inner) = provider;
        Ok(())
    }

    fn provider(&self) -> Arc<Provider> {
        Arc::clone(&self.provider.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The form in which the next request goes out first.
    pub fn form(&self) -> RequestForm {
        self.provider().form()
    }

    /// The tools that a policy does not deny.
    pub fn offered(&self, policy: &Policy) -> Vec<Offered<'_>> {
        self.catalog.offered(policy)
    }

    /// All tools, whatever an agent's policy says.
    pub fn tools(&self) -> &[Tool] {
        self.catalog.tools()
    }

    pub fn prompt_version(&self) -> &str {
        self.prompt_version.get_or_init(prompt::version)
    }

    /// The model that is asked for.
    pub fn model(&self) -> String {
        self.provider().model().to_owned()
    }

    /// The provider's name in metrics.
    pub fn provider_name(&self) -> String {
        self.provider().name()
    }

    /// Asks the model for a plan. An answer that cannot be used goes back once, with what is wrong with it.
    pub async fn plan(&self, material: &Material<'_>) -> Planned {
        let started = Instant::now();
        let provider = self.provider();
        let prompt = self.prompt(material);
        let mut planned = Planned {
            outcome: Ok(Plan::default()),
            usage: Usage::default(),
            model: provider.model().to_owned(),
            latency: Duration::ZERO,
            rounds: Vec::new(),
            notes: Vec::new(),
            read_less: None,
            suspected_injections: 0,
            prompt_chars: prompt.chars(),
        };
        let cut = |text: String| Told::said(text, &Words::ENGLISH.phrase("runs-note-cut", [("n", prompt.cut.into())], []));
        match prompt.cut {
            0 => {}
            1 => planned.notes.push(cut("1 linked input did not fit into MANA_LLM_CONTEXT_TOKENS".into())),
            n => planned.notes.push(cut(format!("{n} linked inputs did not fit into MANA_LLM_CONTEXT_TOKENS"))),
        }
        let suspected = suspected_injections(material);
        planned.suspected_injections = suspected.len();
        if !suspected.is_empty() {
            let text = format!("reads like orders to the model, and was passed on as data: {}", suspected.join(", "));
            planned.notes.push(Told::said(text, &Words::ENGLISH.phrase("runs-note-orders", [("n", suspected.len().into())], [])));
        }
        planned.outcome = rounds(&provider, &prompt, material, &mut planned).await;
        planned.latency = started.elapsed();
        planned
    }

    /// The prompt for a mission.
    pub fn prompt(&self, material: &Material<'_>) -> Prompt {
        prompt::write(material, self.context_tokens)
    }
}

async fn rounds(provider: &Provider, prompt: &Prompt, material: &Material<'_>, planned: &mut Planned) -> Result<Plan, PlanError> {
    // In a small window, a short list of the tools leaves room for what the plan is about.
    let too_large = (!prompt.tools_fit && provider.may_answer_in_json()).then_some(RequestPart::Tools);
    let first = ask(provider, prompt, material, &[], too_large, planned).await?;
    let problems = match judge(&first, material, planned) {
        Verdict::Good(plan) => return Ok(plan),
        Verdict::Repeats(_, problems) => problems.iter().map(ToString::to_string).collect(),
        Verdict::Bad(problems) => problems,
    };
    let said = Message { role: "assistant", content: as_text(&first) };
    let asked = Message { role: "user", content: prompt::repair(&problems) };
    // A server that answers tools with words that are no plan may do better with JSON.
    let in_words = first.form == RequestForm::Tools && first.reply.calls.is_empty() && provider.may_answer_in_json();
    let in_words = in_words.then_some(RequestPart::Tools);
    let second = ask(provider, prompt, material, &[said, asked], in_words.or(too_large), planned).await?;
    match judge(&second, material, planned) {
        Verdict::Good(plan) => {
            in_words.into_iter().for_each(|part| provider.leave_out(part));
            Ok(plan)
        }
        Verdict::Repeats(plan, problems) => {
            let text = "steps that its user had rejected before were taken out of the plan";
            planned.notes.push(Told::said(text, &Words::ENGLISH.phrase("runs-note-repeats", [], [])));
            Ok(without(plan, &problems))
        }
        Verdict::Bad(problems) => Err(PlanError::Parse(problems)),
    }
}

async fn ask(
    provider: &Provider,
    prompt: &Prompt,
    material: &Material<'_>,
    more: &[Message],
    without: Option<RequestPart>,
    planned: &mut Planned,
) -> Result<ModelAnswer, ProviderError> {
    let messages = |form| {
        let system = Message { role: "system", content: prompt.system(form) };
        let user = Message { role: "user", content: prompt.user.clone() };
        [&[system, user], more].concat()
    };
    let started = Instant::now();
    let answer = provider.ask(messages, material.offered, without).await;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let is_first = planned.rounds.is_empty();
    planned.rounds.push(match &answer {
        Ok(ModelAnswer { form, usage, .. }) => Round {
            as_functions: *form == RequestForm::Tools,
            latency_ms,
            prompt_tokens: usage.prompt,
            completion_tokens: usage.completion,
            answer: None,
        },
        Err(_) => Round { as_functions: provider.form() == RequestForm::Tools, latency_ms, ..Round::default() },
    });
    let answer = answer?;
    if is_first && let Some(cut) = PromptCut::seen(answer.sent, answer.usage.prompt) {
        planned.notes.push(cut.told());
        planned.read_less = Some(cut);
    }
    planned.usage = planned.usage + answer.usage;
    if answer.estimated && !planned.notes.iter().any(|note| note.text == ESTIMATED) {
        planned.notes.push(Told::said(ESTIMATED, &Words::ENGLISH.phrase("runs-note-estimated", [], [])));
    }
    planned.model.clone_from(&answer.model);
    Ok(answer)
}

/// What of the prompt reads like orders to the model.
fn suspected_injections(material: &Material<'_>) -> Vec<String> {
    let memory = material.agent.and_then(|agent| agent.plain_memory()).filter(|memory| guard::looks_like_injection(memory));
    let inputs = material
        .inputs
        .inputs
        .iter()
        .filter(|input| guard::looks_like_injection(&input.title) || guard::looks_like_injection(&input.content));
    memory
        .map(|_| "the agent's memory".to_owned())
        .into_iter()
        .chain(inputs.map(|input| format!("{} {}", input.module, input.id)))
        .collect()
}

enum Verdict {
    Good(Plan),
    /// Sound but for steps that the user rejected before.
    Repeats(Plan, Vec<check::StepProblem>),
    Bad(Vec<String>),
}

/// Reads an answer and checks its plan. What came of it stands in the last round.
fn judge(answer: &ModelAnswer, material: &Material<'_>, planned: &mut Planned) -> Verdict {
    let read = answer::plan(&answer.reply, material.offered);
    let is_offered = |name: &&str| material.offered.iter().any(|offered| offered.tool.name == *name);
    let named: Vec<&str> = match &read {
        Ok(plan) => plan.steps.iter().map(|step| step.tool.as_str()).collect(),
        Err(_) => answer.reply.calls.iter().map(|call| call.tool.as_str()).collect(),
    };
    let tools = named.into_iter().map(|name| Some(name).filter(is_offered).map(str::to_owned)).collect();
    let (verdict, problems) = match read {
        Ok(plan) => {
            let problems = check::check(&plan, material.offered, &check::rejected(&material.mission.iterations));
            let told = problems.iter().map(check::StepProblem::told).collect();
            let verdict = match problems.iter().all(check::StepProblem::repeats) {
                true if problems.is_empty() => Verdict::Good(plan),
                true => Verdict::Repeats(plan, problems),
                false => Verdict::Bad(problems.iter().map(ToString::to_string).collect()),
            };
            (verdict, told)
        }
        Err(no_plan) => {
            let told = no_plan.told();
            let words = match no_plan {
                answer::NoPlan::Steps(problems) => problems.iter().map(ToString::to_string).collect(),
                no_plan => vec![no_plan.to_string()],
            };
            (Verdict::Bad(words), told)
        }
    };
    if let Some(round) = planned.rounds.last_mut() {
        round.answer = Some(RoundAnswer::new(answer.reply.text.chars().count(), tools, problems));
    }
    verdict
}

fn without(mut plan: Plan, problems: &[check::StepProblem]) -> Plan {
    let mut at = 0;
    plan.steps.retain(|_| {
        at += 1;
        !problems.iter().any(|problem| problem.at == at - 1)
    });
    plan
}

/// Bytes of a prompt that one token stands for at most, on average: more is a sign that not all of it was read.
const BYTES_A_TOKEN: u64 = 8;
/// Context windows that servers are set to, in tokens.
const WINDOWS: [u64; 6] = [2_048, 4_096, 8_192, 16_384, 32_768, 65_536];

/// A server read far less than was sent, which it does not say by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptCut {
    read_tokens: u64,
    sent_bytes: u64,
}

impl PromptCut {
    /// What its user can do.
    pub const ADVICE: &str = "give the model a larger context window (OLLAMA_CONTEXT_LENGTH, --ctx-size, --max-model-len), or set \
                              MANA_LLM_CONTEXT_TOKENS to the one that it has";

    fn seen(sent_bytes: usize, read_tokens: u64) -> Option<Self> {
        let sent_bytes = u64::try_from(sent_bytes).unwrap_or(u64::MAX);
        // The smallest window is larger than this; a smaller number is a mistake in counting.
        let is_told = read_tokens >= WINDOWS[0] / 2;
        let few = read_tokens.saturating_mul(BYTES_A_TOKEN) < sent_bytes;
        // A server that cuts fills its window to the last few tokens.
        let fills_a_window = WINDOWS.iter().any(|window| (window - window / 64..=*window).contains(&read_tokens));
        let cut = is_told && (few || (fills_a_window && read_tokens.saturating_mul(5) < sent_bytes));
        cut.then_some(PromptCut { read_tokens, sent_bytes })
    }

    fn told(self) -> Told {
        let (read, sent) = (self.read_tokens.into(), (self.sent_bytes / 4).into());
        Told::said(self.to_string(), &Words::ENGLISH.phrase("runs-note-read-less", [("read", read), ("sent", sent)], []))
    }

    /// What was seen.
    pub fn found(self) -> String {
        let PromptCut { read_tokens, sent_bytes } = self;
        format!("the model server read {read_tokens} tokens of a prompt of about {}, so it cut it", sent_bytes / 4)
    }
}

impl fmt::Display for PromptCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), Self::ADVICE)
    }
}

/// What the model said, in words that every server takes back as its own, and with no marker of another speaker.
fn as_text(answer: &ModelAnswer) -> String {
    let call = |call: &response::Call| format!("{} {}", call.tool, call.arguments);
    let calls: Vec<String> = answer.reply.calls.iter().map(call).collect();
    let said = thoughts::divide(&answer.reply.text).said;
    fence::own([said.as_str(), &calls.join("\n")].join("\n").trim(), 20_000)
}
