// Judges the emulator with Snowflake's own driver for Node.js, unchanged.
//
//     NODE_PATH=FOLDER/node_modules node emulator_drivers.js READY_LINE_FILE
//
// Prints one line for each check and exits with 1 at the first wrong value. The driver asks for
// JSON results only, so this judges that form and its chunks; Arrow is judged by other drivers.

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const zlib = require('node:zlib');
const snowflake = require('snowflake-sdk');

snowflake.configure({ logLevel: 'OFF', additionalLogToConsole: false });

const LINE_ITEM = 'snowflake_sample_data.tpch_sf1.lineitem';

function check(name, found, expected) {
  if (!isDeepStrictEqual(found, expected)) {
    console.log(`WRONG ${name}`);
    console.log('  found   ', found);
    console.log('  expected', expected);
    process.exit(1);
  }
  console.log(`ok    ${name}`);
}

function options(ready, more) {
  const { account, warehouse, role, base_url: accessUrl, user: username } = ready;
  return {
    account, username, accessUrl, warehouse, role, representNullAsStringNull: false, ...more,
  };
}

async function connect(ready, more = { password: ready.password }) {
  const connection = snowflake.createConnection(options(ready, more));
  await new Promise((resolve, reject) => {
    connection.connectAsync((error) => (error ? reject(error) : resolve()));
  });
  return connection;
}

function close(connection) {
  return new Promise((resolve) => connection.destroy(() => resolve()));
}

// Runs one statement to its end: its rows and the driver's own view of it.
function run(connection, sqlText, more = {}) {
  return new Promise((resolve, reject) => {
    connection.execute({
      sqlText,
      ...more,
      complete: (error, statement, rows) => (error ? reject(error) : resolve({ statement, rows })),
    });
  });
}

async function rowsOf(connection, sqlText, more = {}) {
  const { rows } = await run(connection, sqlText, { rowMode: 'array', ...more });
  return rows;
}

async function one(connection, sqlText, more) {
  return (await rowsOf(connection, sqlText, more))[0][0];
}

async function changed(connection, sqlText, more) {
  return (await run(connection, sqlText, more)).statement.getNumUpdatedRows();
}

async function failsWith(action) {
  try {
    await action();
  } catch (error) {
    return Number(error.code);
  }
  return 'no error';
}

