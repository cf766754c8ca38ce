import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { atEnd } from '../host/at-end.ts';

export interface SwallowingProxy {
  readonly port: number;
  /** How many connections were made so far. */
  connections(): number;
  /** From now on, what comes over the present connections goes nowhere, and nobody is told. New ones work. */
  swallow(): void;
}

/** Passes bytes on to a port of 127.0.0.1, until it is told to swallow them. */
export async function startSwallowingProxy(target: number): Promise<SwallowingProxy> {
  const pairs: (readonly [Socket, Socket])[] = [];
  const server = createServer((incoming) => {
    const outgoing = createConnection(target, '127.0.0.1');
    pairs.push([incoming, outgoing]);
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    server.close();
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => pairs.length,
    swallow() {
      for (const pair of pairs) {
        for (const socket of pair) {
          socket.removeAllListeners('close');
          socket.unpipe();
          socket.resume();
        }
      }
    },
  };
}
