# Missionen und ihre Zeitpläne.

missions-cadence-no-object = der Zeitplan ist { $found }, muss aber ein Objekt mit `kind` sein
missions-cadence-kind = die Art des Zeitplans ist { $found }, muss aber manual, interval, daily, weekly oder cron sein
missions-cadence-field = { $field } des Zeitplans ist { $found }, muss aber { $allowed } sein
missions-cadence-zone = { $name } ist keine Zeitzone; gemeint ist etwas wie Europe/Berlin
missions-cadence-zone-meant = { $name } ist keine Zeitzone. Meinst du { $zone }?
missions-cadence-cron = der Cron-Ausdruck { $expression } ist ungültig{ $reason }
missions-cadence-cron-fields = der Cron-Ausdruck { $expression } braucht 5 Felder: Minute, Stunde, Tag, Monat, Wochentag
missions-cadence-hour = eine ganze Zahl von 0 bis 23
missions-cadence-minute = eine ganze Zahl von 0 bis 59
missions-cadence-day = eine ganze Zahl von 0 (Sonntag) bis 6
missions-cadence-minutes = eine ganze Zahl ab 1
missions-cadence-expression = ein Cron-Ausdruck mit 5 Feldern
missions-cadence-zone-name = eine IANA-Zeitzone wie Europe/Berlin
missions-found-nothing = leer
missions-found-number = { $number }
missions-found-text = ein langer Text
missions-found-list = eine Liste
missions-found-object = ein Objekt

missions-title = Titel
missions-goal = Ziel
missions-goal-hint = Was jeder Plan erreichen soll.
missions-background = Hintergrund
missions-background-hint = Warum du das willst und wie. Markdown.
missions-agent = Agent
missions-no-agent = Kein Agent
missions-inputs = { $all ->
    [0] Was sie lesen darf
   *[other] Was sie lesen darf ({ $all } zur Auswahl)
}
missions-inputs-hint = Jeder Plan entsteht mit Blick darauf. Verschlüsselte Einträge muss eines deiner Geräte freigeben.
missions-nothing-to-read = Noch nichts zu lesen: { $note } oder { $import }.
missions-write-note = schreib eine Notiz
missions-import = importiere, was du hast
missions-encrypted = { $name } (verschlüsselt)
missions-needs-title = Eine Mission braucht einen Titel.

missions-schedule = Zeitplan
missions-schedule-foreign = Von einer anderen App
missions-schedule-foreign-hint = mana-ai kann diesem Zeitplan nicht folgen. Er bleibt, bis du einen anderen wählst.
missions-schedule-manual = Nur wenn du sie startest
missions-schedule-interval = Alle paar Minuten
missions-schedule-daily = Täglich
missions-schedule-weekly = Wöchentlich
missions-schedule-cron = Eigener (Cron)
missions-repeats = Wiederholung
missions-every-minutes = Abstand in Minuten
missions-weekday = Wochentag
missions-choose-day = Tag wählen
missions-hour = Stunde
missions-minute = Minute
missions-expression = Cron-Ausdruck
missions-zone = Zeitzone
missions-manual = Läuft nur, wenn du sie startest.
missions-next-times = Nächste Termine
missions-monday = Montag
missions-tuesday = Dienstag
missions-wednesday = Mittwoch
missions-thursday = Donnerstag
missions-friday = Freitag
missions-saturday = Samstag
missions-sunday = Sonntag

missions-new = Neue Mission
missions-create = Mission anlegen
missions-edit = Mission bearbeiten
missions-under-way = Läuft schon
missions-under-way-hint = Diese Mission wird gerade geplant. Der Plan erscheint auf ihrer Seite.
missions-back = Zurück zur Mission
missions-delete-title = „{ $mission }“ löschen?
missions-delete-title-short = Mission löschen
missions-delete-hint = Sie verschwindet mit ihren Plänen von allen deinen Geräten. Du kannst es rückgängig machen.
missions-delete-yes = Löschen
missions-delete-no = Abbrechen
