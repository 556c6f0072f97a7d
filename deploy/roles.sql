-- The roles that Carethread connects as, with passwords from the environment. Safe to run again: a changed password
-- is taken over. Run with psql 15 or later, by a role that may create roles, before `carethread migrate`:
--   CARETHREAD_DB_APP_PASSWORD=… CARETHREAD_DB_ENGINE_PASSWORD=… psql -f deploy/roles.sql "$CARETHREAD_DATABASE_ADMIN_URL"
-- With CARETHREAD_DB_FHIR_PASSWORD set it also makes a database for the FHIR server of docker-compose.yml.
\set ON_ERROR_STOP on
\set QUIET on
\set app_password ''
\set engine_password ''
\set fhir_password ''
\getenv app_password CARETHREAD_DB_APP_PASSWORD
\getenv engine_password CARETHREAD_DB_ENGINE_PASSWORD
\getenv fhir_password CARETHREAD_DB_FHIR_PASSWORD

select :'app_password' = '' or :'engine_password' = '' as missing \gset
\if :missing
  \warn 'deploy/roles.sql: set CARETHREAD_DB_APP_PASSWORD and CARETHREAD_DB_ENGINE_PASSWORD'
  -- psql has no other way to end with an error.
  do $$ begin raise 'passwords are missing'; end $$;
\endif

-- Neither may bypass row-level security: that is what keeps one clinic's data from another.
select 'create role carethread_app login nosuperuser nocreatedb nocreaterole nobypassrls'
where not exists (select 1 from pg_roles where rolname = 'carethread_app') \gexec
select 'create role carethread_engine login nosuperuser nocreatedb nocreaterole nobypassrls'
where not exists (select 1 from pg_roles where rolname = 'carethread_engine') \gexec
alter role carethread_app login password :'app_password';
alter role carethread_engine login password :'engine_password';

-- A statement that fails is logged whole by default, with the patient's words in it. Only a superuser may say otherwise.
do $$
declare name text;
begin
  foreach name in array array['carethread_app', 'carethread_engine'] loop
    execute format('alter role %I set log_min_error_statement = panic', name);
    execute format('alter role %I set log_error_verbosity = terse', name);
  end loop;
exception when insufficient_privilege then
  raise warning 'deploy/roles.sql: set log_min_error_statement = panic and log_error_verbosity = terse on the server: its log would hold what patients write';
end $$;

select :'fhir_password' <> '' as with_fhir \gset
\if :with_fhir
  select 'create role carethread_fhir login nosuperuser nocreatedb nocreaterole nobypassrls'
  where not exists (select 1 from pg_roles where rolname = 'carethread_fhir') \gexec
  alter role carethread_fhir login password :'fhir_password';
  select 'create database fhir owner carethread_fhir'
  where not exists (select 1 from pg_database where datname = 'fhir') \gexec
\endif
