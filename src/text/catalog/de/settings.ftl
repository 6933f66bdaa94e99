# Einstellungen und Leute.

settings-title = Einstellungen
settings-back = ← Einstellungen
settings-save = Speichern
settings-you = Für dich
settings-language = Sprache
settings-by-browser = Wie im Browser
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
settings-price = Preis für eine Million Tokens
settings-price-hint = Mit Währung, etwa 0,60 EUR. Die Auswertung zeigt dann, was Pläne kosten.
settings-price-example = 0,60 EUR
settings-fixed = Festgelegt durch { $place }.
settings-fixed-environment = Festgelegt durch eine Umgebungsvariable.
settings-fixed-demo = Festgelegt durch die Demo.
settings-test = Testen
settings-list = Modelle auflisten
settings-models = { $count ->
    [one] Der Server hat { $count } Modell:
   *[other] Der Server hat { $count } Modelle:
 }
settings-answered = { $model } antwortete in { $took }:
settings-sessions = Angemeldet
settings-session = { $browser }, seit { $since }, bis { $until }
settings-browser = { $system ->
    [android] { $browser } unter Android
    [chromeos] { $browser } unter ChromeOS
    [ipad] { $browser } auf dem iPad
    [iphone] { $browser } auf dem iPhone
    [linux] { $browser } unter Linux
    [macos] { $browser } unter macOS
    [windows] { $browser } unter Windows
   *[other] { $browser }
 }
settings-browser-unknown = Ein Browser
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
settings-invite-link = Schicke der Person diesen Link:
settings-invite-once = Er gilt einmal, einen Tag lang.
settings-invite-again = Neuer Link
settings-uninvite = Einladung zurücknehmen
settings-role = Rolle
settings-role-hint = Wer verwaltet, sieht und ändert auch die Einstellungen des Servers.
settings-member = Mitglied
settings-admin = Verwaltung
settings-make-admin = Zur Verwaltung machen
settings-make-member = Zum Mitglied machen
settings-joined = Dabei seit { $at }
settings-invited = Eingeladen { $at }, noch nicht angemeldet
settings-sign-out = Überall abmelden
settings-people-back = ← Leute
settings-remove = Entfernen …
settings-remove-title = Mit allem entfernen
settings-remove-what = { $person } wird für immer entfernt. Das lässt sich nicht rückgängig machen.
settings-remove-gone = Alle Missionen, Agenten, Pläne, Einträge und ihr Verlauf werden gelöscht.
settings-remove-out = Alle Anmeldungen enden, und ihre Apps können hier nichts mehr speichern.
settings-remove-stays = Frühere Sicherungen enthalten ihre Daten weiter, bis du sie löschst.
settings-remove-type = Zur Bestätigung { $person } eintippen
settings-remove-sure = Endgültig entfernen
settings-remove-mistyped = Das ist nicht der Name, wie er oben steht. Es wurde nichts entfernt.
settings-removing = { $person } wird entfernt.
settings-taken = Jemand mit diesem Namen ist schon da.
settings-stranger = Hat Daten hier, war aber nie angemeldet.
settings-only-admin = Verwaltet den Server allein
settings-last-admin = Jemand muss den Server verwalten. Lass zuerst jemand anderen verwalten.
settings-backup = Sicherung
settings-backup-last = Letzte Sicherung: { $at }
settings-backup-none = Es gibt noch keine Sicherung.
settings-backup-now = Jetzt sichern
settings-backup-hint = Die neuesten fünf bleiben im Datenverzeichnis. Kopiere sie und die Schlüssel neben der Datenbank an einen sicheren Ort.
settings-backup-made = Die Sicherung liegt in { $file }.
settings-backup-elsewhere = Die Datenbank liegt in Postgres, dessen eigene Werkzeuge sie sichern. Kopiere auch die Schlüssel im Datenverzeichnis.
settings-limits = Grenzen
settings-limits-hint = Festgelegt durch die Konfiguration des Servers.
settings-limit = höchstens { $count }
settings-limit-size = höchstens { $size }
settings-no-limit = unbegrenzt
settings-limit-plans = Pläne einer Mission, die auf Prüfung warten dürfen
settings-limit-calls = Modellaufrufe je Person und Tag
settings-limit-tokens = Tokens je Person und Tag
settings-limit-rows = Änderungen im Protokoll je Person
settings-limit-bytes = Größe des Protokolls je Person
settings-server-zone = Zone von Zeitplänen ohne eigene
settings-wrong-name = Ein Name hat 1 bis 200 Zeichen.
settings-wrong-days = Ein Token gilt 1 bis { $most } Tage.
settings-wrong-language = Diese Sprache gibt es hier nicht.
settings-wrong-too-long = Ein Wert ist zu lang.
settings-wrong-address = Die Adresse muss mit http:// oder https:// beginnen, etwa http://127.0.0.1:11434.
settings-wrong-address-password = In der Adresse darf kein Passwort stehen; nimm den Schlüssel.
settings-wrong-key-of-another = Schlüssel oder Header des Modellservers sind außerhalb dieser Seite festgelegt; lege dort auch seine Adresse fest.
settings-wrong-key = Ein Schlüssel besteht nur aus Buchstaben, Ziffern und Zeichen, ohne Leerzeichen.
settings-wrong-price = Der Preis muss eine Zahl sein, gern mit einer Währung, etwa 0,60 EUR.
settings-wrong-no-model = Es fehlt ein Modell; „Modelle auflisten“ zeigt, welche der Server hat.
settings-wrong-not-saved = Die Einstellung ließ sich nicht speichern: { $why }
settings-backup-under-way = Es wird schon eine Sicherung gemacht.
settings-backup-not-made = Das Verzeichnis für Sicherungen ließ sich nicht anlegen: { $why }
