/** What programs in TypeScript do with the SDK, whatever types they have. */
import { Client, type ClientOptions, DeadlineError, type Logger, type Observation, ProblemError, SCHEMA_HASH } from 'PACKAGE';

const logger: Logger = console;
const options: ClientOptions = { url: 'http://127.0.0.1:1/api', timeout: 1_000, headers: { a: 'b' }, logger, fetch };

export async function decide(observation: Observation, signal: AbortSignal): Promise<string> {
    const client = new Client(options);
    try {
        const prediction = await client.predictions.predict(observation, 7, { signal, timeout: 500 });
        return `${prediction.action} ${prediction.policyVersion}`;
    } catch (error) {
        if (error instanceof ProblemError) {
            return `${error.status} ${error.problem?.detail}`;
        }
        return error instanceof DeadlineError ? error.message : SCHEMA_HASH;
    }
}
