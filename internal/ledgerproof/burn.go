package ledgerproof

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
)

// burnsFrom reads a column that says what was taken from which grants. It takes
// what the ledger writes, as PostgreSQL spells it, and nothing else: whatever
// else one might put into JSON is under no hash.
func burnsFrom(column string) (burns []creditledger.Burn, readable bool) {
	rest, ok := strings.CutPrefix(column, "[")
	if rest == "]" {
		return nil, ok
	}
	for ok {
		if rest, ok = strings.CutPrefix(rest, `{"amount": `); !ok {
			break
		}
		var amount string
		if amount, rest, ok = strings.Cut(rest, `, "grant_id": "`); !ok || len(rest) < uuidLength {
			break
		}
		n, err := strconv.ParseInt(amount, 10, 64)
		id, canonical := uuidFrom(rest[:uuidLength])
		if err != nil || amount[0] == '+' || !canonical {
			break
		}
		burns = append(burns, creditledger.Burn{GrantID: id, Amount: n})
		if rest = rest[uuidLength:]; rest == `"}]` {
			return burns, true
		}
		rest, ok = strings.CutPrefix(rest, `"}, `)
	}
	return nil, false
}

// uuidLength is that of a UUID in its usual form.
const uuidLength = 36

// uuidFrom reads a UUID of uuidLength in small letters.
func uuidFrom(text string) (id uuid.UUID, ok bool) {
	at := 0
	for i := 0; i < uuidLength; i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return id, false
			}
			continue
		}
		c := text[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return id, false
		}
		id[at/2] = id[at/2]<<4 | c
		at++
	}
	return id, true
}

// negative turns what was taken into what was given back, and the other way round.
func negative(burns []creditledger.Burn) []creditledger.Burn {
	turned := make([]creditledger.Burn, len(burns))
	for i, b := range burns {
		turned[i] = creditledger.Burn{GrantID: b.GrantID, Amount: -b.Amount}
	}
	return turned
}

// joined adds up neighbours that are of the same grant.
func joined(burns []creditledger.Burn) (all []creditledger.Burn) {
	for _, b := range burns {
		if last := len(all) - 1; last >= 0 && all[last].GrantID == b.GrantID {
			all[last].Amount += b.Amount
		} else {
			all = append(all, b)
		}
	}
	return all
}

// list shows burns to an operator.
func list(burns []creditledger.Burn) string {
	if len(burns) == 0 {
		return "nothing"
	}
	parts := make([]string, len(burns))
	for i, b := range burns {
		parts[i] = fmt.Sprintf("%d of grant %s", b.Amount, b.GrantID)
	}
	return strings.Join(parts, ", ")
}
