import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import * as z from 'zod';
import { severities } from '../../shared/finding/severity.ts';
import type { createRandom } from '../host/random.ts';

const lineSchema = z.object({ object: z.object({ metadata: z.object({ namespace: z.string(), name: z.string() }) }) });

const countsSchema = z.object({
  total: z.number(),
  items: z.array(z.object({ value: z.string(), total: z.number() })),
});

const tableSchema = z.object({ isComplete: z.boolean(), views: z.object({ open: z.array(z.number()) }) });

interface ViewerOptions {
  readonly url: string;
  readonly token: string;
  readonly random: ReturnType<typeof createRandom>;
  readonly isOver: () => boolean;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const questions = [
  '/observations/counts?by=source&view=open',
  '/observations/counts?by=workload',
  '/observations/table?view=open&limit=100',
  '/observations/table?view=gone',
  '/observations?limit=50',
] as const;

/** Somebody who looks at the page all the time: it asks, and follows what changes. */
export function createViewer({ url, token, random, isOver }: ViewerOptions) {
  const counts = { asked: 0, answered: 0, changes: 0, streams: 0 };
  /** Of what the stream has told a change. */
  const seen = new Set<string>();
  const leaving = new AbortController();
  const headers = { authorization: `Bearer ${token}` };

  async function ask(path: string): Promise<unknown> {
    counts.asked += 1;
    const answer = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    counts.answered += 1;
    return answer.json();
  }

  async function followOnce(): Promise<void> {
    const { body, ok } = await fetch(`${url}/observations?watch=1&brief=1`, { headers, signal: leaving.signal });
    if (!ok || !body) return void (await body?.cancel());
    counts.streams += 1;
    for await (const line of createInterface(Readable.fromWeb(body))) {
      if (line === '') continue;
      const { namespace, name } = lineSchema.parse(JSON.parse(line)).object.metadata;
      counts.changes += 1;
      seen.add(`${namespace}/${name}`);
    }
  }

  return {
    counts,
    seen,

    /** Asks until all is over. */
    async look(): Promise<void> {
      while (!isOver()) {
        await ask(random.pick(questions)).catch(() => undefined);
        await pause(random.below(500));
      }
    },

    /** Follows the changes, and comes back whenever the stream ends, until `leave` is called. */
    async follow(): Promise<void> {
      while (!leaving.signal.aborted) {
        await followOnce().catch(() => undefined);
        await pause(200);
      }
    },

    leave: () => leaving.abort(),

    /** What the page shows of what is open: by source, and in its table by severity. */
    async shown() {
      const { total, items } = countsSchema.parse(await ask('/observations/counts?by=source&view=open&limit=1000'));
      const { views, isComplete } = tableSchema.parse(await ask('/observations/table?view=open&limit=1'));
      return {
        total,
        bySource: Object.fromEntries(items.map((item) => [item.value, item.total])),
        bySeverity: Object.fromEntries(severities.map((severity, index) => [severity, views.open[index] ?? 0])),
        isComplete,
      };
    },
  };
}
