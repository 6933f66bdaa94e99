//! The kinds of records that missions link, as data: where each is kept, what its fields mean, which clients encrypt, and
//! which other records it points to (docs/records.md, sections 2 and 4 to 8).
//!
//! It describes; it reads nothing. How a record becomes a text is told by [`super::record_text`], and who may read it by
//! the grants.

/// One kind of record.
#[derive(Debug)]
pub struct RecordKind {
    /// The module as inputs name it; the first is the one that this program writes.
    pub modules: &'static [&'static str],
    pub app: &'static str,
    /// The table on the wire.
    pub table: &'static str,
    /// Other names of the table: of older clients, of the client's own database, or of inputs.
    pub aliases: &'static [&'static str],
    /// Characters of content that a prompt takes.
    pub limit: usize,
    pub fields: &'static [Field],
    /// Whether fields that are not described belong to the text too, in the words of the record.
    pub open: bool,
    /// Other records that belong to it.
    pub links: &'static [RecordLink],
}

/// What a field is for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the record is called.
    Title,
    /// What it says.
    Text,
    /// Something about it, shown as `label: value`.
    Fact,
}

/// How a value is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// As it is; lists and objects in one line.
    Plain,
    /// A flag that is worth a word only when it is set.
    Flag,
    /// Whether something was done: `open` or `completed`; a text stands for itself.
    Done,
    /// A list of `{title, isCompleted}`.
    Checklist,
    /// A number, its target and its period, out of the whole record.
    Progress,
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    pub role: Role,
    pub label: &'static str,
    /// Where it stands: the first of these that is filled in counts. A dot leads into an object.
    pub paths: &'static [&'static str],
    pub form: ValueForm,
    /// Whether existing clients may encrypt it.
    pub encrypted: bool,
}

/// Records that belong to a record, which names them.
#[derive(Debug)]
pub struct RecordLink {
    /// The field with the id, or with a list of ids.
    pub ids: &'static str,
    pub app: &'static str,
    pub table: &'static str,
    /// The facts that it adds.
    pub fields: &'static [Field],
    /// More than this many are not followed.
    pub most: usize,
}

impl RecordKind {
    /// The kind of record that an input means: of the module, the one whose table it names, else the module's first.
    pub fn find(module: &str, table: &str) -> Option<&'static RecordKind> {
        let mut of_module = KINDS.iter().filter(|kind| kind.modules.contains(&module));
        let first = of_module.clone().next();
        of_module.find(|kind| kind.table == table || kind.aliases.contains(&table)).or(first)
    }

    /// The tables in which a record is looked for, in this order: the one that the input names, then this kind's.
    pub fn tables(&self, named: &str) -> Vec<String> {
        let mut tables = vec![named.to_owned()];
        for table in [self.table].iter().chain(self.aliases) {
            if *table != named {
                tables.push((*table).to_owned());
            }
        }
        tables
    }

    /// The name of its module.
    pub fn module(&self) -> &'static str {
        self.modules.first().copied().unwrap_or_default()
    }

    /// Whether a text of this kind is made with a field of the record itself; no other field is ever decrypted.
    pub fn uses(&self, field: &str) -> bool {
        if self.open { !BOOKKEEPING.contains(&field) } else { uses(self.fields, field) }
    }
}

/// Whether any of `described` stands in a field of the record itself.
pub fn uses(described: &[Field], field: &str) -> bool {
    let root = |path: &&str| path.split('.').next() == Some(field);
    described.iter().any(|described| described.paths.iter().any(root))
}

/// Fields that say nothing about the user: every record has them.
pub const BOOKKEEPING: [&str; 10] =
    ["id", "userId", "spaceId", "authorId", "visibility", "interview", "createdAt", "updatedAt", "deletedAt", "transcriptModel"];

