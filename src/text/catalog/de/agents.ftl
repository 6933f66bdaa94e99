# Agenten.

agents-new = Neuer Agent
agents-create = Agent anlegen
agents-none = Noch keine Agenten. Ein Agent hat eine Rolle, ein Gedächtnis und ein Budget und plant deine Missionen.
agents-pause = Pausieren
agents-resume = Fortsetzen
agents-archive = Archivieren
agents-wrong-type = { $field } hat einen falschen Typ, deshalb gilt der Standardwert.
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

agents-policy = Was er vorschlagen und tun darf
agents-policy-hint = Was er vorschlägt, gibst du frei. Automatische Schritte werden mit dem Plan ausgeführt, bis zu einer Grenze pro Stunde. Verbotene Werkzeuge sieht das Modell nie.
agents-policy-rest = Alle anderen Werkzeuge
agents-default = Standard
agents-propose = Vorschlagen
agents-auto = Automatisch
agents-deny = Verbieten
