//! What a run says of what its prompt went without, and of what was done to its plan.

use crate::inputs::{LeftOut, NAMED, Resolved, Why};
use crate::text::catalog::{Words, text_id};
use crate::text::phrase::Phrase;
use crate::text::told::Told;

/// What the user should know about a plan; `notes` are those of the planner.
pub(super) fn note(inputs: &Resolved, notes: &[Told]) -> Option<Told> {
    Told::all(left_out(inputs).into_iter().chain(notes.iter().cloned()))
}

/// In English all at once, and as values one by one.
fn left_out(inputs: &Resolved) -> Option<Told> {
    let text = inputs.note()?;
    let mut said: Vec<_> = inputs.left_out.iter().take(NAMED).map(of_one).collect();
    if let more @ 1.. = inputs.left_out.len().saturating_sub(NAMED) {
        said.push(Words::ENGLISH.phrase("runs-note-more", [("n", more.into())], []));
    }
    Some(Told { text, said: said.iter().filter_map(|phrase| phrase.said().cloned()).collect() })
}

fn of_one(left: &LeftOut) -> Phrase {
    let id = match left.why {
        Why::TooMany => text_id("runs-note-too-many"),
        Why::UnknownModule => text_id("runs-note-module"),
        Why::Gone => text_id("runs-note-gone"),
        Why::Empty => text_id("runs-note-empty"),
        Why::TooLarge => text_id("runs-note-too-large"),
        Why::TooLong => text_id("runs-note-too-long"),
        Why::NoGrant => text_id("runs-note-no-grant"),
        Why::OutsideGrant => text_id("runs-note-outside"),
        Why::Skipped(_) | Why::Unreadable(_) => text_id("runs-note-closed"),
    };
    // It comes from a client, and may be of any length.
    let record: String = left.input.id.chars().take(80).collect();
    Words::ENGLISH.phrase(id, [("record", record.into())], [])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;
    use crate::domain::mission::InputRef;
    use crate::text::told::sentences;

    #[test]
    fn a_note_is_told_in_the_language_of_its_reader() {
        let left =
            |n: usize| LeftOut { input: InputRef { module: "notes".into(), table: "notes".into(), id: format!("n{n}") }, why: Why::Empty };
        let inputs = Resolved { left_out: (0..7).map(left).collect(), ..Resolved::default() };
        let note = note(&inputs, &[Told::said("counted badly", &Words::ENGLISH.phrase("runs-note-estimated", [], []))]).unwrap();
        assert!(note.text.starts_with("7 linked inputs were left out (notes n0: it is empty; "), "{}", note.text);
        assert!(note.text.ends_with("; counted badly"), "{}", note.text);
        let german: Vec<String> = sentences(Words::of(Language::German), &note.said).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!((german.len(), german[0].as_str()), (7, "„n0“ wurde nicht gelesen: Der Eintrag ist leer."));
        assert_eq!(german[5], "2 weitere Einträge wurden nicht gelesen.");
        assert_eq!(super::note(&Resolved::default(), &[]), None);
    }
}
