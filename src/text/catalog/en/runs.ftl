# Runs, and how they end.

runs-dropped-deleted = the mission was deleted meanwhile
runs-dropped-state = the mission became { $state } meanwhile
runs-dropped-rescheduled = the mission was re-scheduled meanwhile from { $from } to { $to }
runs-dropped-unscheduled = the mission was re-scheduled meanwhile from { $from } to no time
runs-without-time = { $why }; the mission will not run again until its cadence is set
