//! The names of the fields that this program reads and writes in records (docs/records.md). Only this room spells them.

/// Of every record.
pub const ID: &str = "id";
pub const SPACE_ID: &str = "spaceId";
pub const AUTHOR_ID: &str = "authorId";
pub const VISIBILITY: &str = "visibility";
pub const CREATED_AT: &str = "createdAt";
pub const UPDATED_AT: &str = "updatedAt";
/// Makes a tombstone of a record.
pub const DELETED_AT: &str = "deletedAt";

/// Of agents and missions.
pub const STATE: &str = "state";

/// Of missions.
pub const TITLE: &str = "title";
pub const OBJECTIVE: &str = "objective";
pub const CONCEPT: &str = "conceptMarkdown";
pub const AGENT_ID: &str = "agentId";
pub const INPUTS: &str = "inputs";
pub const CADENCE: &str = "cadence";
pub const NEXT_RUN_AT: &str = "nextRunAt";
pub const ITERATIONS: &str = "iterations";
pub const GRANT: &str = "grant";

/// Of agents.
pub const NAME: &str = "name";
pub const AVATAR: &str = "avatar";
pub const ROLE: &str = "role";
pub const SYSTEM_PROMPT: &str = "systemPrompt";
pub const MEMORY: &str = "memory";
pub const POLICY: &str = "policy";
pub const MAX_CONCURRENT_MISSIONS: &str = "maxConcurrentMissions";
pub const MAX_TOKENS_PER_DAY: &str = "maxTokensPerDay";
