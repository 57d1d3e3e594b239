/** Decides by `fetch` and by the SDK in turns; prints the median of each in microseconds. */
import { readFileSync } from 'node:fs';
import * as sdk from 'PACKAGE';

async function main([url, user, password, example, ...counts]: string[]): Promise<void> {
    const [warm, calls, rows] = counts.map(Number);
    const given: unknown = JSON.parse(readFileSync(example, 'utf8'));
    const observation = sdk.ObservationFromJSON(given);
    const observations = Array<sdk.Observation>(rows).fill(observation);
    const body = rows === 1 ? given : { observations: Array(rows).fill(given) };
    const path = rows === 1 ? 'predict' : 'predict_batch';
    const proof = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const headers = { Authorization: proof, 'Content-Type': 'application/json' };
    const client = new sdk.Client({ url, user, password });
    const ways: (() => Promise<unknown>)[] = [
        async () => (await fetch(`${url}/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json(),
        () => (rows === 1 ? client.predictions.predict(observation) : client.predictions.predictBatch({ observations })),
    ];
    const taken: number[][] = [[], []];
    for (let call = 0; call < warm + calls; call += 1) {
        for (const [way, ask] of ways.entries()) {
            const begun = process.hrtime.bigint();
            await ask();
            taken[way].push(Number(process.hrtime.bigint() - begun) / 1000);
        }
    }
    console.log(taken.map((each) => each.slice(warm).sort((a, b) => a - b)[calls >> 1]).join(' '));
}

void main(process.argv.slice(2));
