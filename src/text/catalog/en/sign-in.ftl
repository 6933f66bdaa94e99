# Signing in.

sign-in-title = Sign in
sign-in-by-link = Open the link that the server printed when it started, or make a new one in its data directory:
sign-in-by-token = With a token
sign-in-token = Access token
sign-in-token-made = { $command } prints one.
sign-in-token-provided = From your identity provider.
sign-in-link = This link signs you in, once.
sign-in-link-of = This link signs you in as { $user }, once.
sign-in-removed = You were removed from this server. Its administrator can invite you again.
sign-in-link-used = This link was used already. Each link works once.
sign-in-link-unknown = Link expired or invalid.
sign-in-who = Who are you?
sign-in-who-known = These people have missions here:
sign-in-who-name = Your name
sign-in-who-other = Another name
sign-in-who-hint = The user id of your missions. Your other devices sign in with the same one.
sign-in-continue = Continue
