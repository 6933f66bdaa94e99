# Läufe, und wie sie enden.

runs-dropped-deleted = die Mission wurde inzwischen gelöscht
runs-dropped-state =
    die Mission ist inzwischen { $state ->
        [paused] pausiert
        [done] erledigt
       *[active] aktiv
    }
runs-dropped-rescheduled = die Mission wurde inzwischen verschoben, von { $from } auf { $to }
runs-dropped-unscheduled = die Mission hat inzwischen keinen Termin mehr, vorher { $from }
runs-deleted-before = die Mission wurde gelöscht, bevor sie geplant war
runs-other-agent = die Mission hat jetzt einen anderen Agenten
runs-process-ended = das Programm endete, während es plante
runs-server-stopped = das Programm wurde angehalten
runs-not-written = der Plan ließ sich nicht speichern
runs-orphaned = die Mission wurde gelöscht, pausiert oder verschoben, während sie auf den nächsten Versuch wartete

# Failures of the model and its server, in short
runs-failure-unreachable = Das Modell ist nicht erreichbar.
runs-failure-timeout = Das Modell hat nicht rechtzeitig geantwortet.
runs-failure-auth = Der Modellserver lehnt den Schlüssel ab.
runs-failure-busy = Der Modellserver möchte weniger Anfragen.
runs-failure-rejected = Der Modellserver hat die Anfrage abgelehnt.
runs-failure-server = Der Modellserver ist gescheitert.
runs-failure-malformed = Was antwortet, ist kein Modellserver.
runs-failure-empty = Das Modell hat leer geantwortet.
runs-failure-machine = Dieser Server konnte das Modell nicht fragen.
runs-failure-plan = Die Antwort des Modells ist kein brauchbarer Plan.
runs-failure-lost = Das Ergebnis ließ sich nicht speichern.
runs-details = Genauer
runs-without-time = { $why }; die Mission läuft erst wieder, wenn ihr Zeitplan stimmt

# The pages of runs
runs-title = Läufe
runs-run = Lauf
runs-run-of = Lauf von
runs-all = Alle
runs-open = Im Gange
runs-planned = Geplant
runs-failed = Gescheitert
runs-dropped = Verworfen
runs-of = Läufe von
runs-of-all = alle Läufe
runs-state = Zustand
runs-until = Bis
runs-filter = Anzeigen
runs-none = Keine Läufe.
runs-search = Läufe nach Zustand und Tag auswählen
runs-older = Ältere Läufe
runs-again = Nächster Versuch
runs-is-running = läuft
runs-is-open = im Gange
runs-is-waiting = wartet
runs-is-planned = geplant
runs-is-failed = gescheitert
runs-is-dropped = verworfen
runs-due = Fällig
runs-missed = { $n ->
    [one] Holt 1 verpassten Lauf nach.
   *[other] Holt { $n } verpasste Läufe nach.
}
runs-started = Begonnen
runs-gates-passed = Nichts stand im Wege.
runs-interrupted = { $n ->
    [one] Der Server hielt zwischendurch einmal an; danach ging es weiter.
   *[other] Der Server hielt zwischendurch { $n }-mal an; danach ging es weiter.
}
runs-inputs = Eingaben
runs-decrypted = { $n ->
    [one] 1 Versuch, einen verschlüsselten Eintrag zu lesen
   *[other] { $n } Versuche, verschlüsselte Einträge zu lesen
}
runs-attempt = Versuch { $n }
runs-rounds = { $n ->
    [one] 1 Aufruf des Modells
   *[other] { $n } Aufrufe des Modells
}
runs-tokens = { $prompt } Tokens gefragt, { $answer } geantwortet
runs-prompt = Der Prompt hatte { $n } Zeichen. Er wird nicht aufbewahrt.
runs-answered = Beantwortet; die Antwort hat die Prüfungen bestanden.
runs-plan = Plan des Modells
runs-to-plan = Plan öffnen
runs-end-running = Läuft noch
runs-end-waiting = Wartet auf den nächsten Versuch
runs-end-planned = In der Mission gespeichert
runs-end-failed = Gescheitert
runs-end-dropped = Verworfen
runs-superseded = Die Mission hat neuere Pläne; dieser hat sie verlassen
runs-restored = Ein Gerät hatte diesen Plan überschrieben; er wurde zurückgeholt.
runs-calendar = Kommende Läufe
runs-calendar-hint = Was deine Zeitpläne für die nächsten { $n } Tage ergeben; Tage beginnen um Mitternacht in { $zone }.
runs-times = { $n }-mal an diesem Tag
