/** Takes the steps of a script with the SDK for TypeScript; prints one result a line. */
import { readFileSync } from 'node:fs';
import { ProxyAgent } from 'undici';
import * as sdk from 'PACKAGE';

interface Step {
    client: string;
    do: string;
    seed?: number;
    observation?: any;
    count?: number;
    episode?: string;
    of?: string;
    memory?: string;
    deterministic?: boolean;
    observations?: unknown[];
    obs?: number[];
    file?: string;
    version?: string;
}

/** Of a client; times are in seconds. */
type Options = sdk.ClientOptions & Secrets & { upload_timeout?: number; tokens?: string[] };

interface Secrets {
    ca_file?: string;
    certificate_file?: string;
    certificate_key_file?: string;
    proxy?: string;
}

interface Script {
    clients: Record<string, Options>;
    steps: Step[];
}

const episodes = new Map<string, sdk.Episode>();

function episodeOf(client: sdk.Client, step: Step): sdk.Episode {
    const name = step.episode ?? '';
    const memory = step.of === undefined ? step.memory : episodes.get(step.of)?.memory;
    const episode = episodes.get(name) ?? client.episode(memory);
    episodes.set(name, episode);
    return episode;
}

async function take(client: sdk.Client, step: Step): Promise<unknown> {
    if (step.do === 'construct') {
        return client.predictions.predict(step.observation);
    }
    const observation = sdk.ObservationFromJSON(step.observation);
    const file = new Blob(step.file === undefined ? [] : [readFileSync(step.file)]);
    switch (step.do) {
        case 'predict':
            return sdk.PredictionToJSON(await client.predictions.predict(observation, step.seed));
        case 'versions_of': {
            const seeds = Array.from({ length: step.count ?? 0 }, (_, seed) => seed);
            const answers = await Promise.all(seeds.map((seed) => client.predictions.predict(observation, seed)));
            return answers.map((answer) => answer.policyVersion);
        }
        case 'decide': {
            const { seed, deterministic } = step;
            const decided = episodeOf(client, step).decide(observation, { seed, deterministic });
            return sdk.PredictionToJSON(await decided);
        }
        case 'decide_at_once': {
            const episode = episodeOf(client, step);
            const steps = Array.from({ length: step.count ?? 0 }, () => episode.decide(observation));
            return (await Promise.all(steps)).map((decided) => sdk.PredictionToJSON(decided));
        }
        case 'predict_deterministic':
            return sdk.PredictionToJSON(await client.predictions.predictDeterministic(observation));
        case 'distribution':
            return sdk.DistributionToJSON(await client.predictions.distribution(observation));
        case 'predict_batch': {
            const observations = (step.observations ?? []).map((each) => sdk.ObservationFromJSON(each));
            const answer = await client.predictions.predictBatch({ observations }, step.seed);
            return sdk.PredictionBatchToJSON(answer);
        }
        case 'predict_raw': {
            const answer = await client.predictions.predictFeatures({ obs: step.obs ?? [] }, step.seed);
            return sdk.PredictionToJSON(answer);
        }
        case 'schema':
            return client.service.schema();
        case 'versions':
            return sdk.VersionListToJSON(await client.versions.versions());
        case 'activate_version':
            return sdk.VersionReportToJSON(await client.versions.activateVersion(step.version ?? ''));
        case 'delete_version':
            await client.versions.deleteVersion(step.version ?? '');
            return null;
        case 'upload_output_mapper':
            return sdk.VersionReportToJSON(await client.versions.uploadOutputMapper(file));
        default:
            return sdk.VersionReportToJSON(await client.versions.uploadPreprocessor(file));
    }
}

async function resultOf(client: sdk.Client, step: Step): Promise<unknown> {
    try {
        return { ok: await take(client, step) };
    } catch (error) {
        if (error instanceof sdk.ProblemError) {
            const pointers = (error.problem?.errors ?? []).map((fault) => fault.pointer);
            return { refused: { status: error.status, type: error.type ?? null, pointers } };
        }
        if (error instanceof sdk.UnknownFieldError) {
            return { unknown: error.message };
        }
        if (error instanceof sdk.RedirectedError) {
            return { redirected: error.status, message: error.message };
        }
        if (error instanceof sdk.DeadlineError) {
            return { deadline: true, message: error.message };
        }
        if (error instanceof sdk.FetchError) {
            return { unreachable: true, message: error.message };
        }
        if (error instanceof sdk.AnswerError) {
            return { broken: true, message: error.message };
        }
        throw error;
    }
}

function dispatcherOf({ proxy, ca_file, certificate_file, certificate_key_file }: Secrets): ProxyAgent | undefined {
    const read = (file?: string) => (file === undefined ? undefined : readFileSync(file));
    const requestTls = { ca: read(ca_file), cert: read(certificate_file), key: read(certificate_key_file) };
    return proxy === undefined ? undefined : new ProxyAgent({ uri: proxy, requestTls });
}

function clientOf({ timeout, upload_timeout, tokens, ...known }: Options): sdk.Client {
    return new sdk.Client({
        ...known,
        token: tokens === undefined ? known.token : async () => tokens.shift() ?? '',
        timeout: timeout === undefined ? undefined : 1000 * timeout,
        fetchOptions: { dispatcher: dispatcherOf(known) },
        uploadTimeout: upload_timeout === undefined ? undefined : 1000 * upload_timeout,
    });
}

async function main(): Promise<void> {
    const script = JSON.parse(readFileSync(process.argv[2], 'utf-8')) as Script;
    const clients = new Map(Object.entries(script.clients).map(([name, options]) => [name, clientOf(options)]));
    for (const step of script.steps) {
        console.log(JSON.stringify(await resultOf(clients.get(step.client) ?? new sdk.Client(), step)));
        // Node has a connection to use again once this turn of events is over.
        await new Promise((resolve) => setImmediate(resolve));
    }
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
