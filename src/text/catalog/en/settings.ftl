# Settings and people.

settings-title = Settings
settings-back = ← Settings
settings-save = Save
settings-you = You
settings-language = Language
settings-by-browser = As in the browser
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
settings-price = Price of a million tokens
settings-price-hint = With a currency, such as 0.60 EUR. Insights then tell what plans cost.
settings-price-example = 0.60 EUR
settings-fixed = Fixed by { $place }.
settings-fixed-environment = Fixed by an environment variable.
settings-fixed-demo = Fixed by the demo.
settings-test = Test
settings-list = List models
settings-models = { $count ->
    [one] The server has { $count } model:
   *[other] The server has { $count } models:
 }
settings-answered = { $model } answered in { $took }:
settings-sessions = Signed in
settings-session = { $browser }, since { $since }, until { $until }
settings-browser = { $system ->
    [android] { $browser } on Android
    [chromeos] { $browser } on ChromeOS
    [ipad] { $browser } on iPad
    [iphone] { $browser } on iPhone
    [linux] { $browser } on Linux
    [macos] { $browser } on macOS
    [windows] { $browser } on Windows
   *[other] { $browser }
 }
settings-browser-unknown = A browser
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
settings-invite-name = Name to sign in with
settings-invite-make = Create a link
settings-invite-link = Send this link to the person:
settings-invite-once = It works once, within a day.
settings-invite-again = New link
settings-uninvite = Withdraw invitation
settings-role = Role
settings-role-hint = An administrator also sees and changes the settings of the server.
settings-member = member
settings-admin = administrator
settings-make-admin = Make administrator
settings-make-member = Make member
settings-joined = Here since { $at }
settings-invited = Invited { $at }, not signed in yet
settings-sign-out = Sign out everywhere
settings-people-back = ← People
settings-remove = Remove…
settings-remove-title = Remove with everything
settings-remove-what = This removes { $person } for good. It can't be undone.
settings-remove-gone = All their missions, agents, plans, records and their history are deleted.
settings-remove-out = They are signed out everywhere, and their apps can no longer save anything here.
settings-remove-stays = Backups made before still contain their data, until you delete them.
settings-remove-type = Type { $person } to confirm
settings-remove-sure = Remove for good
settings-remove-mistyped = That isn't their name as it is written above. Nothing was removed.
settings-removing = { $person } is being removed.
settings-taken = Somebody of this name is here already.
settings-stranger = Has data here, but never signed in.
settings-only-admin = The only administrator
settings-last-admin = Somebody has to administer the server. Make somebody else an administrator first.
settings-backup = Backup
settings-backup-last = Last backup: { $at }
settings-backup-none = No backup was made yet.
settings-backup-now = Back up now
settings-backup-hint = The newest five stay in the data directory. Copy them, and the keys beside the database, to a safe place.
settings-backup-made = The backup is in { $file }.
settings-backup-elsewhere = The database is in Postgres, whose own tools back it up. Copy the keys of the data directory, too.
settings-limits = Limits
settings-limits-hint = Set by the configuration of the server.
settings-limit = { $count }
settings-limit-size = { $size }
settings-no-limit = no limit
settings-limit-plans = Plans of a mission that may await review
settings-limit-calls = Model calls of a person a day
settings-limit-tokens = Tokens of a person a day
settings-limit-rows = Changes in the log of a person
settings-limit-bytes = Size of the log of a person
settings-server-zone = Zone of schedules without their own
settings-wrong-name = A name has 1 to 200 characters.
settings-wrong-days = A token lasts 1 to { $most } days.
settings-wrong-language = This language is not available.
settings-wrong-too-long = A value is too long.
settings-wrong-address = The address must begin with http:// or https://, such as http://127.0.0.1:11434.
settings-wrong-address-password = The address must not have a password in it; use the key.
settings-wrong-key-of-another = The key or headers of the model server are set outside of this page; set its address there, too.
settings-wrong-key = A key has letters, digits and signs only, without blanks.
settings-wrong-price = The price must be a number and, if you like, a currency, such as 0.60 EUR.
settings-wrong-no-model = A model is needed; “List models” shows what the server has.
settings-wrong-not-saved = The setting could not be saved: { $why }
settings-backup-under-way = A backup is being made already.
settings-backup-not-made = The directory of backups could not be made: { $why }
