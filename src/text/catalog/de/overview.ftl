overview-waiting = Wartet auf deine Prüfung
overview-nothing-waits = Nichts. Pläne, die deine Entscheidung brauchen, erscheinen hier.
overview-blocked = Blockiert
overview-all-blocked = Alle blockierten Missionen
overview-running = Läuft gerade
overview-nothing-runs = Gerade läuft nichts.
overview-retries = Warten auf den nächsten Versuch
overview-next = Als Nächstes fällig
overview-none-next = Keine aktive Mission hat einen nächsten Lauf.
overview-due = fällig
overview-day = Die letzten 24 Stunden
overview-runs = Läufe
overview-latest = Letzte Läufe
overview-all-runs = Alle Läufe
overview-no-writes = Die Datenbank kann nicht beschrieben werden. Prüfe die Festplatte und das Protokoll des Servers.
overview-model-away = Das Modell ist nicht erreichbar:
overview-next-try = Nächster Versuch:
overview-next-plan-tries = Der nächste Plan versucht es wieder.
overview-model-fails = Letzte Anfrage an das Modell fehlgeschlagen:
overview-test = Verbindung testen
overview-well = Alles läuft.
overview-answered = Letzte Antwort des Modells:
overview-untried = Das Modell wurde noch nicht gefragt.
overview-chart = { $name } der letzten 24 Stunden: { $told }
overview-nothing = nichts
overview-quiet = Nichts in den letzten 24 Stunden.
overview-due-by-tomorrow = { $n ->
    [one] 1 Mission ist bis morgen um diese Zeit fällig
   *[other] { $n } Missionen sind bis morgen um diese Zeit fällig
}
overview-now = jetzt
