# Anmelden.

sign-in-title = Anmelden
sign-in-by-link = Öffne den Link, den der Server beim Start ausgegeben hat, oder erzeuge in seinem Datenverzeichnis einen neuen:
sign-in-by-token = Mit einem Token
sign-in-token = Zugangstoken
sign-in-token-made = { $command } gibt eines aus.
sign-in-token-provided = Von deinem Identitätsanbieter.
sign-in-link = Dieser Link meldet dich einmal an.
sign-in-link-of = Dieser Link meldet dich einmal als { $user } an.
sign-in-removed = Du wurdest von diesem Server entfernt. Wer ihn verwaltet, kann dich neu einladen.
sign-in-link-used = Dieser Link wurde schon benutzt. Jeder Link gilt nur einmal.
sign-in-link-unknown = Der Link ist abgelaufen oder ungültig.
sign-in-who = Wer bist du?
sign-in-who-known = Diese Personen haben hier Missionen:
sign-in-who-name = Dein Name
sign-in-who-other = Ein anderer Name
sign-in-who-hint = Die Kennung, unter der deine Missionen liegen. Deine anderen Geräte melden sich mit derselben an.
sign-in-continue = Weiter
