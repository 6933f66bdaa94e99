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
runs-without-time = { $why }; die Mission läuft erst wieder, wenn ihr Zeitplan stimmt
