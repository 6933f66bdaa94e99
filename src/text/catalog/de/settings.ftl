# Einstellungen und Leute.

settings-title = Einstellungen
settings-back = ← Einstellungen
settings-save = Speichern
settings-you = Für dich
settings-language = Sprache
settings-by-browser = Wie dein Browser es wünscht
settings-zone = Zeitzone
settings-zone-hint = In der Zeiten gezeigt werden. Leer: die Zone deines Geräts.
settings-model = Modell
settings-model-name = Name des Modells
settings-model-hint = Wie sein Server es nennt.
settings-model-saved = Gespeichert. Pläne entstehen ab jetzt mit diesem Modell.
settings-address = Adresse des Modellservers
settings-address-hint = Von jedem OpenAI-kompatiblen Server, etwa http://127.0.0.1:11434 für Ollama.
settings-key = Schlüssel
settings-key-hint = Falls der Server einen verlangt. Er wird geheim gespeichert und nie wieder gezeigt.
settings-key-kept = Ein Schlüssel ist gespeichert. Leer lassen, um ihn für diesen Server zu behalten.
settings-key-typed = Der eben getippte Schlüssel bleibt eine Weile gemerkt. Leer lassen, um ihn zu verwenden.
settings-key-remove = Gespeicherten Schlüssel entfernen
settings-fixed = Festgelegt durch { $place }.
settings-test = Testen
settings-list = Modelle auflisten
settings-models = { $count ->
    [one] Der Server hat { $count } Modell:
   *[other] Der Server hat { $count } Modelle:
 }
settings-answered = { $model } antwortete in { $seconds } s:
settings-sessions = Angemeldet
settings-session = Seit { $since }, bis { $until }
settings-session-this = dieser Browser
settings-session-end = Abmelden
settings-tokens = Zugangstoken
settings-tokens-hint = Mit einem Token sprechen deine anderen Apps auf diesem Server für dich. Es wird einmal gezeigt und endet von selbst.
settings-token-made = Dein Token; kopiere es jetzt:
settings-token-days = Gültig für
settings-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
 }
settings-token-make = Token erstellen
settings-people = Leute
settings-people-hint = Lade andere auf diesen Server ein. Niemand sieht die Daten anderer.
settings-people-open = Leute einladen und verwalten
settings-invite = Jemanden einladen
settings-invite-name = Anmeldename
settings-invite-make = Link erstellen
settings-invite-link = Schicke ihnen diesen Link:
settings-invite-once = Er gilt einmal, einen Tag lang.
settings-invite-again = Neuer Link
settings-uninvite = Zurücknehmen
settings-role = Rolle
settings-role-hint = Wer verwaltet, sieht und ändert auch die Einstellungen des Servers.
settings-member = Mitglied
settings-admin = Verwaltung
settings-make-admin = Verwalten lassen
settings-make-member = Zum Mitglied machen
settings-joined = Dabei seit { $at }
settings-invited = Eingeladen { $at }, noch nicht angemeldet
settings-sign-out = Überall abmelden
settings-taken = Jemand mit diesem Namen ist schon da.
settings-last-admin = Jemand muss den Server verwalten.
settings-backup = Sicherung
settings-backup-last = Letzte Sicherung: { $at }
settings-backup-none = Es gibt noch keine Sicherung.
settings-backup-now = Jetzt sichern
settings-backup-hint = Die neuesten fünf bleiben im Datenverzeichnis. Kopiere sie und die Schlüssel neben der Datenbank an einen sicheren Ort.
settings-backup-made = Die Sicherung liegt in { $file }.
settings-limits = Grenzen
settings-limits-hint = Festgelegt durch die Konfiguration des Servers.
settings-limit = höchstens { $count }
settings-no-limit = unbegrenzt
settings-limit-plans = Pläne einer Mission, die auf Durchsicht warten dürfen
settings-limit-calls = Modellaufrufe je Nutzer und Tag
settings-limit-tokens = Tokens je Nutzer und Tag
settings-limit-rows = Änderungen im Protokoll je Nutzer
settings-limit-bytes = Bytes im Protokoll je Nutzer
settings-server-zone = Zone von Zeitplänen ohne eigene
