package ledgerproof

import (
	"math/big"
	"math/bits"

	"github.com/authservice/authservice/internal/creditledger"
)

// totals are what came in and what became of it, over all accounts.
type totals struct{ issued, spent, expired, revoked, outstanding sum }

func (t *totals) add(x *transaction) {
	switch creditledger.TransactionType(x.Type) {
	case creditledger.TypeGrant:
		t.issued.add(x.Amount)
	case creditledger.TypeDebit, creditledger.TypeCapture:
		t.spent.add(-x.Amount)
	case creditledger.TypeExpiry:
		t.expired.add(-x.Amount)
	case creditledger.TypeRevocation:
		t.revoked.add(-x.Amount)
	case creditledger.TypeReversal:
		if x.Amount > 0 {
			t.spent.add(-x.Amount) // was not spent after all
		} else {
			t.revoked.add(-x.Amount) // nor granted
		}
	case creditledger.TypeTransferIn, creditledger.TypeTransferOut: // within the ledger
	}
}

// checkTotals: nothing comes from nowhere, and nothing goes there.
func (r *Report) checkTotals() error {
	accounted := new(big.Int)
	for _, part := range []*big.Int{r.Spent, r.Expired, r.Revoked, r.Outstanding} {
		accounted.Add(accounted, part)
	}
	if accounted.Cmp(r.Issued) != 0 {
		return broken("all accounts", "%s were issued, but %s spent, %s expired, %s were revoked and %s are outstanding", r.Issued, r.Spent, r.Expired, r.Revoked, r.Outstanding)
	}
	return nil
}

// sum is a sum of amounts, in 128 bits: those of many accounts together, each
// near the limit, pass 64.
type sum struct{ high, low uint64 }

func (s *sum) add(n int64) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, uint64(n), 0)       //nolint:gosec // two's complement on purpose
	s.high, _ = bits.Add64(s.high, uint64(n>>63), carry) //nolint:gosec // the same
}

func (s *sum) big() *big.Int {
	b := big.NewInt(int64(s.high)) //nolint:gosec // the same
	b.Lsh(b, 64)
	return b.Add(b, new(big.Int).SetUint64(s.low))
}
