# Was geschah, und was ansteht.

insights-tokens = Tokens
insights-title = Auswertung
insights-period = Zeitraum
insights-days = { $n } Tage
insights-rate = Angenommen
insights-percent = { $n } %
insights-of-decided = { $n } von { $all } entschiedenen Schritten
insights-approved = Angenommen
insights-declined = Abgelehnt
insights-decisions = Entschiedene Schritte
insights-cost = Kosten
insights-at = bei { $price } je Million Tokens
insights-newest = Es wurden so viele Schritte entschieden, dass hier nur die neuesten { $n } zählen.
insights-chart = { $name }, letzte { $days } Tage: { $told }
insights-quiet = Nichts in diesen Tagen.
insights-as-table = Als Tabelle
insights-day = Tag
insights-zone = Die Tage sind die der Zeitzone { $zone }.
insights-none = In diesen Tagen wurde nichts geplant oder entschieden.
insights-gone = (gelöscht)
insights-rejected = Was du abgelehnt hast, und warum
insights-none-rejected = Du hast nichts abgelehnt.
insights-reason = Warum: „{ $text }“
insights-no-reason = Ohne Begründung.
insights-taken-back = Nach der Ausführung rückgängig gemacht
insights-plan = Plan
