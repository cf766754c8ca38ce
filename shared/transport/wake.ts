import { createHttpClient } from './http-client.ts';

/** A start from zero takes one or two seconds; whoever has not answered by then was not started for us. */
const longestMilliseconds = 10_000;

async function touch(address: string, signal: AbortSignal): Promise<void> {
  const client = createHttpClient({ server: new URL(address), tls: () => ({}), limit: 1 });
  try {
    const options = { signal, timeout: longestMilliseconds };
    const answer = await client.send({ method: 'GET', path: '/health', headers: {}, ...options });
    answer.on('error', () => undefined).resume();
  } catch {
    // The event itself will wake it, only later.
  } finally {
    client.close();
  }
}

/**
 * Has functions start that will soon be needed, so that their starts run at the same time as ours: any request does that.
 * Best effort, and never throws.
 */
export async function wake(addresses: readonly string[], signal: AbortSignal): Promise<void> {
  await Promise.all(addresses.map((address) => touch(address, signal)));
}
