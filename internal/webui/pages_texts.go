package webui

// pageTexts are the words of the hosted pages in one language. The script puts a time in the place of {when}
// ("in 30 seconds"), and in the place of {reason} what the API says, in English ("it is among …").
type pageTexts struct {
	Lang string // BCP 47.

	Verify, Reset, Invited step

	Hint string // What a password may be.
	Show string
	Home string

	Incomplete  string // The link has no token, or the page was loaded again.
	NotValid    string // The service refuses the token.
	EmailTaken  string
	Length      string // The password is too short or too long.
	Rejected    string
	TooMany     string
	Unavailable string
	Soon        string // For {when}, where nobody knows.
	Unreachable string
	Failed      string
	NoScript    string
}

// step is what one kind of link asks a person to do.
type step struct {
	Title, Intro string
	Label        string // Of the password's field, if there is one.
	Button, Done string
}

// pagesTexts is the table, the fallback first.
func pagesTexts(product string) []pageTexts {
	return []pageTexts{
		{
			Lang: "en",
			Verify: step{
				Title:  "Confirm your e-mail address",
				Intro:  "Press the button to confirm that this e-mail address is yours.",
				Button: "Confirm address",
				Done:   "Your e-mail address is confirmed. You can close this page and return to " + product + ".",
			},
			Reset: step{
				Title:  "Choose a new password",
				Intro:  "With it you sign in to " + product + " from now on.",
				Label:  "New password",
				Button: "Save password",
				Done:   "Your password is changed, and you are signed out on all devices. Sign in with the new password.",
			},
			Invited: step{
				Title:  "Choose your password",
				Intro:  "Welcome to " + product + "! Your account is ready; all it needs is a password.",
				Label:  "Password",
				Button: "Save password",
				Done:   "Your password is set. You can now sign in to " + product + ".",
			},
			Hint:        "8 to 256 characters. Any characters will do; a long sentence is fine.",
			Show:        "Show password",
			Home:        "Continue to " + product,
			Incomplete:  "Something is missing here. Please open the link in your e-mail again.",
			NotValid:    "This link is not valid any more: it has expired, has already been used, or a newer one was sent. Please ask for a new one.",
			EmailTaken:  "This e-mail address now belongs to another account, so it cannot become yours.",
			Length:      "The password must have 8 to 256 characters.",
			Rejected:    "This password cannot be used: {reason}. Please choose another one.",
			TooMany:     "Too many attempts. Please try again {when}.",
			Unavailable: "The service is busy right now. Please try again {when}.",
			Soon:        "in a moment",
			Unreachable: "The service could not be reached. Please check your connection and try again.",
			Failed:      "Something went wrong on our side. Please try again.",
			NoScript:    "This page needs JavaScript. Please turn it on and load the page again, or open the link in another browser.",
		},
		{
			Lang: "de",
			Verify: step{
				Title:  "Bestätige deine E-Mail-Adresse",
				Intro:  "Bestätige mit einem Klick, dass diese E-Mail-Adresse dir gehört.",
				Button: "Adresse bestätigen",
				Done:   "Deine E-Mail-Adresse ist bestätigt. Du kannst diese Seite schließen und zu " + product + " zurückkehren.",
			},
			Reset: step{
				Title:  "Wähle ein neues Passwort",
				Intro:  "Damit meldest du dich ab jetzt bei " + product + " an.",
				Label:  "Neues Passwort",
				Button: "Passwort speichern",
				Done:   "Dein Passwort ist geändert, und du bist auf allen Geräten abgemeldet. Melde dich mit dem neuen Passwort an.",
			},
			Invited: step{
				Title:  "Wähle dein Passwort",
				Intro:  "Willkommen bei " + product + "! Dein Konto ist bereit, es fehlt nur noch ein Passwort.",
				Label:  "Passwort",
				Button: "Passwort speichern",
				Done:   "Dein Passwort ist gespeichert. Du kannst dich jetzt bei " + product + " anmelden.",
			},
			Hint:        "8 bis 256 Zeichen. Alle Zeichen sind erlaubt, gern auch ein langer Satz.",
			Show:        "Passwort anzeigen",
			Home:        "Weiter zu " + product,
			Incomplete:  "Hier fehlt etwas. Bitte öffne den Link in deiner E-Mail noch einmal.",
			NotValid:    "Dieser Link gilt nicht mehr: Er ist abgelaufen, wurde schon benutzt, oder es gibt einen neueren. Bitte fordere einen neuen an.",
			EmailTaken:  "Diese E-Mail-Adresse gehört inzwischen zu einem anderen Konto und kann nicht deine werden.",
			Length:      "Das Passwort muss 8 bis 256 Zeichen haben.",
			Rejected:    "Dieses Passwort kann nicht verwendet werden ({reason}). Bitte wähle ein anderes.",
			TooMany:     "Zu viele Versuche. Bitte versuche es {when} noch einmal.",
			Unavailable: "Der Dienst ist gerade überlastet. Bitte versuche es {when} noch einmal.",
			Soon:        "gleich",
			Unreachable: "Der Dienst ist nicht erreichbar. Bitte prüfe deine Verbindung und versuche es noch einmal.",
			Failed:      "Auf unserer Seite ist etwas schiefgegangen. Bitte versuche es noch einmal.",
			NoScript:    "Diese Seite braucht JavaScript. Bitte schalte es ein und lade die Seite neu, oder öffne den Link in einem anderen Browser.",
		},
		{
			Lang: "it",
			Verify: step{
				Title:  "Conferma il tuo indirizzo e-mail",
				Intro:  "Premi il pulsante per confermare che questo indirizzo e-mail è tuo.",
				Button: "Conferma indirizzo",
				Done:   "Il tuo indirizzo e-mail è confermato. Puoi chiudere questa pagina e tornare a " + product + ".",
			},
			Reset: step{
				Title:  "Scegli una nuova password",
				Intro:  "D’ora in poi accederai a " + product + " con questa.",
				Label:  "Nuova password",
				Button: "Salva password",
				Done:   "La tua password è cambiata e l’accesso è stato chiuso su tutti i dispositivi. Accedi con la nuova password.",
			},
			Invited: step{
				Title:  "Scegli la tua password",
				Intro:  "Un caloroso benvenuto da " + product + "! Il tuo account è pronto, manca solo una password.",
				Label:  "Password",
				Button: "Salva password",
				Done:   "La tua password è salvata. Ora puoi accedere a " + product + ".",
			},
			Hint:        "Da 8 a 256 caratteri. Qualsiasi carattere va bene, anche una lunga frase.",
			Show:        "Mostra password",
			Home:        "Continua su " + product,
			Incomplete:  "Qui manca qualcosa. Apri di nuovo il link nella tua e-mail.",
			NotValid:    "Questo link non è più valido: è scaduto, è già stato usato o ne è stato inviato uno più recente. Richiedine uno nuovo.",
			EmailTaken:  "Questo indirizzo e-mail ora appartiene a un altro account e non può diventare il tuo.",
			Length:      "La password deve avere da 8 a 256 caratteri.",
			Rejected:    "Questa password non può essere usata ({reason}). Scegline un’altra.",
			TooMany:     "Troppi tentativi. Riprova {when}.",
			Unavailable: "Il servizio è sovraccarico. Riprova {when}.",
			Soon:        "tra poco",
			Unreachable: "Il servizio non è raggiungibile. Controlla la connessione e riprova.",
			Failed:      "Qualcosa è andato storto da parte nostra. Riprova.",
			NoScript:    "Questa pagina ha bisogno di JavaScript. Attivalo e ricarica la pagina, oppure apri il link in un altro browser.",
		},
	}
}
