# Where a mission stands, its page, and the list of missions.

# Where a mission stands
mission-is-paused = Pausiert; sie läuft nicht.
mission-is-done = Erledigt; sie läuft nicht mehr.
mission-is-archived = Archiviert; sie läuft nicht.
mission-is-unknown = Ihr Zustand ist unbekannt; sie läuft nicht.
mission-is-running = Läuft gerade.
mission-is-ready = Bereit; beginnt innerhalb einer Minute.
mission-is-on-start = Läuft nur, wenn du sie startest.
mission-is-at = Nächster Lauf: { $at }.
mission-bad-schedule-short = Zeitplan ungültig; läuft nicht von selbst.
mission-agent-archived = Agent { $agent } ist archiviert.
mission-agent-paused = Agent { $agent } ist pausiert.
mission-agent-busy = Agent { $agent } ist mit anderen Läufen beschäftigt; beginnt, sobald einer endet.
mission-agent-spent = Agent { $agent } hat seine Tokens für heute verbraucht.
mission-waits-for-review = { $n ->
    [one] Wartet darauf, dass du 1 Plan prüfst.
   *[other] Wartet darauf, dass du { $n } Pläne prüfst.
}
mission-tries-again = Letzter Versuch fehlgeschlagen; nächster Versuch: { $at }.
mission-model-away = Modell nicht erreichbar; nächster Versuch: { $at }.
mission-on-device = Eines deiner Geräte führt sie aus.
mission-limit-reached = Deine Tagesgrenze für Modellaufrufe oder Tokens ist erreicht.
mission-not-started = Nicht gestartet.
mission-review-now = Prüfen
mission-open-agent = Agenten öffnen
mission-blocked = blockiert

# How often it runs
mission-every-manual = Nicht von selbst
mission-every-minutes = { $n ->
    [one] Jede Minute
   *[other] Alle { $n } Minuten
}
mission-every-hours = { $n ->
    [one] Jede Stunde
   *[other] Alle { $n } Stunden
}
mission-every-days = { $n ->
    [one] Alle 24 Stunden
   *[other] Alle { $n } Tage
}
mission-every-hour-at = Jede Stunde zur Minute { $minute }
mission-every-day-at = Jeden Tag um { $at }
mission-every-weekday-at = Montag bis Freitag um { $at }
mission-every-week-at = Jeden { $days } um { $at }
mission-every-month-at = Am { $day }. jedes Monats um { $at }
mission-every-cron = Cron-Ausdruck: { $expression }
mission-in-zone = { $every } ({ $zone })
mission-days-and = { $first } und { $last }
mission-day-0 = Sonntag
mission-day-1 = Montag
mission-day-2 = Dienstag
mission-day-3 = Mittwoch
mission-day-4 = Donnerstag
mission-day-5 = Freitag
mission-day-6 = Samstag

# The page of a mission
mission-agent = Betreut von
mission-no-agent = Kein Agent
mission-schedule = Zeitplan
mission-next-run = Nächster Lauf
mission-next-then = danach
mission-due-since = Fällig seit { $at }
mission-next-none = Keiner
mission-run-now = Jetzt starten
mission-cancel-run = Lauf abbrechen
mission-cancelled = Abgebrochen. Die laufende Antwort des Modells wird verworfen.
mission-pause = Pausieren
mission-resume = Fortsetzen
mission-edit = Bearbeiten
mission-more = Mehr
mission-duplicate = Duplizieren
mission-copy-of = { $title } (Kopie)
mission-mark-done = Als erledigt markieren
mission-archive = Archivieren
mission-history = Verlauf
mission-delete = Löschen
mission-bad-schedule = Der Zeitplan ist ungültig:
mission-correct-it = Korrigieren
mission-wrong-type = { $field } hat einen unbrauchbaren Wert; es gilt der Standardwert.
mission-clock-ahead = Ein Gerät mit vorgehender Uhr hat { $fields } bearbeitet. Spätere Änderungen gelten erst nach diesen Zeiten.
mission-whole-title = Der ganze Titel
mission-background = Hintergrund
mission-can-read = Was sie lesen darf
mission-can-read-n = Was sie lesen darf ({ $n })
mission-edit-whole = Mission bearbeiten
mission-form-whole = Das Formular zeigt Texte ganz.
mission-checks = Alle Prüfungen
mission-status = Stand
mission-plans = Pläne
mission-no-plans = Noch kein Plan.
mission-older-plans = Ältere Pläne
mission-runs = Läufe

# The list of missions
mission-deleted = Mission gelöscht.
mission-undelete = Rückgängig
mission-search = Titel durchsuchen
mission-filter = Filtern und sortieren
mission-which = Zeigen
mission-which-all = Alle Missionen
mission-which-review = Wartet auf Prüfung
mission-which-blocked = Blockiert
mission-any-state = Jeder Zustand
mission-active = Aktiv
mission-paused = Pausiert
mission-done = Erledigt
mission-archived = Archiviert
mission-any-agent = Jeder Agent
mission-sort = Sortieren nach
mission-by-title = Titel der Mission
mission-by-next = Nächstem Lauf
mission-by-change = Letzter Änderung
mission-none = Noch keine Missionen.
mission-none-found = Keine Mission passt dazu.
mission-show-all = Alle zeigen
mission-next-page = Weitere Missionen
mission-to-review = { $n ->
    [one] 1 Plan zu prüfen
   *[other] { $n } Pläne zu prüfen
}
