// Package authclient is the Go client of Auth Service.
//
// [New] makes a [Client], which calls in nobody's name, or with [WithAPIKey] in
// a backend's. [Client.WithSession] makes one that calls in the name of a person
// who has logged in, and keeps their session alive. Every operation of the
// contract is a method, named after its operationId:
//
//	backend, err := authclient.New("https://auth.example.com", authclient.WithAPIKey(key))
//	…
//	t, err := backend.DebitUserCredits(ctx, user, authclient.DebitRequest{Amount: 250})
//	if authclient.IsCode(err, authclient.CodeInsufficientCredits) {
//		…
//	}
//
// What can be repeated without harm is repeated: see [Retries]. Requests that
// move credits get an Idempotency-Key, one a call, so that none is applied
// twice; [WithIdempotencyKey] names your own, which makes the whole call
// repeatable, by another process too. Refusals are errors of type [*Error].
// Lists have a second method that iterates over all pages, such as
// [Client.AllUsers].
//
// [Verifier] checks access tokens in your services without a call to this one.
// [Verifier.Middleware] does so for net/http, package echoauth for Echo.
//
// Everything may be used by several goroutines at once. What is named after a
// request (NewGetMeRequest, GetMeResponse, [ClientWithResponses]) is the
// generated client below; [Client.Raw] returns it for the rare case that needs
// the whole answer.
//
// The package needs nothing of the server.
package authclient
