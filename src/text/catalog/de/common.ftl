# Was alle Seiten teilen.

common-overview = Übersicht
common-agents = Agenten
common-missions = Missionen
common-records = Einträge
common-access = Datenzugriff
common-nav = Hauptmenü
common-skip = Zum Inhalt
common-sign-out = Abmelden
common-to-overview = Zur Übersicht
common-to-deleted = Gelöschtes ansehen
common-more = Mehr
common-older = Ältere
common-save = Speichern
common-edit = Bearbeiten
common-cancel = Abbrechen
common-changed-elsewhere = Das wurde anderswo geändert. Was du schreibst, bleibt; lade die Seite neu, um die Änderung zu sehen.
common-too-large = Das ist zu groß für diese Seite ({ $kilobytes } kB). Der Verlauf zeigt den Anfang jeder Änderung.

common-form-old = Dieses Formular ist veraltet
common-form-old-why = Geh zurück, lade die Seite neu und versuche es noch einmal.
common-form-bad = Dieses Formular ist nicht lesbar
common-not-done = Das hat nicht geklappt
common-form-without-was = Die Seite sagt nicht, was sie gezeigt hat, deshalb sind deine Änderungen nicht erkennbar. Nichts wurde gespeichert. Geh zurück, lade die Seite neu und versuche es noch einmal.
common-not-a-number = { $label } ist { $given }, muss aber eine ganze Zahl sein
common-not-found = Seite nicht gefunden
common-not-found-why = Vielleicht wurde sie gelöscht oder gehört jemand anderem.
common-too-much = Zu viele Anfragen
common-too-much-why = Andere sind zuerst dran. Versuche es gleich noch einmal.
common-database = Die Datenbank antwortet nicht
common-database-busy = Sie ist beschäftigt, oder ihre Platte ist voll. Versuche es bald noch einmal.
common-database-broken = Das Protokoll des Servers sagt mehr.

common-state-active = aktiv
common-state-paused = pausiert
common-state-done = erledigt
common-state-archived = archiviert
common-state-unknown = unbekannt
common-state-due = fällig
common-state-running = läuft
common-state-waiting = wartet
common-state-planned = Plan erstellt
common-state-dropped = verworfen
common-state-failed = fehlgeschlagen

common-app = Missionen, um die sich KI-Agenten kümmern, auf deinem eigenen Server.
common-offline = mana-ai ist nicht erreichbar
common-offline-hint = Prüfe deine Verbindung und ob der Server läuft. Nichts ist verloren.
common-try-again = Noch einmal versuchen
