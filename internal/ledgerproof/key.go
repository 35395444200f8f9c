package ledgerproof

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// key is what an Idempotency-Key says of one record that it names.
type key struct {
	UserID      uuid.UUID
	Number      int64 // of the transaction or the event of a hold
	CallerID    uuid.UUID
	Key         string
	Fingerprint []byte
	Status      int16
	CreatedAt   time.Time
	Place       int64 // of its operation in a transfer or a batch, from 1; 0 if the key names one record only
	Alone       bool  // whether it says nothing else, such as a refusal
}

func (k key) owner() uuid.UUID { return k.UserID }

// Keys stand in the order of nothing that is known here. To find that of each
// record in its index would take longer than all the rest; PostgreSQL sorts them
// into the order of their records instead, on its disk if need be. No generated
// query reads from a cursor.
const (
	transactionKeys = `
		SELECT user_id, sequence, caller_id, key, fingerprint, status, created_at, 0::bigint, num_nonnulls(sequence, hold_event, parts, body) = 1
		FROM idempotency_keys WHERE sequence IS NOT NULL
		UNION ALL
		SELECT (r.value->>'user_id')::uuid, (r.value->>'sequence')::bigint, k.caller_id, k.key, k.fingerprint, k.status, k.created_at, p.ordinality, num_nonnulls(k.user_id, k.sequence, k.hold_event, k.body) = 0
		FROM idempotency_keys k
		CROSS JOIN LATERAL json_array_elements(k.parts) WITH ORDINALITY AS p
		CROSS JOIN LATERAL json_array_elements(p.value->'records') AS r
		WHERE k.parts IS NOT NULL
		ORDER BY 1, 2`
	eventKeys = `
		SELECT user_id, hold_event, caller_id, key, fingerprint, status, created_at, 0::bigint, num_nonnulls(sequence, hold_event, parts, body) = 1
		FROM idempotency_keys WHERE hold_event IS NOT NULL
		ORDER BY 1, 2`
)

// keyStream is keys in the order of what they name.
type keyStream struct {
	*stream[key]
	names string // "transaction" or "hold event"
}

func newKeyStream(s *snapshot, names, cursor, query string) keyStream {
	return keyStream{names: names, stream: newStream(s, "Idempotency-Keys", func(ctx context.Context, r reader, after key) ([]key, error) {
		if after.UserID == uuid.Nil {
			if _, err := r.db.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR "+query); err != nil {
				return nil, err
			}
		}
		rows, err := r.db.Query(ctx, fmt.Sprintf("FETCH %d FROM %s", r.size, cursor))
		if err != nil {
			return nil, err
		}
		page := make([]key, 0, r.size)
		var (
			k      key
			userID *uuid.UUID
		)
		_, err = pgx.ForEachRow(rows, []any{&userID, &k.Number, &k.CallerID, &k.Key, &k.Fingerprint, &k.Status, &k.CreatedAt, &k.Place, &k.Alone}, func() error {
			if userID == nil {
				return broken(k.String(), "it names %s %d of nobody", names, k.Number)
			}
			k.UserID = *userID
			page = append(page, k)
			return nil
		})
		return page, err
	})}
}

// What the service answers, and so stores, where something was made or changed.
const (
	statusMade    = 201
	statusChanged = 200
)

// keyOf returns the key that names a record. It checks that there is exactly the
// one under which the record was asked for, none if nobody asked.
func (a *account) keyOf(r *record, keys keyStream, number int64) (*key, error) {
	k, err := of(keys.stream, a.row.UserID)
	if err != nil {
		return nil, err
	}
	switch {
	case k != nil && k.Number < number:
		return nil, a.broken(k.String(), "it names %s %d, which was not asked for under it", keys.names, k.Number)
	case k == nil || k.Number > number:
		if r.key == nil {
			return nil, nil //nolint:nilnil // none
		}
		return nil, r.broken("the %s, under which it was asked for, is missing or does not name it", keyName(*r.key, caller(r.actorID)))
	case r.key == nil || k.Key != *r.key || k.CallerID != caller(r.actorID):
		return nil, r.broken("the %s names it, but it was not asked for under it", k)
	case !k.Alone:
		return nil, r.broken("the %s, under which it was asked for, says something else as well", k)
	case !k.CreatedAt.Equal(r.at) && (k.CreatedAt.After(a.last) || r.at.After(a.last.Add(time.Microsecond))):
		// A record has the time at which it was asked for, or, where the account was
		// ahead of that, the next one; the event of a capture has that of its transaction.
		return nil, r.broken("the %s, under which it was asked for, is of another time, %s", k, moment(k.CreatedAt))
	}
	return k, nil
}

// keyOfTransaction finds the key of a transaction.
func (a *account) keyOfTransaction(t *transaction) error {
	keys, number, status := a.transactionKeys, t.Sequence, int16(statusMade)
	if t.HoldID != nil { // a capture: its key names the event that follows
		keys, number, status = a.eventKeys, a.number+1, statusChanged
	}
	k, err := a.keyOf(&t.record, keys, number)
	if err != nil || k == nil {
		return err
	}
	t.fingerprint = k.Fingerprint
	if t.HoldID != nil {
		return nil // the event is next
	}
	keys.skip()
	switch {
	case k.Status != status:
		return t.broken("the %s, under which it was asked for, has the status %d instead of %d", k, k.Status, status)
	case k.Place == 0 && t.TransferID != nil:
		return t.broken("the %s, under which it was asked for, does not name both halves of the transfer", k)
	case k.Place > 0 && a.batch.CallerID == k.CallerID && a.batch.Key == k.Key && a.batch.Place >= k.Place:
		return t.broken("the %s, under which it was asked for, names it out of its order", k)
	case k.Place > 0:
		a.batch = *k
	}
	return nil
}

// keyOfEvent finds the key of an event of a hold.
func (a *account) keyOfEvent(e *event, status int16) error {
	k, err := a.keyOf(&e.record, a.eventKeys, e.Number)
	if err != nil || k == nil {
		return err
	}
	e.fingerprint = k.Fingerprint
	a.eventKeys.skip()
	if k.Status != status {
		return e.broken("the %s, under which it was asked for, has the status %d instead of %d", k, k.Status, status)
	}
	return nil
}

// noMoreKeys checks that no key names what the account does not have.
func (a *account) noMoreKeys() error {
	for _, keys := range []keyStream{a.transactionKeys, a.eventKeys} {
		k, err := of(keys.stream, a.row.UserID)
		if err != nil {
			return err
		}
		if k != nil {
			return a.broken(k.String(), "it names %s %d, which is not there", keys.names, k.Number)
		}
	}
	return nil
}

// String names the key.
func (k *key) String() string { return keyName(k.Key, k.CallerID) }

func keyName(key string, callerID uuid.UUID) string {
	return fmt.Sprintf("Idempotency-Key %q of caller %s", key, callerID)
}

// caller is whose a key is; uuid.Nil for the service itself.
func caller(actorID *uuid.UUID) uuid.UUID {
	if actorID == nil {
		return uuid.Nil
	}
	return *actorID
}
