# Records and their history.

records-history = History

records-lead = What your agents read, and what approved steps write. Write something down, or import what you have.
records-import = Import
records-import-from = Import from { $forms }
records-or = {" or "}
records-export = Export { $form }
records-export-too-large = This is more than { $megabytes } MB. The command mana-ai export has no limit.
records-deleted = Deleted.
records-undo = Undo
records-added =
    { $count ->
        [one] 1 record added.
       *[other] { $count } records added.
    }
records-search = Search
records-none = Nothing here yet: write something above, or { $import }.
records-none-import = import what you have
records-not-found = Nothing contains “{ $text }”.
records-encrypted = 🔒 Encrypted
records-encrypted-hint = 🔒 Encrypted. Only your device can read and change it.
records-untitled = Untitled
records-add = Add
records-delete = Delete
records-import-into = Import into { $table }
records-import-failed = Nothing was imported:
records-import-file = A file
records-import-paste = Or paste { $forms }
records-help-calendar = iCalendar is what calendars export (.ics).
records-help-list = Markdown: each item of a list (- [ ] …) becomes a record.
records-help-headings = Markdown: each heading (# …) begins a record; a text without one becomes a single record.
records-help-csv = CSV needs a first line with the names of its columns, out of: { $names }.
records-any = Any
records-by-change = Last change
records-by-title = Title
records-by-newest = Date, newest first
records-by-oldest = Date, oldest first
records-none-chosen = No record matches.
records-deleted-link = Deleted things
records-deleted-title = Deleted
records-deleted-lead = What was deleted on any of your devices and can be brought back.
records-deleted-none = Nothing was deleted.
records-deleted-at = Deleted
records-deleted-all = Everything that was deleted
records-restore = Restore
