// Command go makes one call with each of the clients that were generated beside
// it: go run . URL EMAIL PASSWORD.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/authservice/authservice/api/generators/go/oapicodegen"
	"github.com/authservice/authservice/api/generators/go/ogen"
)

func main() {
	url, email, password := os.Args[1], os.Args[2], os.Args[3]
	for _, client := range []struct {
		name  string
		logIn func(url, email, password string) (string, error)
	}{{"oapi-codegen", byOapiCodegen}, {"ogen", byOgen}} {
		who, err := client.logIn(url, email, password)
		if err != nil || who != email {
			fmt.Fprintf(os.Stderr, "%s: logged in as %q: %v\n", client.name, who, err)
			os.Exit(1)
		}
		fmt.Printf("%s: logged in as %s\n", client.name, who)
	}
}

func byOapiCodegen(url, email, password string) (string, error) {
	client, err := oapicodegen.NewClientWithResponses(url)
	if err != nil {
		return "", err
	}
	r, err := client.LogInWithResponse(context.Background(), oapicodegen.LogInJSONRequestBody{Email: email, Password: password})
	if err != nil {
		return "", err
	}
	if r.JSON200 == nil {
		return "", fmt.Errorf("%s", r.Body)
	}
	return r.JSON200.User.Email, nil
}

func byOgen(url, email, password string) (string, error) {
	client, err := ogen.NewClient(url, nobody{})
	if err != nil {
		return "", err
	}
	r, err := client.LogIn(context.Background(), &ogen.LoginRequest{Email: email, Password: password})
	if err != nil {
		return "", err
	}
	session, ok := r.(*ogen.SessionHeaders)
	if !ok {
		return "", fmt.Errorf("%T", r)
	}
	return session.Response.User.Email, nil
}

// nobody has no credentials.
type nobody struct{}

func (nobody) ApiKeyAuth(context.Context, ogen.OperationName) (ogen.ApiKeyAuth, error) {
	return ogen.ApiKeyAuth{}, nil
}

func (nobody) BearerAuth(context.Context, ogen.OperationName) (ogen.BearerAuth, error) {
	return ogen.BearerAuth{}, nil
}
