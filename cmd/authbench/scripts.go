package main

import (
	"bytes"
	"math/rand/v2"

	"github.com/google/uuid"
)

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) } //nolint:gosec // no secret

// spread sends one kind of request, for a user drawn anew each time where the
// request has a blank for one.
type spread struct {
	request request
	users   []uuid.UUID
	random  *rand.Rand
}

func (s *spread) next() []byte {
	if s.request.id >= 0 {
		s.request.to(s.users[s.random.IntN(len(s.users))])
	}
	if s.request.key >= 0 {
		s.request.fresh(s.random)
	}
	return s.request.bytes
}

func (*spread) answered(answer) {}

// over makes a script of a request for each connection.
func over(r request, users []uuid.UUID) func(int) script {
	return func(int) script { return &spread{request: r.clone(), users: users, random: newRandom()} }
}

// keyed is a request with the API key.
func (b *bench) keyed(method, path, body string) request {
	headers := []string{"X-API-Key: " + b.apiKey}
	if method == "POST" {
		headers = append(headers, "Idempotency-Key: "+blankKey)
	}
	return newRequest(b.endpoint, method, path, body, headers...)
}

func (b *bench) debits(accounts []uuid.UUID) func(int) script {
	return over(b.keyed("POST", "/v1/users/"+blankID+"/credits/debits", `{"amount":1}`), accounts)
}

func (b *bench) balances(accounts []uuid.UUID) func(int) script {
	return over(b.keyed("GET", "/v1/users/"+blankID+"/credits", ""), accounts)
}

func (b *bench) pages(accounts []uuid.UUID) func(int) script {
	return over(b.keyed("GET", "/v1/users/"+blankID+"/credits/transactions", ""), accounts)
}

func (b *bench) granting(accounts []uuid.UUID) func(int) script {
	return over(b.keyed("POST", "/v1/users/"+blankID+"/credits/grants", `{"amount":1000}`), accounts)
}

// registrations are of addresses never seen before.
func (b *bench) registrations() func(int) script {
	body := `{"email":"` + blankKey + emailDomain + `","password":"` + b.password + `"}`
	return over(newRequest(b.endpoint, "POST", "/v1/auth/register", body), nil)
}

// passwordLogins log in the users that accounts made.
func (b *bench) passwordLogins(users []uuid.UUID) func(int) script {
	body := `{"email":"` + blankID + emailDomain + `","password":"` + b.password + `"}`
	return over(newRequest(b.endpoint, "POST", "/v1/auth/login", body), users)
}

// own sends the same request with the token of each connection's own session.
func (b *bench) own(method, path string, logins []*session) func(int) script {
	return func(i int) script {
		return &spread{request: newRequest(b.endpoint, method, path, "", "Authorization: Bearer "+logins[i].access)}
	}
}

// refreshing exchanges the refresh token of one session again and again.
type refreshing struct {
	session *session
	request []byte
	at      int // where the token stands
}

func (b *bench) refreshes(logins []*session) func(int) script {
	return func(i int) script {
		s := logins[i]
		r := newRequest(b.endpoint, "POST", "/v1/auth/refresh", `{"refresh_token":"`+s.refresh+`"}`).clone()
		return &refreshing{session: s, request: r.bytes, at: bytes.LastIndex(r.bytes, []byte(s.refresh))}
	}
}

func (r *refreshing) next() []byte { return r.request }

// answered takes the next token over. After a refusal the last one is tried
// again, as a client does.
func (r *refreshing) answered(a answer) {
	token := field(a.body, "refresh_token")
	if len(token) == len(r.session.refresh) {
		copy(r.request[r.at:], token)
		r.session.refresh = string(token)
	}
	if access := field(a.body, "access_token"); access != nil {
		r.session.access = string(access)
	}
}

// field is a string of a JSON object that has no escapes in it, nil for none.
func field(body []byte, name string) []byte {
	at := bytes.Index(body, []byte(`"`+name+`":"`))
	if at < 0 {
		return nil
	}
	value := body[at+len(name)+4:]
	end := bytes.IndexByte(value, '"')
	if end < 0 {
		return nil
	}
	return value[:end]
}

// holding places a hold and captures it, in turns.
type holding struct {
	place   spread
	capture request
	random  *rand.Rand
	hold    uuid.UUID
	placed  bool
}

func (b *bench) holds(accounts []uuid.UUID) func(int) script {
	place := b.keyed("POST", "/v1/users/"+blankID+"/credits/holds", `{"amount":1}`)
	capture := b.keyed("POST", "/v1/credits/holds/"+blankID+"/capture", `{"amount":1}`)
	return func(int) script {
		random := newRandom()
		return &holding{place: spread{request: place.clone(), users: accounts, random: random}, capture: capture.clone(), random: random}
	}
}

func (h *holding) next() []byte {
	if !h.placed {
		return h.place.next()
	}
	h.capture.to(h.hold)
	h.capture.fresh(h.random)
	return h.capture.bytes
}

func (h *holding) answered(a answer) {
	id, err := uuid.ParseBytes(field(a.body, "id"))
	h.hold, h.placed = id, !h.placed && a.status == 201 && err == nil
}

// mixture sends one of several scripts' requests, drawn by their weights.
type mixture struct {
	scripts []script
	shares  []float64 // adding up to 1
	random  *rand.Rand
	drawn   int
}

func (m *mixture) next() []byte {
	m.drawn = 0
	for x := m.random.Float64() - m.shares[0]; x >= 0 && m.drawn < len(m.scripts)-1; {
		m.drawn++
		x -= m.shares[m.drawn]
	}
	return m.scripts[m.drawn].next()
}

func (m *mixture) answered(a answer) { m.scripts[m.drawn].answered(a) }
