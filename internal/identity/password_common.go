package identity

import (
	_ "embed" // the list
	"slices"
	"strings"
	"sync"
)

// commonPasswordList has one password a line, in lower case, in the order of
// their bytes. The file NOTICE beside it says where it is from.
//
//go:embed commonpasswords/passwords.txt
var commonPasswordList string

var commonPasswords = sync.OnceValue(func() []string {
	return strings.Split(strings.TrimSuffix(commonPasswordList, "\n"), "\n")
})

// isCommon reports whether password is, in any case, one of those that leak
// most often.
func isCommon(password string) bool {
	_, found := slices.BinarySearch(commonPasswords(), strings.ToLower(password))
	return found
}
