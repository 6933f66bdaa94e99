# Welche verschlüsselten Einträge gelesen wurden und welche geschlossen blieben.

access-lead = Verschlüsselte Einträge werden nur gelesen, wenn eines deiner Geräte es für eine Mission erlaubt. Jeder Versuch steht hier, bevor der Eintrag benutzt wird. Niemand kann eine Zeile ändern oder löschen.
access-none = Es wurde nichts Verschlüsseltes gelesen.
access-read = { $mission } hat { $record } aus { $table } gelesen.
access-closed = { $mission } konnte { $record } aus { $table } nicht lesen.
access-outside = Dein Gerät hat diesen Eintrag für die Mission nicht freigegeben.
access-not-configured = Dieser Server hat keinen Schlüssel, um die Freigabe deines Geräts zu öffnen.
access-malformed = Die Freigabe deines Geräts ist nicht lesbar.
access-expired = Die Freigabe deines Geräts ist abgelaufen. Erteile auf dem Gerät eine neue.
access-wrong-mission = Die Freigabe deines Geräts gilt für eine andere Mission.
access-wrap-rejected = Dein Gerät hat die Freigabe für einen anderen Server erteilt.
access-not-authentic = Der Eintrag wurde mit einem anderen Schlüssel verschlüsselt oder danach verändert.
access-damaged = Der verschlüsselte Text ist beschädigt.
access-none-chosen = Keine Zugriffe für diese Auswahl.
access-mission = Mission
access-table = Einträge
access-all = Alle
access-filter = Filtern
