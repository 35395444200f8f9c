-- migrate:up

-- This version changes nothing on PostgreSQL.
INSERT INTO river_migration (line, version) VALUES ('main', 8);

-- migrate:down

DELETE FROM river_migration WHERE line = 'main' AND version = 8;
