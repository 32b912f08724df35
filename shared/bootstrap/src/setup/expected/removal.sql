-- Snowferry: removal of the connection `acme` from the account myorg-acme
--
-- Once the user is dropped nobody can sign in as it any more. Your tables are not touched.

-- ── The user, the role with all that was granted to it, the warehouse

USE ROLE ACCOUNTADMIN;

-- Ends all access at once.
DROP USER IF EXISTS "SVC_SNOWFERRY";

-- Its grants go with it.
DROP ROLE IF EXISTS "SNOWFERRY_PULL";

-- Leave this out if the warehouse serves others.
DROP WAREHOUSE IF EXISTS "SNOWFERRY_WH";

-- ── The addresses, unless another connection of ours uses them

DROP NETWORK POLICY IF EXISTS SNOWFERRY_ADDRESSES;

-- Holds the network rule and nothing else.
DROP DATABASE IF EXISTS SNOWFERRY;
