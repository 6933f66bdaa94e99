# Von nichts zum ersten Plan.

start-title = Willkommen
start-lead = Ein Agent kümmert sich für dich um etwas: Er schlägt vor, du entscheidest. Zwei Schritte bis zum ersten Plan.
start-model = 1. Ein Modell verbinden
start-model-chosen = Pläne macht { $model }.
start-model-missing = Noch ist kein Modell verbunden. Frage die Verwaltung dieses Servers.
start-model-connect = Welches Modell macht die Pläne?
start-model-change = Testen oder ändern
start-model-save = Speichern und weiter
start-template = 2. Wählen, worum es geht
start-own = Oder { $link }.
start-own-link = beschreibe eine eigene Mission
start-plan = Dein erster Plan
start-soon = Beginnt gleich …
start-asking = Der Agent liest und denkt nach, seit { $since }. Diese Seite zeigt den Plan, sobald er da ist.
start-waits = Das hat nicht geklappt.
start-again = Nächster Versuch: { $at }.
start-failed = Das Modell gab keinen Plan.
start-try-again = Jetzt noch einmal
start-settings = Einstellungen des Modells
start-mission = Zur Mission
