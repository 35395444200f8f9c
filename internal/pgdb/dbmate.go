package pgdb

import (
	"database/sql"
	"net/url"
	"sync"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/amacneil/dbmate/v2/pkg/driver/postgres"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// dbmate connects through another PostgreSQL library, which reads URLs in its
// own way (no sslmode=prefer, no several hosts) and so might reach another
// server than the service does, or none. pgxDriver is dbmate's own driver on
// connections of pgx.
type pgxDriver struct {
	dbmate.Driver
	config *pgx.ConnConfig
}

// Open implements dbmate.Driver.
func (d pgxDriver) Open() (*sql.DB, error) { return stdlib.OpenDB(*d.config), nil }

const pgxScheme = "authservice-pgx"

// pgxConfigs hands a connection's settings to the driver, to which dbmate
// passes nothing but a URL.
var pgxConfigs sync.Map

func init() {
	dbmate.RegisterDriver(func(c dbmate.DriverConfig) dbmate.Driver {
		config, _ := pgxConfigs.Load(c.DatabaseURL.Host)
		return pgxDriver{Driver: postgres.NewDriver(c), config: config.(*pgx.ConnConfig)}
	}, pgxScheme)
}

// overPgx returns a URL by which dbmate connects as config says, until done is called.
func overPgx(config *pgx.ConnConfig) (u *url.URL, done func()) {
	id := uuid.NewString()
	pgxConfigs.Store(id, config)
	return &url.URL{Scheme: pgxScheme, Host: id}, func() { pgxConfigs.Delete(id) }
}
