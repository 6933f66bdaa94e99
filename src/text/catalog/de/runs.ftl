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
runs-note-too-many = „{ $record }“ wurde nicht gelesen: Es sind zu viele Einträge verknüpft.
runs-note-module = „{ $record }“ wurde nicht gelesen: Dieser Server kennt das Modul nicht.
runs-note-gone = „{ $record }“ wurde nicht gelesen: Den Eintrag gibt es nicht.
runs-note-empty = „{ $record }“ wurde nicht gelesen: Der Eintrag ist leer.
runs-note-too-large = „{ $record }“ wurde nicht gelesen: Der Eintrag ist zu groß.
runs-note-too-long = „{ $record }“ wurde nicht gelesen: Der Verlauf des Eintrags ist zu lang.
runs-note-no-grant = „{ $record }“ wurde nicht gelesen: Der Eintrag ist verschlüsselt, und keines deiner Geräte hat ihn freigegeben.
runs-note-outside = „{ $record }“ wurde nicht gelesen: Die Freigabe deines Geräts umfasst den Eintrag nicht.
runs-note-closed = „{ $record }“ wurde nicht gelesen: Der Eintrag ließ sich nicht entschlüsseln. Warum, steht unter Datenzugriff.
runs-note-more = { $n ->
    [one] 1 weiterer Eintrag wurde nicht gelesen.
   *[other] { $n } weitere Einträge wurden nicht gelesen.
}
runs-note-cut = { $n ->
    [one] 1 verknüpfter Eintrag hatte im Prompt keinen Platz.
   *[other] { $n } verknüpfte Einträge hatten im Prompt keinen Platz.
}
runs-note-orders = { $n ->
    [one] 1 Text liest sich wie eine Anweisung an das Modell. Er wurde nur als Inhalt weitergegeben.
   *[other] { $n } Texte lesen sich wie Anweisungen an das Modell. Sie wurden nur als Inhalt weitergegeben.
}
runs-note-repeats = Schritte, die du schon abgelehnt hattest, wurden aus dem Plan entfernt.
runs-note-read-less = Das Modell hat nur { $read } von etwa { $sent } Tokens gelesen. Gib ihm ein größeres Kontextfenster.
runs-note-estimated = Der Modellserver hat die Tokens nicht gezählt, sie sind geschätzt.
runs-note-no-schedule = Der Zeitplan ist ungültig; die Mission läuft erst wieder, wenn er stimmt.

