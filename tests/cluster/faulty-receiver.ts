import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { freePort } from '../bench/measure.ts';

/** What becomes of a post to a receiver. */
export type Fate = 'taken' | 'refused' | 'taken, but the answer is lost' | 'lost';

interface ReceiverOptions {
  /** Resolves to the status to answer; rejects where there is nobody to answer. */
  readonly take: (body: string) => Promise<number>;
  readonly fate: () => Fate;
}

/** A receiver, or the way to one, that fails as `fate` says, and can be cut off. */
export async function startReceiver({ take, fate }: ReceiverOptions) {
  const statuses = new Map<number, number>();
  const create = () =>
    createServer(async (incoming, outgoing) => {
      const body = await text(incoming).catch(() => undefined);
      const chosen = fate();
      if (body === undefined || chosen === 'lost') return void incoming.socket.destroy();
      const status = chosen === 'refused' ? 503 : await take(body).catch(() => 0);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 0 || chosen === 'taken, but the answer is lost') return void incoming.socket.destroy();
      outgoing.writeHead(status).end();
    });
  const port = await freePort();
  let server = create();
  const open = async (): Promise<void> => {
    server = create().listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await open();
  return {
    url: `http://127.0.0.1:${port}`,
    /** How often each status was answered, or would have been. */
    statuses,
    open,
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
