# Warum eine Mission läuft oder wartet.

decision-agent-named =
    Agent { $agent } ist { $state ->
        [archived] archiviert
        [paused] pausiert
       *[active] aktiv
    }
decision-agent =
    der Agent ist { $state ->
        [archived] archiviert
        [paused] pausiert
       *[active] aktiv
    }
decision-concurrency =
    { $running ->
        [one] 1 Lauf
       *[other] { $running } Läufe
    } von höchstens { $allowed } gleichzeitig
decision-budget-none = { $used } Tokens in den letzten 24 Stunden, keine Grenze
decision-budget = { $used } von { $allowed } Tokens in den letzten 24 Stunden verbraucht
decision-review-none =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung, keine Grenze
decision-review-below =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung; ab { $allowed } wartet die Mission
decision-review-reached =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung; ab { $allowed } wartet die Mission. Prüfe einen, damit es weitergeht
decision-running = ein Lauf ist unterwegs
decision-idle = kein Lauf ist unterwegs
decision-retry-none = kein fehlgeschlagener Versuch wartet
decision-retry =
    { $failed ->
        [one] 1 Versuch ist
       *[other] { $failed } Versuche sind
    } fehlgeschlagen, der nächste beginnt frühestens { $at }
decision-model = das Modell ist bereit
decision-model-closed = das Modell ist mehrmals ausgefallen und wird erst wieder gefragt: { $until }
decision-client-none = kein anderes Gerät führt sie aus
decision-client = ein Gerät führt sie aus, zuletzt gehört { $at }; der Server übernimmt nach { $seconds } s Stille
decision-client-silent = ein Gerät führte sie aus, zuletzt gehört { $at }, also nicht in den letzten { $seconds } s
decision-calls-none =
    { $used ->
        [one] 1 Anfrage
       *[other] { $used } Anfragen
    } ans Modell in den letzten 24 Stunden, keine Grenze
decision-calls = { $used } von { $allowed } Anfragen ans Modell in den letzten 24 Stunden
decision-tokens-none = { $used } deiner Tokens in den letzten 24 Stunden, keine Grenze
decision-tokens = { $used } von { $allowed } deiner Tokens in den letzten 24 Stunden

decision-state =
    die Mission ist { $state ->
        [active] aktiv
        [paused] pausiert
        [done] erledigt
        [archived] archiviert
       *[unknown] in unbekanntem Zustand
    }
decision-due-soon = kein Termin gesetzt; der Server setzt gleich den nächsten ihres Zeitplans
decision-due-never = kein Termin gesetzt
decision-due = nächster Termin { $at }, jetzt { $now }
decision-cadence = Zeitplan { $cadence }
decision-cadence-bad = sie läuft nur, wenn du sie startest: { $why }
decision-agent-none = kein Agent gewählt, also keine Grenzen von ihm
decision-agent-gone = Agent { $agent } gibt es nicht, also keine Grenzen von ihm
decision-page-due = { $at }; jetzt ist { $now }
decision-page-running = ein Lauf ist unterwegs
decision-page-idle = kein anderer Lauf ist unterwegs
decision-page-concurrency = { $running } von höchstens { $allowed } gleichzeitig
decision-page-budget-none = { $used } in den letzten 24 Stunden, keine Grenze
decision-page-budget = { $used } von { $allowed } in den letzten 24 Stunden
decision-page-review-none =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung, keine Grenze
decision-page-review-below =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung; ab { $allowed } wartet die Mission
decision-page-review-reached =
    { $awaiting ->
        [one] 1 Plan wartet
       *[other] { $awaiting } Pläne warten
    } auf deine Prüfung; ab { $allowed } wartet die Mission. Prüfe einen, damit es weitergeht
decision-page-failed =
    { $failed ->
        [one] 1 Versuch ist fehlgeschlagen
       *[other] { $failed } Versuche sind fehlgeschlagen
    }; nächster Versuch frühestens: { $at }

decision-title-state = Zustand
decision-title-due = Nächster Termin
decision-title-cadence = Zeitplan
decision-title-agent = Agent
decision-title-archived = Agent nicht archiviert
decision-title-paused = Agent nicht pausiert
decision-title-concurrency = Gleichzeitige Pläne
decision-title-budget = Tokens pro Tag
decision-title-review = Deine Prüfung
decision-title-idle = Andere Läufe
decision-title-retry = Neuer Versuch
decision-title-model = Modell
decision-title-client = Andere Geräte
decision-title-calls = Deine Anfragen ans Modell
decision-title-tokens = Deine Tokens
