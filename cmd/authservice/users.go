package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/identity"
)

func usersCommand(e env) *cobra.Command {
	cmd := &cobra.Command{Use: "users", Short: "Manage users"}
	cmd.AddCommand(usersCreateCommand(e))
	return cmd
}

func usersCreateCommand(e env) *cobra.Command {
	var n identity.NewUser
	var admin bool
	cmd := &cobra.Command{
		Use:   "create --email ADDRESS [--admin]",
		Short: "Create a user; the password is prompted for, or read from standard input",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n.Role, n.EmailVerified = identity.RoleUser, true // the operator vouches for the address
			if admin {
				n.Role = identity.RoleAdmin
			}
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) (err error) {
				if n.Password, err = readPassword(e); err != nil {
					return err
				}
				user, err := d.identity.CreateUser(ctx, n)
				if err != nil {
					return apperr.Plain(err)
				}
				fmt.Fprintf(e.stdout, "%s %s %s\n", user.ID, user.Email, user.Role)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&n.Email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&n.Name, "name", "", "name")
	cmd.Flags().StringVar(&n.Locale, "locale", "", "language of mails to the user, such as de-AT")
	cmd.Flags().BoolVar(&admin, "admin", false, "make an administrator")
	if err := cmd.MarkFlagRequired("email"); err != nil {
		panic(err) // the flag stands three lines above
	}
	return cmd
}

// readPassword asks a person without showing what is typed, or reads a program's line.
func readPassword(e env) (string, error) {
	if terminal, ok := e.stdin.(*os.File); ok && term.IsTerminal(int(terminal.Fd())) {
		fmt.Fprint(e.stderr, "Password: ")
		password, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(e.stderr)
		return string(password), err
	}
	line, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
