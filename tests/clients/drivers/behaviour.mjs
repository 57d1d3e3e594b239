/** Uses the SDK for TypeScript as modules and otherwise; prints what came of it. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import * as sdk from 'PACKAGE';

const [url, user, password, example] = process.argv.slice(2);
const common = createRequire(import.meta.url)('PACKAGE');
const observation = sdk.ObservationFromJSON(JSON.parse(readFileSync(example, 'utf-8')));
const lines = [];
const logger = { debug: (line) => lines.push(line), warn: (line) => lines.push(line) };
const client = new sdk.Client({ url, user, password, logger });

const seeds = Array.from({ length: 20 }, (_, seed) => seed);
const parallel = await Promise.all(seeds.map((seed) => client.predictions.predict(observation, seed)));
const oneByOne = [];
for (const seed of seeds) {
    oneByOne.push(await new common.Client({ url, user, password }).predictions.predict(observation, seed));
}

const busy = createServer((_, answer) => answer.writeHead(503, { 'Retry-After': '20' }).end());
await new Promise((resolve) => busy.listen(0, '127.0.0.1', resolve));
const waiting = new sdk.Client({ url: `http://127.0.0.1:${busy.address().port}/api`, user, password });
const caller = new AbortController();
setTimeout(() => caller.abort('given up'), 100);
const begun = performance.now();
const ended = await waiting.predictions.predict(observation, 1, { signal: caller.signal }).catch((reason) => reason);
const seconds = (performance.now() - begun) / 1000;
busy.close();

const episode = client.episode();
const first = episode.decide(observation);
const second = episode.decide(observation, { signal: AbortSignal.abort('not wanted') }).catch((reason) => reason);

const own = [];
const fetching = new sdk.Client({
    url,
    user,
    password,
    headers: { 'X-Tenant': 'all' },
    fetchOptions: { keepalive: true },
    fetch: (where, init) => {
        own.push([init.headers['x-tenant'], init.headers['x-request-id'], init.keepalive]);
        return fetch(where, init);
    },
});
await fetching.predictions.predict(observation, 1, { headers: { 'X-Request-Id': 'of-one' } });

const token = await new sdk.Client({ url, token: () => Promise.reject(new Error('expired')) }).predictions
    .predict(observation)
    .catch((error) => [error instanceof sdk.ClientError, error.message]);
const shown = inspect(client, { depth: null, showHidden: true }) + JSON.stringify(client) + lines.join();
const secret = btoa(`${user}:${password}`);

console.log(
    JSON.stringify({
        same: JSON.stringify(parallel) === JSON.stringify(oneByOne),
        logged: lines.length >= seeds.length,
        ended: [ended, seconds < 10],
        episode: [(await first).policyVersion === parallel[0].policyVersion, await second],
        own,
        token,
        secret: shown.includes(password) || shown.includes(secret),
        inAddress: (() => {
            try {
                return new sdk.Client({ url: 'http://a:b@localhost/api' });
            } catch (error) {
                return error instanceof sdk.ClientError && !error.message.includes('a:b');
            }
        })(),
    }),
);
process.exit(0);