# Failures of the model and its server, in short
runs-failure-unreachable = Das Modell ist nicht erreichbar.
runs-failure-timeout = Das Modell hat nicht rechtzeitig geantwortet.
runs-failure-auth = Der Modellserver lehnt den Schlüssel ab.
runs-failure-busy = Der Modellserver ist überlastet.
runs-failure-rejected = Der Modellserver hat die Anfrage abgelehnt.
runs-failure-server = Der Modellserver meldet einen Fehler.
runs-failure-malformed = Unter dieser Adresse antwortet kein Modellserver.
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
runs-planned = Plan erstellt
runs-failed = Fehlgeschlagen
runs-dropped = Verworfen
runs-of = Läufe von
runs-of-all = alle Läufe
runs-state = Zustand
runs-until = Bis
runs-filter = Anzeigen
runs-none = Keine Läufe.
runs-search = Alle Läufe
runs-older = Ältere Läufe
runs-newer = Neuere Läufe
runs-newest-first = Neueste zuerst
runs-oldest-first = Älteste zuerst
runs-cut = Gezeigt sind nur die Läufe der { $n } Missionen, die sich zuletzt geändert haben.
runs-again = Nächster Versuch
runs-is-running = läuft
runs-is-open = im Gange
runs-is-waiting = wartet
runs-is-planned = Plan erstellt
runs-is-failed = fehlgeschlagen
runs-is-dropped = verworfen
runs-due = Fällig
runs-missed = { $n ->
    [one] Holt 1 verpassten Lauf nach.
   *[other] Holt { $n } verpasste Läufe nach.
}
runs-started = Begonnen
runs-gates-passed = Alle Prüfungen bestanden.
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
runs-tokens = { $prompt } Tokens Eingabe, { $answer } Ausgabe
runs-show-prompt = { $n ->
    [0] Prompt zeigen
   *[other] Prompt zeigen ({ $n } Zeichen)
}
runs-read = { $n ->
    [one] 1 verknüpfter Eintrag gelesen
   *[other] { $n } verknüpfte Einträge gelesen
}
runs-round = Frage { $n }
runs-asked-tools = Werkzeuge als Funktionen
runs-asked-json = Antwort als JSON
runs-no-answer = Keine Antwort.
runs-answer = { $calls ->
    [0] Antwort mit { $chars } Zeichen und ohne Werkzeug
    [one] Antwort mit 1 Werkzeug
   *[other] Antwort mit { $calls } Werkzeugen
}
runs-checked = Die Prüfung fand nichts auszusetzen.
runs-found = { $n ->
    [one] Die Prüfung fand 1 Problem:
   *[other] Die Prüfung fand { $n } Probleme:
}
runs-problem-no-json = Darin steht kein JSON-Objekt.
runs-problem-broken-json = Das JSON ist nicht lesbar.
runs-problem-form = Die Form ist eine andere als verlangt.
runs-problem-many = Das sind zu viele Schritte.
runs-problem-cut = Die Antwort wurde abgeschnitten.
runs-problem-thoughts = Die Antwort besteht nur aus Gedanken.
runs-problem-tool = Das genannte Werkzeug wurde nicht angeboten.
runs-problem-rationale = Die Begründung fehlt.
runs-problem-missing = Ein nötiger Wert fehlt.
runs-problem-type = Ein Wert ist von der falschen Art.
runs-problem-choice = Ein Wert gehört nicht zur Auswahl.
runs-problem-large = Die Werte sind zu groß.
runs-problem-twice = Das Werkzeug darf in einem Plan nur einmal vorkommen.
runs-problem-rejected = Denselben Schritt hast du schon abgelehnt.
runs-problem-param = { $what } ({ $param })
runs-problem-step = Schritt { $n }: { $what }
runs-unknown-tool = unbekanntes Werkzeug
runs-prompt-title = Prompt von Versuch { $n }
runs-back = Zurück zum Lauf
runs-prompt-again = Prompts werden nicht aufbewahrt. Dieser ist neu geschrieben aus deinen Daten vom
runs-prompt-sealed = { $n ->
    [one] 1 verschlüsselter Eintrag bleibt hier geschlossen.
   *[other] { $n } verschlüsselte Einträge bleiben hier geschlossen.
}
runs-prompt-reworded = Das Programm formuliert seine Prompts seitdem anders.
runs-prompt-differs = Gesendet wurden { $sent } Zeichen, dieser Text hat { $now }. Einträge sind verschlüsselt, inzwischen änderte sich etwas, oder Werkzeuge oder Einstellungen des Servers sind seitdem andere.
runs-prompt-same = { $n } Zeichen, so viele wie gesendet wurden.
runs-prompt-system = System-Nachricht
runs-prompt-functions = { $n ->
    [one] 1 Werkzeug geht als Funktion mit
   *[other] { $n } Werkzeuge gehen als Funktionen mit
}
runs-prompt-user = Nachricht
runs-prompt-gone = Dieser Prompt lässt sich nicht neu schreiben: Die Mission gibt es nicht mehr, oder ihr Verlauf ist zu lang.
runs-answered = Beantwortet; die Antwort hat die Prüfungen bestanden.
runs-plan = Plan des Modells
runs-to-plan = Plan öffnen
runs-end-running = Läuft noch
runs-end-waiting = Wartet auf den nächsten Versuch
runs-end-planned = In der Mission gespeichert
runs-end-failed = Fehlgeschlagen
runs-end-dropped = Verworfen
runs-superseded = Die Mission hat neuere Pläne; dieser hat sie verlassen
runs-restored = Ein Gerät hatte diesen Plan überschrieben; er wurde zurückgeholt.
runs-calendar = Kommende Läufe
runs-calendar-hint = Läufe der nächsten { $n } Tage; Tage beginnen um Mitternacht in { $zone }.
runs-times = { $n }-mal an diesem Tag
