# Settings and people.

settings-title = Settings
settings-back = ← Settings
settings-save = Save
settings-you = You
settings-language = Language
settings-by-browser = As your browser asks
settings-zone = Time zone
settings-zone-hint = In which times are shown. Leave empty for the zone of your device.
settings-model = Model
settings-model-name = Model name
settings-model-hint = As its server calls it.
settings-model-saved = Saved. Plans are made with this model from now on.
settings-address = Address of the model server
settings-address-hint = Of any OpenAI-compatible server, such as http://127.0.0.1:11434 for Ollama.
settings-key = Key
settings-key-hint = If the server asks for one. It is stored as a secret and never shown again.
settings-key-kept = A key is stored. Leave empty to keep it for this server.
settings-key-typed = The key that you typed is remembered for a while. Leave empty to use it.
settings-key-remove = Remove the stored key
settings-fixed = Fixed by { $place }.
settings-test = Test
settings-list = List models
settings-models = { $count ->
    [one] The server has { $count } model:
   *[other] The server has { $count } models:
 }
settings-answered = { $model } answered in { $seconds } s:
settings-sessions = Signed in
settings-session = Since { $since }, until { $until }
settings-session-this = this browser
settings-session-end = Sign out
settings-tokens = Access tokens
settings-tokens-hint = With a token, your other apps speak for you on this server. It is shown once and ends by itself.
settings-token-made = Your token; copy it now:
settings-token-days = Valid for
settings-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
 }
settings-token-make = Create a token
settings-people = People
settings-people-hint = Invite others to this server. Nobody sees the data of somebody else.
settings-people-open = Invite and manage people
settings-invite = Invite somebody
settings-invite-name = Name
settings-invite-make = Create a link
settings-invite-link = Send this link to them:
settings-invite-once = It works once, within a day.
settings-invite-again = New link
settings-uninvite = Take back
settings-role = Role
settings-role-hint = An administrator also sees and changes the settings of the server.
settings-member = member
settings-admin = administrator
settings-make-admin = Make administrator
settings-make-member = Make member
settings-joined = Here since { $at }
settings-invited = Invited { $at }, not signed in yet
settings-sign-out = Sign out everywhere
settings-taken = Somebody of this name is here already.
settings-last-admin = Somebody has to administer the server.
settings-backup = Backup
settings-backup-last = Last backup: { $at }
settings-backup-none = No backup was made yet.
settings-backup-now = Back up now
settings-backup-hint = The newest five stay in the data directory. Copy them, and the keys beside the database, to a safe place.
settings-backup-made = The backup is in { $file }.
settings-limits = Limits
settings-limits-hint = Set by the configuration of the server.
settings-limit = { $count }
settings-no-limit = no limit
settings-limit-plans = Plans of a mission that may await review
settings-limit-calls = Model calls of a user a day
settings-limit-tokens = Tokens of a user a day
settings-limit-rows = Changes in the log of a user
settings-limit-bytes = Bytes in the log of a user
settings-server-zone = Zone of schedules without their own
