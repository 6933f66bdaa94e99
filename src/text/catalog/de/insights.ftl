# Was geschah, und was ansteht.

insights-day = { $name }, letzte 24 Stunden: { $told }
insights-day-empty = Nichts in den letzten 24 Stunden.
insights-ran = Gelaufen
insights-skipped-archived = Agent archiviert
insights-skipped-paused = Agent pausiert
insights-skipped-concurrency = Wartete auf einen anderen Lauf
insights-skipped-budget = Tokengrenze erreicht
insights-skipped-review = Wartete auf deine Prüfung
insights-tokens = Tokens
insights-due =
    { $count ->
        [one] 1 Mission bis morgen um diese Zeit fällig
       *[other] { $count } Missionen bis morgen um diese Zeit fällig
    }
insights-now = jetzt
