//! The fields of a form.

use serde_json::Value;

/// Names and values, in the order of the form; a name may come more than once.
pub(super) struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// A field with the line ends that were in the record: browsers send CR LF.
    pub fn text(&self, name: &str) -> String {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.replace("\r\n", "\n")).unwrap_or_default()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number, `None` where the field is empty.
    ///
    /// # Errors
    /// Words for the user.
    pub fn whole(&self, name: &str, label: &str) -> Result<Option<u64>, String> {
        let text = self.text(name);
        match text.trim() {
            "" => Ok(None),
            number => number.parse().map(Some).map_err(|_| format!("{label} is {number:?}, but must be a whole number")),
        }
    }
}

/// A text of a record as it stands in a form; what is no text is left to other clients.
pub(super) fn shown<'a>(record: &'a serde_json::Map<String, Value>, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Keeps those fields that differ from the record, so that an edit changes what was edited and nothing else. A field that
/// a record does not have and that stays empty is no edit.
pub(super) fn changed(
    before: Option<&serde_json::Map<String, Value>>,
    mut after: serde_json::Map<String, Value>,
) -> serde_json::Map<String, Value> {
    if let Some(before) = before {
        after.retain(|field, value| match before.get(field) {
            Some(old) => old != value,
            None => !(value.is_null() || value == ""),
        });
    }
    after
}
