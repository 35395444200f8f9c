package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// StartPgBouncer puts PgBouncer in transaction mode in front of a Postgres, until
// the test ends, and returns where it listens. It has a few connections for all its
// clients, and is otherwise set up as the README says. Settings replace those.
func StartPgBouncer(t testing.TB, p *Postgres, settings ...string) (address string) {
	t.Helper()
	r := newRoom(t)
	address = freeAddresses(t, 1)[0]
	users := r.write(t, "users.txt", fmt.Sprintf("%q %q\n", runtimeRole, password))
	config := r.write(t, "pgbouncer.ini", fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
query_wait_timeout = 4
server_login_retry = 1
%s
`, portOf(p.Addr()), portOf(address), users, strings.Join(settings, "\n")))
	d := r.start(t, "pgbouncer", "pgbouncer", config)
	d.until(20*time.Second, "the start", func() bool { return listens(address) })
	return address
}
