package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Who may call an operation can be read, not only enforced.
func TestContract_SaysWhoMayCall(t *testing.T) {
	t.Parallel()
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			if scope, ok := operation.Extensions["x-required-scope"].(string); ok {
				require.Contains(t, operation.Description, "`"+scope+"`", "%s %s", method, path)
			}
			if operation.Extensions["x-required-role"] == "admin" {
				require.Contains(t, operation.Description, "administrators", "%s %s", method, path)
			}
		}
	}
}
