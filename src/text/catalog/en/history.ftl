history-title = History
history-back = Back
history-hint = Every change, newest first. Entries can't be edited.
history-none-older = No older changes.
history-older = Older changes
history-somebody = Somebody
history-system = The system
history-made = created it
history-changed = changed it
history-deleted = deleted it
history-restored = brought it back
history-raw = As it was written
history-title-of = Title
history-goal = Goal
history-entries = { $n ->
    [one] 1 entry
   *[other] { $n } entries
}
