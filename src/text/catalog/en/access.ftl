# Which encrypted records were read, and which stayed closed.

access-lead = Encrypted records are read only when one of your devices allows it for one mission. Each attempt is noted here before the record is used. Nobody can change or remove a line.
access-none = No encrypted data was accessed.
access-read = { $mission } read { $record } of { $table }.
access-closed = { $mission } could not read { $record } of { $table }.
access-outside = Your device didn't allow this record for the mission.
access-not-configured = This server has no key to open what your device allowed.
access-malformed = What your device allowed can't be read.
access-expired = Your device's permission expired. Give a new one on the device.
access-wrong-mission = Your device's permission is for another mission.
access-wrap-rejected = Your device made its permission for another server.
access-not-authentic = It was encrypted with another key, or changed afterwards.
access-damaged = The encrypted text is damaged.
access-none-chosen = No reads match.
access-mission = Mission
access-table = Records
access-all = All
access-filter = Filter
