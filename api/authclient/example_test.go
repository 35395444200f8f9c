package authclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/google/uuid"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/api/authclient/authtest"
)

// A backend calls with an API key.
func ExampleNew() {
	ctx, url, key := context.Background(), shared.BaseURL, shared.APIKey

	backend, err := authclient.New(url, authclient.WithAPIKey(key))
	if err != nil {
		log.Fatal(err)
	}
	for user, err := range backend.AllUsers(ctx, &authclient.ListUsersParams{Role: new(authclient.UserRoleAdmin)}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.Email, user.Status)
	}
	// Output: admin@example.com active
}

// A person registers or logs in. Their client keeps the session alive by itself.
func ExampleClient_WithSession() {
	ctx, url, email := context.Background(), shared.BaseURL, uuid.NewString()+"@example.com"

	client, err := authclient.New(url)
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.RegisterUser(ctx, authclient.RegisterRequest{
		Email: email, Password: "correct horse battery staple", Name: new("Ada Lovelace"),
	})
	if errors.Is(err, authclient.ErrAccepted) {
		fmt.Println("Follow the link that was mailed to you.") // Where addresses must be verified first.
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	ada := client.WithSession(*session, func(next authclient.Session) {
		_ = next // Store it in place of session, to go on with it after a restart.
	})
	me, err := ada.GetMe(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(me.Name, me.Role)
	if err := ada.LogOut(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: Ada Lovelace user
}

// Name a debit after what is paid for: then it can be sent again, by whatever
// process, and is applied once.
func ExampleWithIdempotencyKey() {
	ctx, url, key, ada := context.Background(), shared.BaseURL, shared.APIKey, exampleUser()

	backend, err := authclient.New(url, authclient.WithAPIKey(key))
	if err != nil {
		log.Fatal(err)
	}
	_, err = backend.GrantUserCredits(ctx, ada, authclient.GrantRequest{Amount: 10_000, Reference: new("invoice-77")},
		authclient.WithIdempotencyKey("invoice-77"))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		order, err := backend.DebitUserCredits(ctx, ada, authclient.DebitRequest{Amount: 250, Reference: new("order-1042")},
			authclient.WithIdempotencyKey("order-1042"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(order.Sequence, order.Type, order.Amount, order.BalanceAfter)
	}
	// Output:
	// 2 debit -250 9750
	// 2 debit -250 9750
}

// Decide by the code of a refusal.
func ExampleIsCode() {
	ctx, url, key, ada := context.Background(), shared.BaseURL, shared.APIKey, exampleUser()

	backend, err := authclient.New(url, authclient.WithAPIKey(key))
	if err != nil {
		log.Fatal(err)
	}
	_, err = backend.DebitUserCredits(ctx, ada, authclient.DebitRequest{Amount: 250})
	if authclient.IsCode(err, authclient.CodeInsufficientCredits) {
		refusal, _ := errors.AsType[*authclient.Error](err)
		fmt.Println("It costs", refusal.Required, "and you have", refusal.Available)
	} else if err != nil {
		log.Fatal(err)
	}
	// Output: It costs 250 and you have 0
}

// Look through a list without thinking of pages.
func ExampleClient_AllUserCreditTransactions() {
	ctx, url, key, ada := context.Background(), shared.BaseURL, shared.APIKey, exampleUser()

	backend, err := authclient.New(url, authclient.WithAPIKey(key))
	if err != nil {
		log.Fatal(err)
	}
	for amount := range 3 {
		if _, err := backend.GrantUserCredits(ctx, ada, authclient.GrantRequest{Amount: int64(amount) + 1}); err != nil {
			log.Fatal(err)
		}
	}
	for t, err := range backend.AllUserCreditTransactions(ctx, ada, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(t.Sequence, t.Type, t.Amount, t.BalanceAfter)
	}
	// Output:
	// 3 grant 3 6
	// 2 grant 2 3
	// 1 grant 1 1
}

// Your own services know who is calling without asking Auth Service.
func ExampleVerifier_Middleware() {
	url, token := shared.BaseURL, exampleToken()

	verifier, err := authclient.NewVerifier(url) // once
	if err != nil {
		log.Fatal(err)
	}
	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := authclient.IdentityFrom(r.Context())
		fmt.Fprintln(w, "reports for a", caller.Role)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /reports", verifier.Middleware(reports))
	mux.Handle("GET /all-reports", verifier.RequireRole(authclient.UserRoleAdmin, reports))

	for _, path := range []string{"/reports", "/all-reports"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 reports for a user
	// 403 {"type":"urn:authservice:problem:insufficient_scope","title":"Forbidden","status":403,"detail":"You may not do this.","code":"insufficient_scope"}
}

// Tests of a service that verifies tokens need no Auth Service.
func Example_testing() {
	issuer := authtest.NewIssuer()
	defer issuer.Close()

	verifier, err := authclient.NewVerifier(issuer.URL)
	if err != nil {
		log.Panic(err)
	}
	token := issuer.Token(authclient.Identity{Role: authclient.UserRoleAdmin})
	caller, err := verifier.Verify(context.Background(), token)
	fmt.Println(caller.Role, err)
	// Output: admin <nil>
}

func exampleSession() *authclient.Session {
	client, err := authclient.New(shared.BaseURL)
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.RegisterUser(context.Background(), authclient.RegisterRequest{Email: uuid.NewString() + "@example.com", Password: password})
	if err != nil {
		log.Fatal(err)
	}
	return session
}

func exampleUser() uuid.UUID { return exampleSession().User.ID }

func exampleToken() string { return exampleSession().AccessToken }
