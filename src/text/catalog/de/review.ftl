review-title = Prüfen
review-waiting = { $n ->
    [one] 1 Plan wartet
   *[other] { $n } Pläne warten
}
review-waiting-aside = { $n ->
    [one] Plan wartet
   *[other] Pläne warten
}
review-all-done = Alles erledigt
review-nothing-waits = Kein Plan wartet auf Prüfung.
review-to-overview = Übersicht
review-later = Später
review-next = Nächster Plan
review-list = Pläne zum Prüfen
review-one-by-one = Einzeln prüfen
review-more-missions = Weitere Missionen
review-no-summary = Plan ohne Zusammenfassung
review-look = Ansehen
review-steps = { $n ->
    [one] 1 Schritt
   *[other] { $n } Schritte
}
review-approve-checked = Markierte annehmen
review-reject-checked = Markierte ablehnen
review-plans-approved = { $n ->
    [one] 1 Plan angenommen.
   *[other] { $n } Pläne angenommen.
}
review-plans-rejected = { $n ->
    [one] 1 Plan abgelehnt.
   *[other] { $n } Pläne abgelehnt.
}
review-plans-failed = { $n ->
    [one] 1 Plan konnte nicht gespeichert werden. Versuche es noch einmal.
   *[other] { $n } Pläne konnten nicht gespeichert werden. Versuche es noch einmal.
}

# A plan and its steps
review-no-time = Zeit unbekannt
review-nothing-to-do = Nichts zu tun
review-status-waiting = wartet auf Prüfung
review-status-approved = angenommen
review-status-rejected = abgelehnt
review-status-failed = fehlgeschlagen
review-status-running = läuft
review-status-unknown = unbekannt
review-tokens = { $tokens ->
    [one] 1 Token
   *[other] { $tokens } Tokens
}
review-failed-attempts = { $n ->
    [one] 1 fehlgeschlagener Versuch
   *[other] { $n } fehlgeschlagene Versuche
}
review-released-before = Deine Geräte haben diese Schritte vielleicht schon ausgeführt.
review-dismiss = Schließen
review-approve = Annehmen
review-approve-all = Alle { $n } annehmen
review-approve-rest = Die übrigen { $n } annehmen
review-approve-edited = Speichern und annehmen
review-reject = Ablehnen
review-reject-all = Alle ablehnen
review-reason = Grund (freiwillig)
review-edit = Bearbeiten
review-say = Dem Agenten etwas sagen
review-feedback = Rückmeldung
review-feedback-hint = Der Agent sieht das vor seinem nächsten Plan.
review-feedback-save = Rückmeldung speichern
review-you-said = Deine Worte:
review-by-device = Eines deiner Geräte führt das aus.
review-by-webhook = Ruft einen Webhook dieses Servers auf.
review-would-fail = Das würde fehlschlagen:
review-details = Einzelheiten
review-tool = Werkzeug:
review-adds = Neu in
review-deletes = Löscht aus
review-changes = Ändert in
review-step-undone = rückgängig gemacht
review-step-done = erledigt
review-step-released = freigegeben
review-step-rejected = abgelehnt
review-step-failed = fehlgeschlagen
review-step-skipped = übersprungen
review-step-called = wird aufgerufen
review-step-approved = angenommen
review-step-open = zu prüfen
review-released = Freigegebene Schritte führen deine Geräte aus.
review-undo = Rückgängig
review-again = Neu entscheiden
review-undo-all = Alles rückgängig
review-tried = { $n ->
    [one] Einmal fehlgeschlagen; wird noch einmal versucht
   *[other] { $n }-mal fehlgeschlagen; wird noch einmal versucht
}
review-automatic = Ohne Prüfung erledigt.
review-not-undone = Nicht rückgängig gemacht:

# After a decision
review-did-approve = Angenommen:
review-did-reject = Abgelehnt:
review-did-undo = Rückgängig gemacht:
review-did-fail = Nicht möglich:
review-did-approve-several = { $n } Schritte angenommen.
review-did-reject-several = { $n } Schritte abgelehnt.

# Keys
review-keys = Tastenkürzel
review-key-next = Nächster Schritt
review-key-previous = Voriger Schritt
review-key-approve = Schritt annehmen
review-key-reject = Mit Grund ablehnen
review-key-edit = Bearbeiten
review-key-undo = Letzte Entscheidung rückgängig machen
review-key-help = Diese Tasten zeigen

# Values
review-yes = Ja
review-no = Nein
review-encrypted = Verschlüsselt
review-more = { $n ->
    [one] … und 1 weiteres
   *[other] … und { $n } weitere
}
