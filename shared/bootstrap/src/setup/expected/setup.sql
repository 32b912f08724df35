-- Snowferry: set-up of the connection `acme` in the account myorg-acme
--
-- Gives the role SNOWFERRY_PULL SELECT on 3 tables named below, and no right to write anything.
-- Run it as ACCOUNTADMIN, for instance in a worksheet with "Run all". It may be run again: what is
-- there already stays, and the key becomes the one below.

-- ── A role that holds the rights, and a warehouse to read with

-- Everything below needs this role, or USERADMIN, SYSADMIN and SECURITYADMIN in turn.
USE ROLE ACCOUNTADMIN;

-- Holds what we may do. Nothing is granted to the user itself.
CREATE ROLE IF NOT EXISTS "SNOWFERRY_PULL";

-- The smallest size, one credit for each hour in which it runs. It starts with a
-- statement of ours and stops a minute after the last one. To use one of yours instead,
-- name it in the connection and leave this statement out.
CREATE WAREHOUSE IF NOT EXISTS "SNOWFERRY_WH" WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE COMMENT = 'Snowferry, connection acme';

-- Lets us run statements on it, not change it.
GRANT USAGE ON WAREHOUSE "SNOWFERRY_WH" TO ROLE "SNOWFERRY_PULL";

-- ── A user for a program, which can sign in by our key only

-- TYPE = SERVICE: no password, no multi-factor sign-in, no web interface.
CREATE USER IF NOT EXISTS "SVC_SNOWFERRY" TYPE = SERVICE COMMENT = 'Snowferry''s service user';

-- The public half of our key; the private half never leaves us. DESCRIBE USER then shows
-- RSA_PUBLIC_KEY_FP SHA256:EXAMPLE=
ALTER USER "SVC_SNOWFERRY" SET RSA_PUBLIC_KEY = 'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A+/EXAMPLE==';

-- Besides PUBLIC, which every user has, its only role.
GRANT ROLE "SNOWFERRY_PULL" TO USER "SVC_SNOWFERRY";

-- ── The tables that are read, and no other

-- USAGE shows that a database or schema is there, and none of its content. For a database
-- that another account shares with you, run GRANT IMPORTED PRIVILEGES ON DATABASE … instead.
GRANT USAGE ON DATABASE "CRM" TO ROLE "SNOWFERRY_PULL";
GRANT USAGE ON DATABASE "ERP" TO ROLE "SNOWFERRY_PULL";
GRANT USAGE ON SCHEMA "CRM"."PUBLIC" TO ROLE "SNOWFERRY_PULL";
GRANT USAGE ON SCHEMA "ERP"."SALES" TO ROLE "SNOWFERRY_PULL";

-- For a view write ON VIEW in place of ON TABLE.
GRANT SELECT ON TABLE "CRM"."PUBLIC"."ACCOUNTS" TO ROLE "SNOWFERRY_PULL";
GRANT SELECT ON TABLE "CRM"."PUBLIC"."USERS" TO ROLE "SNOWFERRY_PULL";
GRANT SELECT ON TABLE "ERP"."SALES"."ORDERS" TO ROLE "SNOWFERRY_PULL";

-- ── The addresses from which the user can sign in

-- A network rule lives in a schema; this one holds nothing else.
CREATE DATABASE IF NOT EXISTS SNOWFERRY;
CREATE SCHEMA IF NOT EXISTS SNOWFERRY.SETUP;

-- All our traffic leaves from these. If the rule is there already, run this instead:
-- ALTER NETWORK RULE SNOWFERRY.SETUP.ADDRESSES SET VALUE_LIST = ('203.0.113.7', '203.0.113.8');
CREATE NETWORK RULE SNOWFERRY.SETUP.ADDRESSES TYPE = IPV4 MODE = INGRESS VALUE_LIST = ('203.0.113.7', '203.0.113.8');

-- Allows what the rule lists and nothing else.
CREATE NETWORK POLICY IF NOT EXISTS SNOWFERRY_ADDRESSES ALLOWED_NETWORK_RULE_LIST = ('SNOWFERRY.SETUP.ADDRESSES');

-- For this user only: it takes the place of the account's own policy, and changes nothing
-- for anybody else.
ALTER USER "SVC_SNOWFERRY" SET NETWORK_POLICY = SNOWFERRY_ADDRESSES;