async function post(url, body, type = 'application/json') {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': type }, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const fault = (ready, order) => post(`${ready.admin_url}/faults`, JSON.stringify(order));

async function signIn(ready) {
  const byPassword = await connect(ready);
  check('password signs in', await one(byPassword, 'select current_user()'), ready.user);
  const byKey = await connect(ready, {
    authenticator: 'SNOWFLAKE_JWT', privateKeyPath: ready.private_key_path,
  });
  check('key pair signs in', await one(byKey, 'select current_role()'), ready.role);
  await close(byKey);
  check('a wrong password is refused',
    await failsWith(() => connect(ready, { password: 'wrong' })), 390100);
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const stranger = privateKey.export({ type: 'pkcs8', format: 'pem' });
  check('a stranger\'s key is refused', await failsWith(
    () => connect(ready, { authenticator: 'SNOWFLAKE_JWT', privateKey: stranger })), 390144);
  const made = await post(`${ready.admin_url}/access-tokens`, JSON.stringify({ user: ready.user }));
  const authenticator = 'PROGRAMMATIC_ACCESS_TOKEN';
  const byToken = await connect(ready, { authenticator, token: made.token });
  check('programmatic access token signs in',
    await one(byToken, 'select current_user()'), ready.user);
  await close(byToken);
  check('a made-up one is refused',
    await failsWith(() => connect(ready, { authenticator, token: 'made up' })), 394400);
  const client = { client_id: 'judge', client_secret: 'secret', user: ready.user };
  await post(`${ready.admin_url}/oauth-clients`, JSON.stringify(client));
  const form = 'grant_type=client_credentials&client_id=judge&client_secret=secret';
  const granted = await post(ready.oauth_token_url, form, 'application/x-www-form-urlencoded');
  const byOauth = await connect(ready, { authenticator: 'OAUTH', token: granted.access_token });
  check('OAuth token signs in', await one(byOauth, 'select current_user()'), ready.user);
  await close(byOauth);
  return byPassword;
}

// Column type, SQL literals, and what the driver must give as text; `null` comes last.
const VALUES = [
  ['number(38,0)', ['0', '-128', '9007199254740993', `-${'9'.repeat(38)}`],
    ['0', '-128', '9007199254740993', `-${'9'.repeat(38)}`]],
  ['number(38,9)', ['12345678901234567890.123456789', '-0.000000001'],
    ['12345678901234567890.123456789', '-0.000000001']],
  ['varchar', ["''", "'ä€𝄞'", "'a''b'"], ['', 'ä€𝄞', "a'b"]],
  ['binary', ["to_binary('00FF', 'HEX')", "to_binary('', 'HEX')"], ['00FF', '']],
  ['boolean', ['true', 'false'], ['TRUE', 'FALSE']],
  ['date', ["'0001-01-01'::date", "'1969-12-31'::date", "'9999-12-31'::date"],
    ['0001-01-01', '1969-12-31', '9999-12-31']],
  ['time(9)', ["'23:59:59.123456789'::time(9)"], ['23:59:59.123456789']],
  ['timestamp_ntz(9)', ["'2024-02-29 12:34:56.123456789'::timestamp_ntz(9)",
    "'1920-12-31 23:59:59.999999999'::timestamp_ntz(9)"],
  ['2024-02-29 12:34:56.123456789', '1920-12-31 23:59:59.999999999']],
  ['timestamp_tz(9)', ["'2024-02-29 12:34:56.5 +0530'::timestamp_tz(9)"],
    ['2024-02-29 12:34:56.500000000 +0530']],
];

const FORMATS = {
  DATE_OUTPUT_FORMAT: 'YYYY-MM-DD',
  TIME_OUTPUT_FORMAT: 'HH24:MI:SS.FF9',
  TIMESTAMP_NTZ_OUTPUT_FORMAT: 'YYYY-MM-DD HH24:MI:SS.FF9',
  TIMESTAMP_TZ_OUTPUT_FORMAT: 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM',
};

async function everyType(connection) {
  await run(connection, 'create or replace database node_judge');
  await run(connection, 'use schema node_judge.public');
  for (const [name, format] of Object.entries(FORMATS)) {
    await run(connection, `alter session set ${name} = '${format}'`);
  }
  const fetchAsString = ['Number', 'Date', 'Boolean', 'Buffer'];
  for (const [index, [type, literals, texts]] of VALUES.entries()) {
    const table = `node_judge.public.t${index}`;
    await run(connection, `create table ${table} (id number(38,0) not null, v ${type})`);
    for (const [position, literal] of [...literals, 'null'].entries()) {
      const sql = `insert into ${table} select ${position}, ${literal}`;
      check(`${type} takes ${literal.slice(0, 40)}`, await changed(connection, sql), 1);
    }
    const rows = await rowsOf(connection, `select v from ${table} order by id`, { fetchAsString });
    const found = rows.map(([value]) => value);
    check(`${type} comes back`, found, [...texts, null]);
  }
  const values = "select 1.5::float, true, null, parse_json('{\"a\": [1, null]}'), " +
    "'2024-02-29'::date";
  const [row] = await rowsOf(connection, values);
  check('values as JavaScript has them', [row[0], row[1], row[2], row[3], row[4].getTime()],
    [1.5, true, null, { a: [1, null] }, Date.UTC(2024, 1, 29)]);
  const bad = await one(connection, "select 'NaN'::float");
  check('NaN', Number.isNaN(Number(bad)), true);
}

// Reads a result row by row, as a program that keeps little does.
function stream(connection, sqlText) {
  return new Promise((resolve, reject) => {
    const seen = { rows: 0, keys: 0n };
    const statement = connection.execute({ sqlText, streamResult: true, rowMode: 'array' });
    statement.streamRows()
      .on('error', reject)
      .on('data', ([key]) => {
        seen.rows += 1;
        seen.keys += BigInt(key);
      })
      .on('end', () => resolve(seen));
  });
}

async function largeResults(connection, ready) {
  const chunks = async () => {
    const state = await (await fetch(`${ready.admin_url}/state`)).json();
    return state.requests.chunk ?? 0;
  };
  const before = await chunks();
  const sql = `select count(*), sum(l_orderkey) from ${LINE_ITEM}`;
  const [[count, keys]] = await rowsOf(connection, sql);
  const wide = `select * from ${LINE_ITEM}`;
  const seen = await stream(connection, wide);
  check('a streamed result has the rows and keys of the server',
    [seen.rows, seen.keys], [count, BigInt(keys)]);
  check('it comes in several chunks', (await chunks()) - before > 1, true);
  const rows = await rowsOf(connection, `select * from ${LINE_ITEM}`);
  check('so does one that is kept', rows.length, count);
  await fault(ready, { fault: 'status', endpoint: 'chunk', status: 503 });
  check('a chunk that fails once is fetched again', (await stream(connection, wide)).rows, count);
  const empty = await run(connection, `select * from ${LINE_ITEM} where l_orderkey < 0`);
  check('an empty result has columns and no rows',
    [empty.statement.getColumns().length, empty.rows], [16, []]);
}

async function statements(connection) {
  const table = 'node_judge.public.people';
  const all = `select id, name from ${table} order by id`;
  await run(connection, `create or replace table ${table} (id number, name varchar(20))`);
  check('insert counts',
    await changed(connection, `insert into ${table} values (1, 'a'), (2, 'b'), (3, null)`), 3);
  check('update counts', await changed(connection, `update ${table} set name = 'c' where id = 3`), 1);
  check('delete counts', await changed(connection, `delete from ${table} where id = 1`), 1);
  const merge = `merge into ${table} t using (select 3 as id union all select 4) s on t.id = s.id ` +
    "when matched then update set name = 'm' when not matched then insert (id) values (s.id)";
  check('merge counts', await changed(connection, merge), 2);
  check('what is left', await rowsOf(connection, all), [[2, 'b'], [3, 'm'], [4, null]]);
  check('binds', await rowsOf(connection, `select id from ${table} where name = ? and id < ?`,
    { binds: ['m', 10] }), [[3]]);
  check('an array of binds', await changed(connection, `insert into ${table} values (?, ?)`,
    { binds: [[5, 'e'], [6, null]] }), 2);
  check('its rows', await rowsOf(connection, `select id, name from ${table} where id > 4 order by id`),
    [[5, 'e'], [6, null]]);
  await run(connection, `alter table ${table} add column born date`);
  const described = await rowsOf(connection, `describe table ${table}`);
  check('describe', described.map((row) => [row[0], row[1]]),
    [['ID', 'NUMBER(38,0)'], ['NAME', 'VARCHAR(20)'], ['BORN', 'DATE']]);
  const shown = await rowsOf(connection, 'show tables in schema node_judge.public');
  check('show tables names it', shown.some((row) => row[1] === 'PEOPLE'), true);
  check('a missing table is 2003',
    await failsWith(() => run(connection, 'select * from node_judge.public.nothing')), 2003);
  check('nonsense is 1003', await failsWith(() => run(connection, 'selekt 1')), 1003);
  check('two statements are 8', await failsWith(() => run(connection, 'select 1; select 2')), 8);
  const script = await rowsOf(connection, 'create or replace table two (n int); select 2',
    { parameters: { MULTI_STATEMENT_COUNT: 2 } });
  check('unless they are asked for', script.length, 1);
}

async function transactions(connection, ready) {
  const other = await connect(ready);
  const table = 'node_judge.public.ledger';
  const all = `select id from ${table} order by id`;
  await run(connection, `create or replace table ${table} (id number not null)`);
  await run(connection, `insert into ${table} values (1), (2)`);
  await run(connection, 'begin');
  await run(connection, `delete from ${table} where id = 1`);
  await run(connection, `insert into ${table} values (3)`);
  check('a transaction sees itself', await rowsOf(connection, all), [[2], [3]]);
  check('others do not see it', await rowsOf(other, all), [[1], [2]]);
  await run(connection, 'rollback');
  check('a rollback undoes it', await rowsOf(connection, all), [[1], [2]]);
  await run(connection, 'begin');
  await run(connection, `insert overwrite into ${table} select id * 10 from ${table}`);
  await run(connection, 'commit');
  check('a commit is seen', await rowsOf(other, all), [[10], [20]]);
  await run(other, 'begin');
  await run(other, `truncate table ${table}`);
  await close(other);
  check('a closed session rolls back', await rowsOf(connection, all), [[10], [20]]);
  check('NULL in NOT NULL is 100072',
    await failsWith(() => run(connection, `insert into ${table} values (null)`)), 100072);
}

async function files(connection, folder) {
  const back = path.join(folder, 'back');
  fs.mkdirSync(back);
  for (const [name, text] of [['a.csv', '1,a\n2,b\n'], ['b.csv', '3,c\n']]) {
    fs.writeFileSync(path.join(folder, name), text);
  }
  await run(connection, 'create or replace table loaded (n int, t varchar)');
  for (const [stage, encryption] of [['full', 'SNOWFLAKE_FULL'], ['sse', 'SNOWFLAKE_SSE']]) {
    await run(connection, `create or replace stage ${stage} encryption = (type = '${encryption}')`);
    const put = await rowsOf(connection, `put 'file://${folder}/*.csv' @${stage}/in`);
    check(`${encryption}: PUT`, put.map((row) => [row[1], row[6]]).sort(),
      [['a.csv.gz', 'UPLOADED'], ['b.csv.gz', 'UPLOADED']]);
    const listed = await rowsOf(connection, `list @${stage}`);
    check(`${encryption}: LIST`, listed.map((row) => row[0]).sort(),
      [`${stage}/in/a.csv.gz`, `${stage}/in/b.csv.gz`]);
    const copied = await rowsOf(connection, `copy into loaded from @${stage}/in`);
    check(`${encryption}: COPY`, copied.map((row) => row.slice(1, 4)).sort(),
      [['LOADED', 1, 1], ['LOADED', 2, 2]]);
    check(`${encryption}: its rows`, await rowsOf(connection, 'select * from loaded order by n'),
      [[1, 'a'], [2, 'b'], [3, 'c']]);
    await run(connection, `get @${stage}/in/b.csv.gz 'file://${back}/'`);
    const packed = fs.readFileSync(path.join(back, 'b.csv.gz'));
    check(`${encryption}: GET`, zlib.gunzipSync(packed).toString(), '3,c\n');
    await run(connection, 'truncate table loaded');
  }
}

async function cancellation(connection, ready) {
  await fault(ready, { fault: 'hold_statements' });
  const ended = new Promise((resolve) => {
    const statement = connection.execute({
      sqlText: 'select 1',
      complete: (error) => resolve(error ? Number(error.code) : 'no error'),
    });
    const cancel = () => statement.cancel((error) => {
      // The statement may not have reached the server yet.
      if (error) setImmediate(cancel);
    });
    cancel();
  });
  check('a cancelled statement ends with 604', await ended, 604);
  await fault(ready, { fault: 'release_statements' });
  const { statement } = await run(connection, 'select 40 + 2', { asyncExec: true });
  const queryId = statement.getQueryId();
  const other = await connect(ready);
  const again = await other.getResultsFromQueryId({ queryId });
  const rows = await new Promise((resolve, reject) => {
    const found = [];
    again.streamRows().on('error', reject).on('data', (row) => found.push(Object.values(row)))
      .on('end', () => resolve(found));
  });
  check('a detached result is read in another session', rows, [[42]]);
  check('its status is known', await other.getQueryStatus(queryId), 'SUCCESS');
  await close(other);
}

async function badDays(connection, ready) {
  await fault(ready, { fault: 'expire_sessions' });
  check('an expired session is renewed by the driver', await one(connection, 'select 1 + 1'), 2);
  await run(connection, 'create or replace table node_judge.public.once (id number)');
  const insert = (id) => run(connection, `insert into node_judge.public.once values (${id})`);
  await fault(ready, { fault: 'status', endpoint: 'query', status: 503 });
  await insert(1);
  await fault(ready, { fault: 'lose_answer', endpoint: 'query' });
  await insert(2);
  check('statements that meet a 503 or lose their answer run once',
    await rowsOf(connection, 'select id from node_judge.public.once order by id'), [[1], [2]]);
}

async function main() {
  const ready = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  console.log(`snowflake-sdk ${require('snowflake-sdk/package.json').version}`);
  const connection = await signIn(ready);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'snowferry-node-'));
  try {
    await everyType(connection);
    await largeResults(connection, ready);
    await statements(connection);
    await transactions(connection, ready);
    await files(connection, folder);
    await cancellation(connection, ready);
    await badDays(connection, ready);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  await run(connection, 'drop database node_judge');
  await close(connection);
  console.log('all checks passed');
}

main().then(() => process.exit(0), (error) => {
  console.log('WRONG', error);
  process.exit(1);
});