const fn field(role: Role, label: &'static str, paths: &'static [&'static str]) -> Field {
    Field { role, label, paths, form: ValueForm::Plain, encrypted: false }
}

const fn fact(label: &'static str, paths: &'static [&'static str]) -> Field {
    field(Role::Fact, label, paths)
}

const fn flag(label: &'static str, paths: &'static [&'static str]) -> Field {
    fact(label, paths).of(ValueForm::Flag)
}

impl Field {
    const fn of(mut self, form: ValueForm) -> Field {
        self.form = form;
        self
    }

    const fn sealed(mut self) -> Field {
        self.encrypted = true;
        self
    }
}

/// Clients of other makers use these names beside those of the existing one.
const TITLE: Field = field(Role::Title, "title", &["title", "name"]).sealed();
const CONTENT: Field = field(Role::Text, "content", &["content", "description", "notes", "body", "text"]).sealed();
const DESCRIPTION: Field = field(Role::Text, "description", &["description", "notes", "content", "body", "text"]).sealed();
const MOOD: Field = fact("mood", &["mood"]);
const LOCATION: Field = fact("location", &["location"]).sealed();
const PRIORITY: Field = fact("priority", &["priority"]);
const DUE: Field = fact("dueDate", &["dueDate"]);
const STATUS: Field = fact("status", &["status"]);
const TAGS: Field = fact("tags", &["tags"]).sealed();

/// The times of a time block.
const BLOCK_TIMES: &[Field] = &[
    fact("startTime", &["startDate"]),
    fact("endTime", &["endDate"]),
    flag("allDay", &["allDay"]),
    fact("timeZone", &["timezone"]),
    fact("repeats", &["recurrenceRule"]),
];

const fn kind(
    modules: &'static [&'static str],
    (app, table): (&'static str, &'static str),
    aliases: &'static [&'static str],
    limit: usize,
    fields: &'static [Field],
) -> RecordKind {
    RecordKind { modules, app, table, aliases, limit, fields, open: false, links: &[] }
}

/// To add a kind of record, add an entry. The first entry of a module is what an input means that names no table of it.
pub static KINDS: [RecordKind; 8] = [
    kind(
        &["goals"],
        ("companion", "companionGoals"),
        &["goals"],
        500,
        &[
            field(Role::Title, "title", &["title"]),
            Field {
                role: Role::Fact,
                label: "",
                paths: &["progress", "currentValue", "current", "target", "targetValue", "period", "comparison", "unit"],
                form: ValueForm::Progress,
                encrypted: false,
            },
            field(Role::Text, "description", &["description"]),
            STATUS,
            fact("counts", &["metric.eventType"]),
            fact("where", &["metric.filterValue"]),
            fact("sums", &["metric.sumField"]),
            fact("since", &["currentPeriodStart"]),
        ],
    ),
    kind(&["notes"], ("notes", "notes"), &[], 500, &[TITLE, CONTENT, STATUS, PRIORITY, DUE, LOCATION, MOOD, TAGS]),
    RecordKind {
        links: &[
            RecordLink { ids: "scheduledBlockId", app: "timeblocks", table: "timeBlocks", fields: BLOCK_TIMES, most: 1 },
            RecordLink {
                ids: "projectId",
                app: "todo",
                table: "projects",
                fields: &[fact("project", &["name", "title"]).sealed()],
                most: 1,
            },
            RecordLink { ids: "metadata.labelIds", app: "tags", table: "tags", fields: &[fact("label", &["name"]).sealed()], most: 10 },
        ],
        ..kind(
            &["tasks", "todo"],
            ("todo", "tasks"),
            &["todo"],
            500,
            &[
                TITLE,
                DESCRIPTION,
                fact("status", &["isCompleted", "status"]).of(ValueForm::Done),
                PRIORITY,
                DUE,
                fact("completedAt", &["completedAt"]),
                fact("estimatedSeconds", &["estimatedDuration"]),
                fact("subtasks", &["subtasks"]).of(ValueForm::Checklist).sealed(),
                LOCATION,
                MOOD,
            ],
        )
    },
    kind(&["tasks", "todo"], ("todo", "projects"), &["todoProjects"], 500, &[TITLE, DESCRIPTION, flag("isArchived", &["isArchived"])]),
    RecordKind {
        links: &[RecordLink { ids: "timeBlockId", app: "timeblocks", table: "timeBlocks", fields: BLOCK_TIMES, most: 1 }],
        ..kind(
            &["calendar"],
            ("calendar", "events"),
            &["calendar"],
            500,
            &[
                TITLE,
                DESCRIPTION,
                // Older clients keep the times in the event.
                fact("startTime", &["startTime", "startIso", "startDate"]),
                fact("endTime", &["endTime", "endIso", "endDate"]),
                flag("allDay", &["allDay", "isAllDay"]),
                LOCATION,
                STATUS,
            ],
        )
    },
    kind(
        &["journal"],
        ("journal", "journalEntries"),
        &["journal", "entries"],
        500,
        &[TITLE, fact("date", &["entryDate", "date"]), MOOD, CONTENT, fact("tags", &["tags"]), STATUS, LOCATION],
    ),
    kind(&["kontext"], ("kontext", "kontextDoc"), &["kontext", "kontextDocs"], 1_500, &[TITLE, CONTENT]),
    RecordKind {
        open: true,
        ..kind(
            &["profile"],
            ("profile", "userContext"),
            &["profile"],
            2_000,
            &[
                field(Role::Title, "name", &["title", "name"]),
                fact("about", &["about"]).sealed(),
                fact("interests", &["interests"]).sealed(),
                fact("routine", &["routine"]).sealed(),
                fact("nutrition", &["nutrition"]).sealed(),
                fact("leisure", &["leisure"]).sealed(),
                fact("goals", &["goals"]).sealed(),
                fact("social", &["social"]).sealed(),
                fact("freeform", &["freeform"]).sealed(),
            ],
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_means_a_kind_by_its_module_and_table() {
        for (module, table, expected) in [
            ("goals", "companionGoals", "companionGoals"),
            ("goals", "goals", "companionGoals"),
            ("tasks", "tasks", "tasks"),
            ("todo", "tasks", "tasks"),
            ("todo", "todo", "tasks"),
            ("todo", "projects", "projects"),
            ("todo", "todoProjects", "projects"),
            ("calendar", "events", "events"),
            ("journal", "journalEntries", "journalEntries"),
            ("journal", "something", "journalEntries"),
            ("profile", "userContext", "userContext"),
            ("kontext", "kontextDoc", "kontextDoc"),
        ] {
            assert_eq!(RecordKind::find(module, table).map(|kind| kind.table), Some(expected), "{module} {table}");
        }
        assert!(RecordKind::find("moon", "notes").is_none() && RecordKind::find("", "").is_none());
    }

    #[test]
    fn the_named_table_is_looked_in_first() {
        let goals = RecordKind::find("goals", "goals").unwrap();
        assert_eq!(goals.tables("goals"), ["goals", "companionGoals"]);
        assert_eq!(goals.tables("companionGoals"), ["companionGoals", "goals"]);
        assert_eq!(RecordKind::find("journal", "other").unwrap().tables("other"), ["other", "journalEntries", "journal", "entries"]);
    }

    /// Each table that is described stands in the list of the shapes that clients write, under its app.
    #[test]
    fn every_described_table_is_one_of_the_clients() {
        let records = include_str!("../../docs/records.md");
        let on_the_wire = |app: &str, table: &str| {
            records.lines().any(|line| {
                let mut cells = line.trim_matches('|').split('|').map(str::trim);
                let first = cells.next().unwrap_or_default();
                let tables = cells.next().unwrap_or_default();
                (first == app || (app == "companion" && first == "none")) && tables.split([',', ' ', '(', ')']).any(|name| name == table)
            })
        };
        for kind in &KINDS {
            assert!(on_the_wire(kind.app, kind.table), "{} {}", kind.app, kind.table);
            for link in kind.links {
                assert!(on_the_wire(link.app, link.table), "{} {}", link.app, link.table);
            }
        }
    }
}
