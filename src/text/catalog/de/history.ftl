history-title = Verlauf
history-back = Zurück
history-hint = Jede Änderung, die neueste zuerst. Nichts davon lässt sich nachträglich ändern.
history-none-older = Keine älteren Änderungen.
history-older = Ältere Änderungen
history-somebody = Jemand
history-system = Das System
history-made = hat es angelegt
history-changed = hat es geändert
history-deleted = hat es gelöscht
history-restored = hat es zurückgeholt
history-raw = Wie es geschrieben wurde
history-title-of = Titel
history-goal = Ziel
history-entries = { $n ->
    [one] 1 Eintrag
   *[other] { $n } Einträge
}
