# Einträge und ihr Verlauf.

records-history = Verlauf

records-lead = Was deine Agenten lesen und was freigegebene Schritte schreiben. Schreib etwas auf oder importiere, was du hast.
records-import = Importieren
records-import-from = Aus { $forms } importieren
records-or = {" oder "}
records-export = { $form } exportieren
records-export-too-large = Das sind mehr als { $megabytes } MB. Der Befehl mana-ai export hat keine Grenze.
records-deleted = Gelöscht.
records-undo = Rückgängig
records-added =
    { $count ->
        [one] 1 Eintrag hinzugefügt.
       *[other] { $count } Einträge hinzugefügt.
    }
records-search = Suchen
records-none = Noch nichts da: Schreib oben etwas auf oder { $import }.
records-none-import = importiere, was du hast
records-not-found = Nichts enthält „{ $text }“.
records-encrypted = 🔒 Verschlüsselt
records-encrypted-hint = 🔒 Verschlüsselt. Nur dein Gerät kann es lesen und ändern.
records-untitled = Ohne Titel
records-add = Hinzufügen
records-delete = Löschen
records-import-into = In { $table } importieren
records-import-failed = Nichts wurde importiert:
records-import-file = Eine Datei
records-import-paste = Oder füge { $forms } ein
records-help-calendar = iCalendar ist das, was Kalender exportieren (.ics).
records-help-list = Markdown: Jeder Punkt einer Liste (- [ ] …) wird ein Eintrag.
records-help-headings = Markdown: Jede Überschrift (# …) beginnt einen Eintrag; ein Text ohne Überschrift wird ein einziger.
records-help-csv = CSV braucht eine erste Zeile mit den Namen der Spalten, davon gibt es: { $names }.
records-any = Alle
records-by-change = Letzte Änderung
records-by-title = Titel
records-by-newest = Datum, neueste zuerst
records-by-oldest = Datum, älteste zuerst
records-none-chosen = Kein Eintrag passt dazu.
records-deleted-link = Gelöschtes
records-deleted-title = Gelöscht
records-deleted-lead = Was auf einem deiner Geräte gelöscht wurde und zurückgeholt werden kann.
records-deleted-none = Es wurde nichts gelöscht.
records-deleted-at = Gelöscht
records-deleted-all = Alles, was gelöscht wurde
records-restore = Wiederherstellen
