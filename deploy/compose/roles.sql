-- Run once, by an administrator, on an empty PostgreSQL: the roles and the database.
-- The passwords come from the environment.
\set ON_ERROR_STOP on
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv password DATABASE_PASSWORD

CREATE ROLE authservice_runtime NOLOGIN;
CREATE ROLE authservice_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE authservice LOGIN PASSWORD :'password' IN ROLE authservice_runtime;

-- PgBouncer passes none of these on, so that the role brings them along:
-- AUTH_DATABASE_STATEMENT_TIMEOUT, _LOCK_TIMEOUT, and twice the former.
ALTER ROLE authservice SET statement_timeout = '8s';
ALTER ROLE authservice SET lock_timeout = '4s';
ALTER ROLE authservice SET idle_in_transaction_session_timeout = '16s';

CREATE DATABASE authservice OWNER authservice_owner;
REVOKE ALL ON DATABASE authservice FROM PUBLIC;
GRANT CONNECT ON DATABASE authservice TO authservice_runtime;
