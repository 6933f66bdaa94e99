# Warum ein Schritt nicht ausgeführt werden kann.

obstacle-not-described = Keine Beschreibung sagt, was dieses Werkzeug schreibt.
obstacle-missing = `{ $param }` fehlt.
obstacle-wrong = `{ $param }` muss { $wanted } sein.
obstacle-no-record = In { $table } gibt es keinen Eintrag { $id }.
obstacle-nothing-to-choose = In { $table } ist noch nichts, wozu es gehören könnte; lege zuerst etwas an.
obstacle-nothing-meant = Kein Eintrag in { $table } ist der gemeinte.
obstacle-nothing-matches = Kein Eintrag in { $table } hat den Text { $text }.
obstacle-refused = Das Protokoll nimmt es nicht an: { $why }.
obstacle-encrypted = `{ $field }` ist verschlüsselt, nur eines deiner Geräte kann es ändern.
obstacle-field-of = `{ $field }` in { $table }
obstacle-kept = seitdem geändert, bleibt also wie es ist: { $fields }
obstacle-wanted-text = ein Text
obstacle-wanted-choice = eine der Möglichkeiten dieses Feldes
obstacle-wanted-flag = true oder false
obstacle-wanted-number = eine Zahl
obstacle-wanted-amount = eine Zahl außer 0
obstacle-wanted-day = ein Datum wie 2026-04-15
obstacle-wanted-time = ein Zeitpunkt wie 2026-04-15T08:00:00Z
obstacle-wanted-clock = eine Uhrzeit wie 08:30
obstacle-wanted-link = die Kennung eines Eintrags
obstacle-wanted-list = eine Liste
obstacle-wanted-map = ein Objekt
obstacle-in-record = Eintrag { $n }: { $why }
