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
runs-older = Ältere Läufe
runs-again = Nächster Versuch
runs-is-running = läuft
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
