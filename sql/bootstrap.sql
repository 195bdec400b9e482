-- Roles and database, once per cluster, by a superuser:
--   psql -v dbname=plaza -f bootstrap.sql postgres
-- Passwords are not set here: use peer authentication on the Unix socket (etc/postgresql), or ALTER ROLE.
\set ON_ERROR_STOP on
\if :{?dbname}
\else
\set dbname plaza
\endif

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', r)
FROM unnest(ARRAY['plaza_owner', 'plaza_web', 'plaza_auth', 'plaza_relay', 'plaza_report']) AS r
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)
\gexec

SELECT format('CREATE DATABASE %I OWNER plaza_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8''', :'dbname')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'dbname')
\gexec

\connect :dbname
REVOKE ALL ON DATABASE :"dbname" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"dbname" TO plaza_owner, plaza_web, plaza_auth, plaza_relay, plaza_report;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS plaza AUTHORIZATION plaza_owner;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA plaza;
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA plaza;
ALTER DATABASE :"dbname" SET search_path = plaza;
ALTER ROLE plaza_report SET default_transaction_read_only = on;
ALTER ROLE plaza_report SET statement_timeout = '15s';
