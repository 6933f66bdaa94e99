# Agenten.

agents-new = Neuer Agent
agents-create = Agent anlegen
agents-none = Noch keine Agenten. Ein Agent hat eine Rolle, ein Gedächtnis und ein Budget und plant deine Missionen.
agents-search = Nach Namen suchen
agents-by-name = Name des Agenten
agents-none-found = Kein Agent passt dazu.
agents-pause = Pausieren
agents-resume = Fortsetzen
agents-archive = Archivieren
agents-wrong-type = { $field } hat einen unbrauchbaren Wert; es gilt der Standardwert.
agents-missions = Missionen
agents-missions-none = Noch keine.
agents-missions-add = Eine anlegen
agents-used =
    { $used ->
        [one] 1 Token in den letzten 24 Stunden verbraucht. Keine Tagesgrenze.
       *[other] { $used } Tokens in den letzten 24 Stunden verbraucht. Keine Tagesgrenze.
    }
agents-used-of = { $used } von { $most } Tokens in den letzten 24 Stunden verbraucht.
agents-used-up = Tagesgrenze erreicht. Seine Missionen warten, bis wieder Platz ist.

agents-name = Name
agents-avatar = Bild
agents-role = Rolle
agents-prompt = Systemprompt
agents-prompt-hint = Wie er arbeitet und spricht. Das Modell liest es als Anweisung.
agents-memory = Gedächtnis
agents-memory-hint = Was er über dich wissen soll. Das Modell nimmt es nie als Anweisung.
agents-encrypted = Von deinem Gerät verschlüsselt. Nur dein Gerät kann es zeigen und ändern.
agents-parallel = Gleichzeitige Pläne
agents-tokens = Tokens pro Tag
agents-tokens-hint = Leer lassen für keine Grenze.
agents-needs-name = Ein Agent braucht einen Namen.

agents-policy = Was er tun darf
agents-policy-hint = Was er vorschlägt, gibst du frei. Automatische Schritte werden mit dem Plan ausgeführt, bis zu einer Grenze pro Stunde. Verbotene Werkzeuge sieht das Modell nie.
agents-policy-rest = Alle anderen Werkzeuge
agents-default = Standard
agents-unnamed = Wird nicht angeboten
agents-propose = Vorschlagen
agents-auto = Automatisch
agents-deny = Verbieten
agents-policy-modules = Nach Modul und Werkzeug
agents-preset-asks = Fragt immer
agents-preset-asks-hint = Du gibst jeden Schritt frei.
agents-preset-reads = Liest selbst
agents-preset-reads-hint = Nutzt Werkzeuge, die nur lesen, ohne zu fragen, und kennt ihre Antworten im nächsten Plan. Alles andere gibst du frei.
agents-preset-reads-none = Für Werkzeuge, die nur lesen. Dieser Server hat noch keine; der Agent fragt also immer.
agents-read-only = Liest nur.
agents-preset-acts = Handelt selbst, wo es sicher ist
agents-preset-acts-hint = Schreibt deine Einträge ohne zu fragen; jeden Schritt kannst du rückgängig machen. Vor dem Löschen und vor Anfragen an andere Dienste fragt er weiterhin.
agents-preset-own = Eigene Auswahl
agents-preset-own-hint = Wie unten eingestellt.
agents-per-tool = Je Werkzeug
agents-tools =
    { $count ->
        [one] 1 Werkzeug
       *[other] { $count } Werkzeuge
    }
agents-destructive = Löscht etwas.

agents-try = Vor dem Speichern ausprobieren
agents-try-hint = Macht einen Plan mit dem, was oben steht. Nichts wird gespeichert, und Verschlüsseltes bleibt geschlossen.
agents-try-on = Mit der Mission
agents-try-button = Ausprobieren
agents-trial = Versuch mit „{ $mission }“
agents-trial-empty = Er schlägt nichts vor.
agents-trial-too-many = Zu viele Versuche auf einmal. Versuche es in einer Minute noch einmal.
agents-trial-used-up = Deine Tagesgrenze ist erreicht. Versuche es morgen wieder.
agents-trial-away = Das Modell ist nicht erreichbar. Nächster Versuch: { $at }.
agents-trial-failed = Kein Plan:
agents-trial-cost =
    { $tokens ->
        [one] 1 Token
       *[other] { $tokens } Tokens
    }, { $seconds } s. Nichts wurde gespeichert.
