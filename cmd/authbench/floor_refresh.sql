-- The tables that an exchange of a refresh token touches, as the service has
-- them, with one session for each client of pgbench.
DROP SCHEMA IF EXISTS authbench CASCADE;
CREATE SCHEMA authbench;

CREATE TABLE authbench.users (LIKE public.users INCLUDING ALL);
CREATE TABLE authbench.sessions (LIKE public.sessions INCLUDING ALL, FOREIGN KEY (user_id) REFERENCES authbench.users (id));
CREATE TABLE authbench.refresh_tokens (LIKE public.refresh_tokens INCLUDING ALL, FOREIGN KEY (session_id) REFERENCES authbench.sessions (id));
CREATE TABLE authbench.audit_events (LIKE public.audit_events INCLUDING ALL);
CREATE TABLE authbench.audit_event_clients (LIKE public.audit_event_clients INCLUDING ALL, FOREIGN KEY (event_id) REFERENCES authbench.audit_events (id));

INSERT INTO authbench.users (id, email, created_at, updated_at)
SELECT md5('user-' || n)::uuid, 'user-' || n || '@authbench.invalid', now(), now() FROM generate_series(0, 31) n;
INSERT INTO authbench.sessions (id, user_id, created_at, last_used_at, expires_at)
SELECT md5('session-' || n)::uuid, md5('user-' || n)::uuid, now(), now(), now() + interval '1 day' FROM generate_series(0, 31) n;
INSERT INTO authbench.refresh_tokens (token_hash, session_id, created_at, expires_at)
SELECT sha256(convert_to(n || '-0', 'UTF8')), md5('session-' || n)::uuid, now(), now() + interval '1 day' FROM generate_series(0, 31) n;
